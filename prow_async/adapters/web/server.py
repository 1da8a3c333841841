"""Small HTTP servers: handlers by path on aiohttp's request loop, opened and closed with a context."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from prow_async.adapters.web import express
from prow_async.api.errors import CannotStart

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
"""Headers of text for people: no browser takes it for anything else."""


def _brief(record: logging.LogRecord) -> bool:
    """Tell of requests that do not read in one line: they are their senders' doing."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        why = str(error).replace("\n", " ")[:200]
        record.exc_info, record.msg, record.args = None, f"request that does not read: {why}", ()
    return True


_LOG = logging.getLogger(__name__)
_LOG.addFilter(_brief)


class Site:
    """Handlers by path: an exact one, else the one whose prefix fits best, else `otherwise`.

    This is all the routing there is; aiohttp's own costs a webhook as much as its signature does.
    """

    def __init__(self, otherwise: Handler) -> None:
        self._exact: dict[str, Handler] = {}
        self._prefixes: dict[str, Handler] = {}
        self._otherwise = otherwise
        self.takers: dict[str, express.Taker] = {}
        """By path: what takes plain POST requests off the connection, before aiohttp is asked."""

    def at(self, path: str, handler: Handler) -> None:
        self._exact[path] = handler

    def below(self, prefix: str, handler: Handler) -> None:
        """Serve every path that starts with `prefix` (which ends in a slash)."""
        self._prefixes[prefix] = handler

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._exact.get(request.raw_path) or self._exact.get(request.path)
        if handler is None:
            fitting = [prefix for prefix in self._prefixes if request.path.startswith(prefix)]
            handler = self._prefixes[max(fitting, key=len)] if fitting else self._otherwise
        return await handler(request)


@asynccontextmanager
async def serving(site: Site, host: str, port: int, grace_s: float = 5.0) -> AsyncIterator[str]:
    """Serve until the context ends; then no new connection is taken and requests under way have `grace_s` seconds.

    Args:
        port: 0 takes a free one.

    Yields the address, as `http://host:port`. Raises CannotStart when the port cannot be had.
    """
    server = web.Server(site.handle, access_log=None, auto_decompress=False, logger=_LOG)
    front = express.Express(site.takers, server)
    try:
        listening = await asyncio.get_running_loop().create_server(
            front if site.takers else server, host, port, reuse_address=True
        )
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CannotStart(f"cannot listen on {host}:{port}: {why}") from error
    clock = asyncio.create_task(front.tick())
    try:
        yield f"http://{_shown(host)}:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        server.pre_shutdown()
        async with anyio.create_task_group() as group:
            group.start_soon(front.close, grace_s)
            group.start_soon(server.shutdown, grace_s)
        clock.cancel()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def refusal(status: int, text: str) -> web.Response:
    """Answer as Go's http.Error does: plain text and a newline."""
    return web.Response(status=status, body=text.encode() + b"\n", headers=PLAIN)


def reading_only(handler: Handler) -> Handler:
    """Return the handler for GET and HEAD; what changes things is answered with 405."""

    async def checked(request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return refusal(405, "405 Method not allowed")
        return await handler(request)

    return checked


async def not_found(request: web.BaseRequest) -> web.StreamResponse:
    return refusal(404, "404 page not found")
