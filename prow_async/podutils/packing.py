"""Bytes on their way into storage: looked at, put together again, compressed.

Source: upstream pkg/pod-utils/gcs/upload.go (openerObjectWriter).
"""

import zlib
from collections.abc import Collection

from prow_async.core import content_types
from prow_async.podutils.sending import Source

FIRST_BYTES = 32 << 10
_SMALLEST_BYTES = 1024
_PIECE_BYTES = 256 << 10
_GZIP = 31
"""zlib's word for: the largest window, in gzip's frame."""


def is_worth_it(path: str, first: bytes, file_types: Collection[str]) -> bool:
    """Say whether an object is compressed: its extension (or `*`) is named, it is over 1 KiB, and is not so already."""
    extension = path.rpartition("/")[2].rpartition(".")[2] if "." in path.rpartition("/")[2] else ""
    if extension in ("gz", "gzip") or not ("*" in file_types or extension in file_types):
        return False
    return len(first) > _SMALLEST_BYTES and content_types.sniff(first) != "application/x-gzip"


class Held:
    """Bytes in memory, read as a file is."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)

    def read(self, size: int = -1, /) -> bytes:
        taken = self._content if size < 0 else self._content[:size]
        self._content = self._content[len(taken) :]
        return bytes(taken)

    def close(self) -> None:
        self._content = memoryview(b"")


class Rejoined:
    """A source of which the first bytes have been read already."""

    def __init__(self, first: bytes, rest: Source) -> None:
        self._first = Held(first)
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        begin = self._first.read(size)
        if size < 0:
            return begin + self._rest.read()
        return begin if begin or not size else self._rest.read(size)

    def close(self) -> None:
        self._rest.close()


class Compressing:
    """A source in gzip's form. The same content always gives the same bytes."""

    def __init__(self, plain: Source) -> None:
        self._plain = plain
        self._packer = zlib.compressobj(wbits=_GZIP)
        self._ready = bytearray()
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        while not self._ended and (size < 0 or len(self._ready) < size):
            piece = self._plain.read(_PIECE_BYTES)
            self._ready += self._packer.compress(piece) if piece else self._packer.flush()
            self._ended = not piece
        taken = bytes(self._ready if size < 0 else self._ready[:size])
        del self._ready[: len(taken)]
        return taken

    def close(self) -> None:
        self._plain.close()
