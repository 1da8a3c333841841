"""The client's own limit, its turns, and what GitHub's limits do to requests under way, on virtual time."""

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.adapters.github.gate import Gate
from prow_async.adapters.github.throttle import Bucket, Rate, parse_orgs
from prow_async.api.errors import CannotStart, Retry
from prow_async.ports.cause import URGENCIES, Cause, Urgency, because
from tests import virtual
from tests.unit.adapters_github.script import Play, Script, Seen, client
from tests.unit.sandbox_github.sample import NOW_S

PULL = {"number": 7}


def test_the_burst_then_the_rate() -> None:
    """A burst goes at once; the refill begins when its time is over, so that the first hour is no exception."""
    bucket = Bucket(Rate(3600, 10), NOW_S)
    assert [bucket.take(NOW_S, 100) for _ in range(10)] == [0] * 10
    assert bucket.take(NOW_S, 100) == pytest.approx(11)
    assert bucket.take(NOW_S, 100) == pytest.approx(12)
    assert bucket.take(NOW_S, 5) == pytest.approx(13)
    assert bucket.take(NOW_S, 5) == pytest.approx(13)


@given(st.lists(st.floats(0, 60), min_size=50, max_size=300), st.integers(1, 60), st.integers(1, 60))
def test_no_hour_sees_more_than_its_share(gaps: list[float], hourly: int, burst: int) -> None:
    burst = min(hourly, burst)
    bucket, now_s, used = Bucket(Rate(hourly, burst), NOW_S), NOW_S, list[float]()
    for gap in gaps:
        now_s += gap
        wait_s = bucket.take(now_s, 1e9)
        used.append(now_s + wait_s)
    for start in used:
        assert sum(start <= at <= start + 3600 for at in used) <= hourly + burst + 1
    assert sum(at < NOW_S + 3600 for at in used) <= hourly + 1


def test_what_costs_nothing_is_given_back() -> None:
    bucket = Bucket(Rate(3600, 1), NOW_S)
    for _ in range(5):
        assert bucket.take(NOW_S, 0) == 0
        bucket.give_back()


@pytest.mark.parametrize("text", ["acme", "acme:1", ":1:1", "acme:x:1", "acme:10:20", "acme:0:0", "acme:-5:-5"])
def test_odd_rates_of_orgs(text: str) -> None:
    with pytest.raises(CannotStart):
        parse_orgs([text])


def test_rates_of_orgs() -> None:
    assert parse_orgs(["Acme:100:10", "other:5:5"]) == {"acme": Rate(100, 10), "other": Rate(5, 5)}
    with pytest.raises(CannotStart, match="before"):
        parse_orgs(["acme:1:1", "ACME:2:2"])


def test_the_more_urgent_go_first() -> None:
    """Two at a time; those that wait go by urgency, then in their order; who gives up takes nobody's place."""
    order: list[str] = []

    async def one(gate: Gate, name: str, urgency: Urgency) -> None:
        async with gate.turn(urgency):
            order.append(name)
            await anyio.sleep(1)

    async def give_up(gate: Gate) -> None:
        with anyio.move_on_after(0.5):
            await one(gate, "never", "merge")

    async def body() -> None:
        gate = Gate(2)
        async with anyio.create_task_group() as group:
            for name, urgency in (("a", "sync"), ("b", "sync"), ("c", "sync"), ("d", "merge"), ("e", "status")):
                group.start_soon(one, gate, name, urgency)
                await anyio.sleep(0.01)
            group.start_soon(give_up, gate)
            await anyio.sleep(0.1)
            assert (gate.inside, gate.waiting) == (2, 4)
        assert (gate.inside, gate.waiting) == (0, 0)

    virtual.run(body)
    assert order == ["a", "b", "d", "e", "c"]


@given(
    st.lists(st.tuples(st.sampled_from(URGENCIES), st.integers(0, 5), st.booleans()), max_size=30), st.integers(1, 4)
)
def test_never_more_than_the_width(plans: list[tuple[Urgency, int, bool]], width: int) -> None:
    most = [0, 0]

    async def one(gate: Gate, plan: tuple[Urgency, int, bool]) -> None:
        urgency, work_s, impatient = plan
        with anyio.move_on_after(2.5 if impatient else 1000):
            async with gate.turn(urgency):
                most[0] += 1
                most[1] = max(most)
                try:
                    await anyio.sleep(work_s)
                finally:
                    most[0] -= 1

    async def body() -> None:
        gate = Gate(width)
        async with anyio.create_task_group() as group:
            for plan in plans:
                group.start_soon(one, gate, plan)
        assert (gate.inside, gate.waiting) == (0, 0)

    virtual.run(body)
    assert most[1] <= width


def limited(remaining: int, limit: int = 1000) -> dict[str, str]:
    reset = {"x-ratelimit-reset": str(int(NOW_S) + 3600), "x-ratelimit-resource": "core"}
    return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(remaining)} | reset


def test_at_a_fifth_of_the_budget_the_urgent_flow_and_the_rest_is_told_to_wait() -> None:
    """Nothing sleeps; what waits knows for how long, and goes through when that time has come."""
    script, seen = Script(Play(content=PULL, headers=limited(200))), Seen()
    github = client(script, seen=seen)

    async def read(urgency: Urgency, number: int) -> float:
        with because(Cause("x", "tide", urgency)):
            try:
                await github.pull("o", "r", number)
            except Retry as retry:
                return retry.after_s or -1.0
        return 0.0

    async def body() -> tuple[list[float], float, float]:
        await github.pull("o", "r", 1)
        began = anyio.current_time()
        waits = [await read(urgency, 2) for urgency in URGENCIES]
        took = anyio.current_time() - began
        await anyio.sleep(waits[-1] + 1)
        return waits, took, await read("sync", 3)

    waits, took, later = virtual.run(body)
    assert waits == [0, 0, 0, pytest.approx(1200)]
    assert (took, later) == (0, 0)
    counted = [(labels["origin"], labels["urgency"]) for _, labels in seen.of("prow_async_github_requests_total")]
    assert counted == [("other", "comment"), *(("tide", urgency) for urgency in URGENCIES)]


def test_a_secondary_limit_silences_the_token() -> None:
    """While GitHub asks for a pause nothing is sent, however urgent; who asks hears how long it lasts."""
    limit = Play(403, {"message": "You have exceeded a secondary rate limit"}, headers=limited(900))
    script = Script(limit, Play(content=PULL))
    github = client(script, read_retries=0)

    async def body() -> list[Any]:
        found: list[Any] = []
        for wait_s in (0, 20, 45):
            await anyio.sleep(wait_s)
            try:
                with because(Cause(urgency="merge")):
                    found.append((await github.pull("o", "r", 7)).number)
            except Retry as retry:
                found.append(retry.after_s)
        return found

    assert virtual.run(body) == [60, 40, 7]
    assert len(script.sent) == 2


def test_who_waits_for_a_turn_hears_of_a_pause_that_began_meanwhile() -> None:
    """One at a time: the first is refused with a pause, and those behind it are not sent at all."""
    script = Script(Play(429, headers={"retry-after": "50"}, after_s=5))
    github = client(script, concurrency=1, read_retries=0)
    waits: list[float | None] = []

    async def one(number: int) -> None:
        with pytest.raises(Retry) as caught:
            await github.pull("o", "r", number)
        waits.append(caught.value.after_s)

    async def body() -> None:
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(one, number)

    virtual.run(body)
    assert (len(script.sent), waits) == (1, [51] * 4)


def test_our_own_limit() -> None:
    """Short waits are waited for and counted, long ones told; what a caching proxy answered costs nothing."""
    script = Script(Play(content=PULL), Play(content=PULL, headers={"x-cache-mode": "REVALIDATED"}), Play(content=PULL))
    seen = Seen()
    github = client(script, seen=seen, rate=Rate(360, 1), read_retries=0)

    async def body() -> list[float]:
        times = []
        for number in range(3):
            await anyio.sleep(10 if number < 2 else 0)
            await github.pull("o", "r", number)
            times.append(anyio.current_time())
        with anyio.move_on_after(1):
            await github.pull("o", "r", 7)  # who gives up waiting takes nothing
        async with anyio.create_task_group() as group:
            group.start_soon(github.pull, "o", "r", 8)
            await anyio.sleep(1)
            with pytest.raises(Retry) as caught:
                await github.pull("o", "r", 9)
        times += [anyio.current_time(), caught.value.after_s or 0]
        return times

    assert virtual.run(body) == [10, 30, 30, 40, 18]
    assert [wait_s for wait_s, _ in seen.of("github_request_wait_duration_seconds")] == [0, 10, 0, 10, 9]


def test_the_forecast_is_a_metric() -> None:
    """300 of 1000 in five minutes: the rest is gone in 11 to 12."""
    script, seen = Script(*(Play(content=PULL, headers=limited(left)) for left in (1000, 700, 700))), Seen()
    github = client(script, seen=seen)

    async def body() -> None:
        await github.pull("o", "r", 1)
        await anyio.sleep(300)
        await github.pull("o", "r", 2)
        github.report()

    virtual.run(body)
    [(gone_s, labels)] = seen.of("prow_async_github_budget_gone_seconds")
    assert gone_s == pytest.approx(700)
    assert labels["ratelimit_resource"] == "core"


def test_a_dry_run_reads_and_does_not_write() -> None:
    script = Script(Play(content=PULL))
    github = client(script, dry_run=True)

    async def body() -> None:
        await github.pull("o", "r", 7)
        await github.create_comment("o", "r", 7, "x")
        assert await github.assign("o", "r", 7, ("a",)) == ()
        await github.delete_comment("o", "r", 7)

    virtual.run(body)
    assert [sent.method for sent in script.sent] == ["GET"]
