"""Request bodies as they come in over HTTP: unpacked where packed, and never more than is allowed."""

import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

import anyio.to_thread
from aiohttp import web

from prow_async.sandbox.github.refusal import Refusal

_PIECE_BYTES = 256 * 1024


class TooLarge(Refusal):
    """The body is over its limit. It has been read to its end all the same, so that the sender hears of it."""

    def __init__(self) -> None:
        super().__init__(413, "The body is too large.")


async def pieces(request: web.BaseRequest, limit_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body, unpacked. Raises TooLarge, and Refusal: 400 for damaged packing, 415 for an unknown one."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise Refusal(415, f"Content-Encoding {encoding!r} is not known here.")
    unpacker = None if encoding == "identity" else zlib.decompressobj(zlib.MAX_WBITS | 32)
    size_bytes = 0
    fits = True
    async for packed in request.content.iter_any():
        while packed and fits:
            piece, packed = (packed, b"") if unpacker is None else _unpack(unpacker, packed)
            size_bytes += len(piece)
            fits = size_bytes <= limit_bytes
            if fits and piece:
                yield piece
    if not fits:
        raise TooLarge


def _unpack(unpacker: "zlib._Decompress", packed: bytes) -> tuple[bytes, bytes]:
    try:
        piece = unpacker.decompress(packed, _PIECE_BYTES)
    except zlib.error as error:
        raise Refusal(400, "The body is not packed as its Content-Encoding says.") from error
    return piece, unpacker.unconsumed_tail


async def read(request: web.BaseRequest, limit_bytes: int) -> bytes:
    """Return the whole body. Raises as `pieces`."""
    return b"".join([piece async for piece in pieces(request, limit_bytes)])


@asynccontextmanager
async def in_file(request: web.BaseRequest, limit_bytes: int) -> AsyncIterator[IO[bytes]]:
    """Yield the whole body as an open file, written in a thread. Raises as `pieces`."""
    with tempfile.TemporaryFile() as file:
        async for piece in pieces(request, limit_bytes):
            await anyio.to_thread.run_sync(file.write, piece)
        await anyio.to_thread.run_sync(file.flush)
        yield file
