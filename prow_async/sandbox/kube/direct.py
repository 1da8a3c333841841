"""The door without a socket: `ports/transport` straight onto the world, on any event loop, also on virtual time."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import anyio
import anyio.lowlevel
import msgspec

from prow_async.api import errors
from prow_async.ports import clock, transport
from prow_async.sandbox import faults as faults_
from prow_async.sandbox.kube import exchange, logs, status, streams, watches
from prow_async.sandbox.kube.world import World


class _Whole:
    """An answer that is there already."""

    def __init__(self, code: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = code
        self.headers = headers
        self._body = body

    async def read(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        await anyio.lowlevel.checkpoint()
        if self._body:
            yield self._body


class _Streamed:
    """An answer that comes piece by piece."""

    status = 200

    def __init__(self, content_type: str, pieces: AsyncIterator[bytes]) -> None:
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._pieces = pieces

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self._pieces])

    def chunks(self) -> AsyncIterator[bytes]:
        return self._pieces


class DirectTransport:
    """Calls a world.

    Args:
        faults: asked before and after each request and for each watch line; None is a faultless server.
        logs: where pod logs are read.
    """

    def __init__(
        self,
        world: World,
        time: clock.Clock,
        faults: faults_.Faults | None = None,
        log_source: logs.LogSource | None = None,
    ) -> None:
        self._world = world
        self._clock = time
        self._faults = faults
        self._logs = log_source

    @contextlib.asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[transport.Reply]:
        """Send one request. Raises Retry when a fault drops the connection."""
        await anyio.lowlevel.checkpoint()
        if self._faults is not None:
            stand_in = await _play(self._faults.before(method, path), "the connection was refused")
            if stand_in is not None:
                yield stand_in
                return
        request = exchange.Request.parse(method, path, headers, body)
        if self._world.keeper is None:
            outcome = self._world.handle(request, self._clock.now())
        else:
            outcome = await streams.answered(self._world, request, self._clock.now)
        try:
            if self._faults is not None:
                code = outcome.code if isinstance(outcome, exchange.Answer) else 200
                stand_in = await _play(self._faults.after(method, path, code), "the connection broke")
                if stand_in is not None:
                    yield stand_in
                    return
            async with self._reply(outcome) as reply:
                yield reply
        finally:
            if isinstance(outcome, watches.Watch):
                outcome.close()

    @contextlib.asynccontextmanager
    async def _reply(
        self, outcome: exchange.Answer | watches.Watch | exchange.LogRequest
    ) -> AsyncIterator[transport.Reply]:
        if isinstance(outcome, exchange.Answer):
            yield _Whole(outcome.code, outcome.headers | {"content-type": outcome.content_type}, outcome.body)
        elif isinstance(outcome, watches.Watch):
            async with contextlib.aclosing(self._lines(outcome)) as pieces:
                yield _Streamed(exchange.JSON, pieces)
        else:
            async with contextlib.aclosing(streams.log(self._logs, outcome)) as pieces:
                try:
                    first = await anext(pieces, b"")
                except status.Refusal as refusal:
                    answer = exchange.Answer.no(refusal)
                    yield _Whole(answer.code, {"content-type": answer.content_type}, answer.body)
                    return
                async with contextlib.aclosing(_with_first(first, pieces)) as whole:
                    yield _Streamed("text/plain", whole)

    async def _lines(self, watch: watches.Watch) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(streams.lines(self._world, watch)) as batches:
            async for batch in batches:
                await anyio.lowlevel.checkpoint()
                if self._faults is None:
                    yield b"".join(batch)
                    continue
                for line in batch:
                    played = self._faults.line(line)
                    if played is None:
                        yield line[: len(line) // 2]
                        raise errors.Retry("the connection broke in the middle of a watch line")
                    if played:
                        yield b"".join(played)


async def _with_first(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    if first:
        yield first
    async for piece in pieces:
        if piece:
            yield piece


async def _play(fault: faults_.Fault | None, dropped: str) -> _Whole | None:
    """Play a fault; return the answer that takes the real one's place, if any. Raises Retry for a drop."""
    if fault is None:
        return None
    if fault.kind == "drop":
        if fault.delay_s:
            await anyio.sleep(fault.delay_s)
        raise errors.Retry(dropped)
    if fault.kind == "delay":
        await anyio.sleep(fault.delay_s)
        return None
    headers = {"content-type": exchange.JSON}
    if fault.retry_after_s is not None:
        headers["retry-after"] = f"{fault.retry_after_s:g}"
    refusal = status.Refusal(fault.status, _REASONS.get(fault.status, ""), "injected fault")
    return _Whole(fault.status, headers, msgspec.json.encode(refusal.status()))


_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
