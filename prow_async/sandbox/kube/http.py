"""The door for kubectl and for every client that speaks HTTP: loopback only, behind a bearer token."""

import contextlib
import hmac
import ipaddress
from collections.abc import AsyncIterator

from aiohttp import web

from prow_async.api import errors
from prow_async.ports import clock
from prow_async.sandbox.kube import exchange, logs, status, streams, watches
from prow_async.sandbox.kube.world import World

MAX_BODY_BYTES = 3 * 1024 * 1024
"""As kube-apiserver's own limit."""
_DRAIN_S = 1.0


@contextlib.asynccontextmanager
async def serve(
    world: World,
    time: clock.Clock,
    token: str,
    host: str = "127.0.0.1",
    port: int = 0,
    log_source: logs.LogSource | None = None,
) -> AsyncIterator[str]:
    """Serve a world over HTTP while the context is open; the context's value is the base address.

    Every request must carry the token, as `Authorization: Bearer TOKEN` or as the first segment of its path: kubectl
    sends no credentials over plain HTTP, so its kubeconfig has the token in the server's address.

    Args:
        host: a loopback address.
        port: 0 chooses a free one.

    Raises:
        CannotStart: the address is no loopback address, or is taken.
    """
    if not _is_loopback(host):
        raise errors.CannotStart(f"the embedded API server listens on loopback only, not on {host}")
    door = _Door(world, time, token, log_source)
    server = web.Server(
        door.answer,
        request_factory=_request,
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,  # as kube-apiserver: what is small on the wire cannot become large here
    )
    runner = web.ServerRunner(server, shutdown_timeout=_DRAIN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise errors.CannotStart(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
        bound: int = runner.addresses[0][1]
        name = f"[{host}]" if ":" in host else host
        door.hosts = frozenset({f"{name}:{bound}", f"127.0.0.1:{bound}", f"localhost:{bound}", f"[::1]:{bound}"})
        yield f"http://{name}:{bound}"
    finally:
        door.close()
        await runner.cleanup()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _request(message, payload, protocol, writer, task):  # type: ignore[no-untyped-def]  # aiohttp's types are private
    return web.BaseRequest(message, payload, protocol, writer, task, task.get_loop(), client_max_size=MAX_BODY_BYTES)


class _Door:
    """Answers requests of one server."""

    def __init__(self, world: World, time: clock.Clock, token: str, log_source: logs.LogSource | None) -> None:
        self.hosts: frozenset[str] = frozenset()
        self._world = world
        self._clock = time
        self._token = token.encode()
        self._logs = log_source
        self._open: set[watches.Watch] = set()

    def close(self) -> None:
        """End all watches, so that their handlers return."""
        for watch in list(self._open):
            watch.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return _response(exchange.Answer.no(refusal))
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"the body is larger than {MAX_BODY_BYTES} bytes"
            return _response(exchange.Answer.no(status.Refusal(413, "RequestEntityTooLarge", text)))
        target = self._target(request) or request.raw_path
        asked = exchange.Request.parse(request.method, target, request.headers, body)
        outcome = await streams.answered(self._world, asked, self._clock.now)
        if isinstance(outcome, exchange.Answer):
            return _response(outcome)
        if isinstance(outcome, watches.Watch):
            return await self._stream_watch(request, outcome)
        return await self._stream_log(request, outcome)

    def _target(self, request: web.BaseRequest) -> str:
        """Return the target below a path that starts with the token; empty when it does not."""
        first, slash, rest = request.raw_path.removeprefix("/").partition("/")
        return "/" + rest if slash and self._is_token(first) else ""

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self._token)

    def _refusal(self, request: web.BaseRequest) -> status.Refusal | None:
        """Refuse other sites' pages, names that lead here by accident or by intent, and whoever lacks the token."""
        if request.headers.get("Host", "").lower() not in self.hosts:
            return status.Refusal(403, "Forbidden", "the Host header does not name this server")
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower().removeprefix("http://") not in self.hosts:
            return status.Refusal(403, "Forbidden", "requests from other origins are not served")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return status.Refusal(415, "UnsupportedMediaType", "bodies are taken as they are, not compressed")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if (scheme.lower() == "bearer" and self._is_token(given.strip())) or self._target(request):
            return None
        return status.unauthorized()

    async def _stream_watch(self, request: web.BaseRequest, watch: watches.Watch) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": exchange.JSON})
        self._open.add(watch)
        try:
            await response.prepare(request)
            async with contextlib.aclosing(streams.lines(self._world, watch)) as batches:
                async for batch in batches:
                    await response.write(b"".join(batch))
            await response.write_eof()
        except ConnectionError:
            return response  # the asker is gone: nobody is left to tell
        finally:
            self._open.discard(watch)
            watch.close()
        return response

    async def _stream_log(self, request: web.BaseRequest, ask: exchange.LogRequest) -> web.StreamResponse:
        async with contextlib.aclosing(streams.log(self._logs, ask)) as pieces:
            try:
                first = await anext(pieces, b"")
            except status.Refusal as refusal:
                return _response(exchange.Answer.no(refusal))
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            try:
                await response.prepare(request)
                if first:
                    await response.write(first)
                async for piece in pieces:
                    if piece:
                        await response.write(piece)
                await response.write_eof()
            except ConnectionError:
                return response  # the asker is gone: nobody is left to tell
            return response


def _response(answer: exchange.Answer) -> web.Response:
    return web.Response(
        status=answer.code, body=answer.body, headers={"Content-Type": answer.content_type} | answer.headers
    )
