"""Pages of what storage keeps of runs: `/view/PROVIDER/BUCKET/RUN` for people, `/stored/...` each file as it is."""

import itertools
from collections.abc import Callable, Iterable
from typing import TypeVar
from urllib.parse import unquote

import anyio
import anyio.to_thread
import msgspec
from aiohttp import web

from prow_async.adapters.web import server
from prow_async.api.errors import Missing, ProwError
from prow_async.api.runrecords import BUILD_LOG_FILE, FINISHED_FILE, STARTED_FILE, Finished, Started
from prow_async.core import run_page
from prow_async.ports.blobs import Blobs

T = TypeVar("T")
_LOG_BYTES = 256 * 1024
_RECORD_BYTES = 1024 * 1024
_WRITE_TIMEOUT_S = 60.0
_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
_PAGE = {
    **_SAFE,
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_PLAIN = {**_SAFE, **server.PLAIN}


def add(site: server.Site, known: Callable[[], Iterable[str]], open_bucket: Callable[[str], Blobs]) -> None:
    """Serve both on a site.

    Args:
        known: the buckets that may be shown.
        open_bucket: opens one of them. Raises Refused.
    """

    async def view(request: web.BaseRequest) -> web.StreamResponse:
        place = run_page.place(unquote(request.path.removeprefix("/view/")), known())
        if place is None:
            return server.refusal(404, "There is no such run in the buckets of this installation.")
        try:
            run = await anyio.to_thread.run_sync(lambda: read(open_bucket(place.bucket), place))
        except ProwError as error:
            return server.refusal(503, f"The run cannot be read: {error}")
        status = 200 if run.files else 404
        return web.Response(status=status, body=run_page.html_of(run).encode(errors="replace"), headers=_PAGE)

    async def stored(request: web.BaseRequest) -> web.StreamResponse:
        place = run_page.place(unquote(request.path.removeprefix("/stored/")), known())
        if place is None:
            return server.refusal(404, "There is no such file in the buckets of this installation.")
        return await _stream(request, lambda: open_bucket(place.bucket), place.path)

    site.below("/view/", server.reading_only(view))
    site.below("/stored/", server.reading_only(stored))


def read(blobs: Blobs, place: run_page.Place) -> run_page.Run:
    """Gather what is stored of a run. Blocks. Raises Retry and Refused."""
    below = f"{place.path}/"
    listed = list(itertools.islice(blobs.list(below), run_page.LISTED + 1))
    files = sorted((blob.path.removeprefix(below), blob.size_bytes) for blob in listed)
    log, size_bytes = _log(blobs, below + BUILD_LOG_FILE)
    return run_page.Run(
        place,
        _record(blobs, below + STARTED_FILE, Started),
        _record(blobs, below + FINISHED_FILE, Finished),
        log,
        size_bytes,
        files[: run_page.LISTED],
        more=len(listed) > run_page.LISTED,
    )


def _record(blobs: Blobs, path: str, kind: type[T]) -> T | None:
    """Return a record; None when it is not there or nobody can read it, which a page need not fail for."""
    try:
        return msgspec.json.decode(blobs.get(path, 0, _RECORD_BYTES), type=kind)
    except (Missing, msgspec.DecodeError):
        return None


def _log(blobs: Blobs, path: str) -> tuple[str | None, int]:
    try:
        size_bytes = blobs.head(path).size_bytes
        return blobs.get(path, max(0, size_bytes - _LOG_BYTES)).decode(errors="replace"), size_bytes
    except Missing:
        return None, 0


async def _stream(request: web.BaseRequest, opened: Callable[[], Blobs], path: str) -> web.StreamResponse:
    """Send an object piece by piece, always as text: what a job leaves must never run in a browser."""
    response = web.StreamResponse(headers=_PLAIN)
    try:
        pieces = await anyio.to_thread.run_sync(lambda: opened().stream(path))
        piece = await anyio.to_thread.run_sync(next, pieces, b"")
        await response.prepare(request)
        while piece and request.method == "GET":
            with anyio.fail_after(_WRITE_TIMEOUT_S):
                await response.write(piece)
            piece = await anyio.to_thread.run_sync(next, pieces, b"")
    except (ConnectionError, TimeoutError):  # the reader has gone, or has stopped to read
        response.force_close()
        return response
    except ProwError as error:
        if response.prepared:
            raise
        missing = isinstance(error, Missing)
        return server.refusal(404 if missing else 503, "There is no such file." if missing else str(error))
    await response.write_eof()
    return response
