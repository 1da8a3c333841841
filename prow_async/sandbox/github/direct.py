"""The door without a socket: a Transport straight into the world, on anyio alone, so that virtual time works."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from prow_async.api.errors import Retry
from prow_async.ports.clock import Clock
from prow_async.sandbox.faults import Fault, Faults
from prow_async.sandbox.github import rest, steps, witness
from prow_async.sandbox.github.call import Answer, Request
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.world import World


class DirectReply:
    """A whole answer, already here."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    async def read(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._answer.body

    async def chunks(self) -> AsyncIterator[bytes]:
        await anyio.lowlevel.checkpoint()
        yield self._answer.body


class DirectTransport:
    """A Transport (ports/transport) into a world.

    Args:
        token: sent as `Authorization: Bearer`; empty sends none.
        faults: asked before and after each request; None plays none.
    """

    def __init__(self, world: World, clock: Clock, token: str = "", faults: Faults | None = None) -> None:
        self._world = world
        self._clock = clock
        self._token = token
        self._faults = faults

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[DirectReply]:
        """Send one request; see ports/transport."""
        await anyio.lowlevel.checkpoint()
        yield DirectReply(await self._exchange(method, path, headers, body))

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        sent = {name.lower(): value for name, value in headers.items()}
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        request = Request(method, path, sent, body)
        witness.tell(request)
        if self._faults is not None:
            instead = await _play(self._faults.before(method, path), path)
            if instead is not None:
                return instead
        answer = await steps.run(rest.answering(self._world, request, self._clock.now()))
        if self._faults is not None:
            instead = await _play(self._faults.after(method, path, answer.status), path)
            if instead is not None:
                return instead
        return answer


async def _play(fault: Fault | None, path: str) -> Answer | None:
    """Play one fault. Returns the answer that stands in for the world's; raises Retry for a broken connection."""
    if fault is None:
        return None
    if fault.kind == "drop":
        raise Retry(f"the connection to the small GitHub broke ({path.partition('?')[0]})")
    if fault.kind == "delay":
        await anyio.sleep(fault.delay_s)
        return None
    limited = fault.status in (403, 429)
    message = "You have exceeded a secondary rate limit." if limited else "Server Error"
    headers = {"content-type": "application/json; charset=utf-8"}
    if fault.retry_after_s is not None:
        headers["retry-after"] = str(max(0, round(fault.retry_after_s)))
    return Answer(fault.status, headers, Refusal(fault.status, message).body())
