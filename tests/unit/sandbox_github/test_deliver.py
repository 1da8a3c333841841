"""Deliveries on their way: in order for each hook, once each, and nobody waits for a slow neighbour."""

from collections.abc import Mapping

import anyio
import pytest

from prow_async.api.errors import Retry
from prow_async.sandbox.github import deliver
from prow_async.sandbox.github.world import World
from tests import virtual
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S


class Receiver:
    """Takes deliveries as a hook would; some addresses are slow, broken or say no."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        if "slow" in url:
            await anyio.sleep(5)
        if "dead" in url:
            await anyio.sleep_forever()
        if "broken" in url:
            raise Retry("connection refused")
        self.got.append((url, headers["X-GitHub-Event"]))
        return 503 if "busy" in url else 200


def world_with(*urls: str) -> World:
    world = sample.make()
    for url in urls:
        world.add_hook("acme", "app", url, b"secret", ["push"], now_s=NOW_S)
    return world


def push(world: World, times: int) -> None:
    for number in range(times):
        world.push_branch("acme", "app", f"b{number}", by="olga", now_s=NOW_S)


def run_for(world: World, receiver: Receiver, seconds: float, late_pushes: int = 0) -> None:
    async def body() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deliver.run, world, sample.FixedClock(), receiver)
            await anyio.sleep(seconds / 2)
            push(world, late_pushes)
            await anyio.sleep(seconds / 2)
            tasks.cancel_scope.cancel()

    virtual.run(body)


def test_order_holds_for_each_hook_and_none_waits_for_another() -> None:
    """A quick hook has everything while a slow one is still at its first; later news wakes the sender."""
    world = world_with("slow", "quick")
    push(world, 2)
    receiver = Receiver()
    run_for(world, receiver, 6, late_pushes=1)
    assert receiver.got == [
        ("quick", "ping"),
        ("quick", "push"),
        ("quick", "push"),
        ("quick", "push"),
        ("slow", "ping"),
    ]


@pytest.mark.parametrize(
    ("url", "status", "error"),
    [("fine", 200, ""), ("busy", 503, ""), ("broken", 0, "connection refused"), ("dead", 0, "timed out")],
)
def test_the_outcome_is_logged_and_a_failure_is_not_repeated(url: str, status: int, error: str) -> None:
    """One try each, whatever comes of it."""
    world = world_with(url)
    run_for(world, Receiver(), 1000)
    [ping] = world.outbox.log()
    assert ping.outcome is not None
    assert (ping.outcome.status, ping.outcome.error) == (status, error)
    assert ping.outcome.ok == (status == 200)


def test_stopping_keeps_what_waits() -> None:
    """The delivery in flight counts as failed, those behind it are sent by the next run."""
    world = world_with("slow")
    push(world, 1)
    receiver = Receiver()
    run_for(world, receiver, 2)
    [ping] = world.outbox.log()
    assert ping.outcome is not None
    assert ping.outcome.error == "the sender was stopped"
    run_for(world, receiver, 20)
    assert receiver.got == [("slow", "push")]
