"""Both doors of the small GitHub, for tests that must hold through either."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

from prow_async.adapters.github import client, session
from prow_async.adapters.github.client import Client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.github.wire import Options
from prow_async.ports.transport import Transport
from prow_async.sandbox.github import http
from prow_async.sandbox.github.direct import DirectTransport
from prow_async.sandbox.github.world import World
from tests.unit.adapters_github.script import Seen
from tests.unit.sandbox_github import sample

Door = Literal["direct", "http"]
DOORS: tuple[Door, ...] = ("direct", "http")


@asynccontextmanager
async def transport_to(
    world: World, door: Door, token: str = sample.BOT_TOKEN, clock: sample.FixedClock | None = None
) -> AsyncIterator[Transport]:
    """Open a door to the world."""
    clock = clock or sample.FixedClock()
    if door == "direct":
        yield DirectTransport(world, clock, token)
        return
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(http.serve(world, clock))
        yield await stack.enter_async_context(session.connect([address]))


@asynccontextmanager
async def client_of(world: World, door: Door, token: str = sample.BOT_TOKEN) -> AsyncIterator[Client]:
    """Open a door and put the client before it; reads are not repeated."""
    async with transport_to(world, door, token) as transport:
        options = Options(read_retries=0)
        yield client.on(transport, FixedToken(token), Seen(), sample.FixedClock(), options)
