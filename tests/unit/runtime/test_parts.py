"""Timers, supervisor, backoff, stories, lag: on virtual time."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.runtime import lag
from prow_async.runtime.backoff import Backoff
from prow_async.runtime.story import Stories
from prow_async.runtime.supervisor import Supervisor
from prow_async.runtime.timers import Timers
from tests import virtual


@given(st.integers(0, 10_000), st.floats(0, 0.999999))
def test_backoff_stays_between_half_and_whole_ceiling(failures: int, draw: float) -> None:
    backoff = Backoff(0.5, 30.0, rng=lambda: draw)
    assert 0.25 <= backoff.wait_s(failures) <= 30.0


def test_timers_fire_in_order_once_and_can_be_replaced_and_cancelled() -> None:
    fired: list[tuple[str, float]] = []

    async def body() -> None:
        timers = Timers()

        def at(name: str):
            return lambda: fired.append((name, anyio.current_time()))

        async with anyio.create_task_group() as group:
            group.start_soon(timers.run)
            timers.after("late", 50, at("late"))
            timers.after("moved", 10, at("moved"))
            timers.after("gone", 20, at("gone"))
            timers.after("early", 5, at("early"))
            await anyio.sleep(1)
            timers.after("moved", 30, at("moved again"))
            timers.cancel("gone")
            await anyio.sleep(100)
            assert len(timers) == 0
            group.cancel_scope.cancel()

    virtual.run(body)
    assert fired == [("early", 5.0), ("moved again", 31.0), ("late", 50.0)]


def test_timers_that_are_set_again_and_again_hold_no_more_than_there_are() -> None:
    """A job's deadline is days away and moves with each of its turns: what was replaced is not kept until then."""
    fired: list[str] = []

    async def body() -> None:
        timers = Timers()
        async with anyio.create_task_group() as group:
            group.start_soon(timers.run)
            for turn in range(1000):
                timers.after("far", 70_000 + turn, lambda: fired.append("far"))
                timers.after(turn, 60_000, lambda: fired.append("cancelled"))
                timers.cancel(turn)
            assert len(timers) == 1
            assert len(timers._heap) < 100
            await anyio.sleep(70_998)
            assert fired == []
            await anyio.sleep(2)
            group.cancel_scope.cancel()

    virtual.run(body)
    assert fired == ["far"]


def test_supervisor_restarts_a_failing_service_with_growing_waits() -> None:
    starts: list[float] = []
    told: list[tuple[str, str]] = []

    async def flaky() -> None:
        starts.append(anyio.current_time())
        if len(starts) < 4:
            raise OSError("no")

    async def steady() -> None:
        await anyio.sleep(50)

    async def body() -> dict[str, int]:
        keeper = Supervisor(lambda n, e, w: told.append((n, str(e))), Backoff(1.0, 60.0, rng=lambda: 1.0))
        await keeper.run({"flaky": flaky, "steady": steady})
        return keeper.statistics()

    assert virtual.run(body) == {"flaky": 3}
    assert starts == [0.0, 1.0, 3.0, 7.0]
    assert told == [("flaky", "no")] * 3


def test_supervisor_forgets_old_failures_once_a_service_has_settled() -> None:
    waits: list[float] = []
    lives = iter([0.0, 0.0, 100.0, 0.0])

    async def service() -> None:
        life = next(lives, None)
        if life is None:
            return
        await anyio.sleep(life)
        raise OSError("no")

    async def body() -> None:
        await Supervisor(lambda n, e, w: waits.append(w), Backoff(1.0, 60.0, rng=lambda: 1.0)).run({"s": service})

    virtual.run(body)
    assert waits == [1.0, 2.0, 1.0, 2.0]


def test_stories_are_bounded_both_ways_and_fold_repetitions() -> None:
    clock = iter(range(1000))
    stories = Stories(lambda: float(next(clock)), lines=3, keys=2)
    for line in ("a", "a", "b", "c", "d"):
        stories.add("k", line)
    assert [line for _, line in stories.of("k")] == ["b", "c", "d"]
    stories.add("l", "x")
    stories.add("m", "y")
    assert stories.of("k") == []
    assert [line for _, line in stories.of("m")] == ["y"]


@pytest.mark.anyio
async def test_lag_is_seen_when_the_loop_is_blocked() -> None:
    import time

    seen: list[float] = []
    async with anyio.create_task_group() as group:
        group.start_soon(lag.watch, seen.append, 0.01)
        await anyio.sleep(0.02)
        time.sleep(0.1)
        await anyio.sleep(0.02)
        group.cancel_scope.cancel()
    assert max(seen) > 0.05
