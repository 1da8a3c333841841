"""Carries queued webhook deliveries to their hooks, one try each, in order for each hook."""

from collections.abc import Awaitable, Callable, Mapping

import anyio

from prow_async.api.errors import ProwError
from prow_async.ports.clock import Clock
from prow_async.sandbox.github.outbox import Delivery, Outcome
from prow_async.sandbox.github.world import World

Send = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Posts a body with headers to a URL; returns the status. Raises Retry when no answer comes."""

PATIENCE_S = 10.0
"""So long GitHub waits for an answer before it calls a delivery failed."""


async def run(world: World, clock: Clock, send: Send) -> None:
    """Deliver until cancelled. Hooks do not wait for one another.

    A delivery in flight at that moment is logged as failed; those still waiting stay queued. Only one runs per world.
    """
    queued = anyio.Event()

    def wake() -> None:
        queued.set()

    world.outbox.on_queued = wake
    busy: set[int] = set()
    async with anyio.create_task_group() as tasks:
        while True:
            queued = anyio.Event()
            for hook_id in world.outbox.hooks_waiting():
                if hook_id not in busy:
                    busy.add(hook_id)
                    tasks.start_soon(_drain, world, clock, send, (hook_id, busy))
            await queued.wait()


async def _drain(world: World, clock: Clock, send: Send, of: tuple[int, set[int]]) -> None:
    hook_id, busy = of
    while (delivery := world.outbox.take(hook_id)) is not None:
        await deliver(delivery, clock, send)
        world.changes += 1
    busy.discard(hook_id)


async def deliver(delivery: Delivery, clock: Clock, send: Send) -> Outcome:
    """Try one delivery once and note the outcome on it."""
    status, error = 0, "the sender was stopped"
    try:
        with anyio.move_on_after(PATIENCE_S) as waiting:
            status, error = await send(delivery.hook.url, delivery.headers(), delivery.body), ""
        if waiting.cancelled_caught:
            error = "timed out"
    except ProwError as broken:
        error = str(broken)
    finally:
        delivery.outcome = Outcome(status, clock.now(), error)
    return delivery.outcome
