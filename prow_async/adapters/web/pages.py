"""Pages for people: how a job stands, its log as it grows, who holds slots. Plain text, never taken for more."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import unquote

import anyio
from aiohttp import web

from prow_async.adapters.web import server
from prow_async.api.errors import Missing, ProwError

JobText = Callable[[str], str | None]
"""Says in words how the ProwJob of a name stands; None: there is no such job."""
LogChunks = Callable[[str], AbstractAsyncContextManager[AsyncIterator[bytes]] | None]
"""Opens the log of a ProwJob's pod; None: there is no such job, or no pod yet. Entering raises as ports/kube says."""
_WRITE_TIMEOUT_S = 60.0


def add(site: server.Site, job_text: JobText, log_chunks: LogChunks) -> None:
    """Serve `/job/NAME` (state, why, events) and `/log/NAME` (the live log) on a site."""

    async def log(request: web.BaseRequest) -> web.StreamResponse:
        opened = log_chunks(_name(request, "/log/"))
        if opened is None:
            return server.refusal(404, "There is no such ProwJob, or it has no pod yet.")
        return await _stream(request, opened)

    add_jobs(site, job_text)
    site.below("/log/", server.reading_only(log))


def add_jobs(site: server.Site, job_text: JobText, slots_text: Callable[[], str] = str) -> None:
    """Serve `/job/NAME` (state, why, place in line), and `/slots` (who holds slots, how many wait) if it says any."""

    async def job(request: web.BaseRequest) -> web.StreamResponse:
        text = job_text(_name(request, "/job/"))
        return server.refusal(404, "There is no such ProwJob.") if text is None else _page(text)

    async def slots(request: web.BaseRequest) -> web.StreamResponse:
        text = slots_text()
        return _page(text) if text else server.refusal(404, "This process gives no slots.")

    site.below("/job/", server.reading_only(job))
    site.at("/slots", server.reading_only(slots))


def _page(text: str) -> web.Response:
    return web.Response(body=_printable(text.encode(errors="replace")), headers=_HEADERS)


_HEADERS = server.PLAIN | {"Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; sandbox"}
_ALLOWED = bytes(byte for byte in range(256) if byte >= 32 and byte != 127) + b"\n\t\r"
_UNPRINTABLE = bytes(set(range(256)) - set(_ALLOWED))
_SHOWN = bytes(byte if byte not in _UNPRINTABLE else ord("?") for byte in range(256))


def _name(request: web.BaseRequest, prefix: str) -> str:
    return unquote(request.path.removeprefix(prefix))


def _printable(data: bytes) -> bytes:
    """Show control characters as question marks, so that a page read in a terminal cannot steer it."""
    return data.translate(_SHOWN)


async def _stream(
    request: web.BaseRequest, opened: AbstractAsyncContextManager[AsyncIterator[bytes]]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    try:
        async with opened as chunks:
            await response.prepare(request)
            if request.method == "GET":
                async for chunk in chunks:
                    with anyio.fail_after(_WRITE_TIMEOUT_S):
                        await response.write(_printable(chunk))
    except (ConnectionError, TimeoutError):  # the reader has gone, or has stopped to read
        response.force_close()
        return response
    except ProwError as error:
        if not response.prepared:
            status = 404 if isinstance(error, Missing) else 503
            return server.refusal(status, f"The log cannot be read: {error}")
        await response.write(f"\n[the log breaks off here: {error}]\n".encode(errors="replace"))
    await response.write_eof()
    return response
