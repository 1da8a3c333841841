"""Slots: never more than the limits, the oldest first, nobody forgotten; and what is said to those who wait."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prow_async.api.views import JobView
from prow_async.core import slots
from prow_async.core.slots import Claim, Limits, Slots


def claim(name: str, created_s: float = 0.0, **more: Any) -> Claim:
    return Claim(
        **{"created_s": created_s, "name": name, "job": "unit", "queue": "", "cluster": "c", "limit": 0, **more}
    )


def job(**more: Any) -> JobView:
    base: dict[str, Any] = {"name": "j", "namespace": "n", "uid": "u", "resource_version": "1", "created_s": 5.0}
    return JobView(**{**base, "type": "periodic", "agent": "kubernetes", "job": "unit", "state": "triggered", **more})


@pytest.mark.parametrize(
    ("view", "pod", "role"),
    [
        (job(), "absent", "waits"),
        (job(), "there", "holds"),
        (job(), "unknown", "holds"),
        (job(deleting=True), "absent", "out"),
        (job(deleting=True), "there", "holds"),
        (job(state="pending"), "absent", "holds"),
        (job(state="aborted"), "absent", "out"),
        (job(state="aborted"), "there", "holds"),
        (job(state="aborted"), "unknown", "holds"),
        (job(state="aborted", completion_s=9.0), "there", "out"),
        (job(state="success", completion_s=9.0), "there", "out"),
        (job(state="scheduling"), "absent", "out"),
        (job(agent="jenkins", state="pending"), "absent", "out"),
    ],
)
def test_roles(view: JobView, pod: slots.Pod, role: str) -> None:
    """Who has a pod, or may have one, holds a slot until he is complete."""
    assert slots.role(view, pod) == role


def test_a_claim_is_read_from_the_job() -> None:
    view = job(max_concurrency=3, job_queue_name="q", cluster="west")
    assert slots.claim_of(view) == Claim(5.0, "j", "unit", "q", "west", 3)


def test_oldest_first_and_never_more_than_the_job_allows() -> None:
    s = Slots()
    for at, name in enumerate("abcd"):
        s.wait(claim(name, 10 - at, limit=2))
    assert s.grant() == ["d", "c"]
    assert s.grant() == []
    s.drop("d")
    assert s.grant() == ["b"]
    s.drop("a")  # aborted while it waited
    s.drop("c")
    assert s.grant() == []
    assert s.waiting == 0


def test_one_full_job_leaves_its_queue_to_others() -> None:
    """A hundred runs of one job that may run once keep nobody else in their queue waiting."""
    s = Slots(Limits(queues={"q": 3}))
    for at in range(100):
        s.wait(claim(f"slow-{at:03}", at, job="slow", limit=1, queue="q"))
    for at in range(4):
        s.wait(claim(f"quick-{at}", 200 + at, job="quick", queue="q"))
    assert s.grant() == ["slow-000", "quick-0", "quick-1"]
    s.drop("slow-000")
    assert s.grant() == ["slow-001"]
    s.drop("quick-0")
    assert s.grant() == ["quick-2"]


@pytest.mark.parametrize(
    ("capacity", "granted"), [({"q": -1}, ["a", "b", "c"]), ({"q": 2}, ["a", "b"]), ({"q": 0}, []), ({}, [])]
)
def test_capacities_of_queues(capacity: dict[str, int], granted: list[str]) -> None:
    """Below 0 unlimited, 0 closed, and so is a queue nobody knows; new limits are taken at once."""
    s = Slots(Limits(queues=capacity))
    for at, name in enumerate("abc"):
        s.wait(claim(name, at, queue="q"))
    assert s.grant() == granted
    s.limit(Limits(queues={"q": 3}))
    assert granted + s.grant() == ["a", "b", "c"]


def test_what_was_seen_counts_beyond_the_limit() -> None:
    """More run than a lowered limit allows: none is taken away, none is added until enough have ended."""
    s = Slots(Limits(total=1))
    for name in "abc":
        s.hold(claim(name))
    s.wait(claim("w", 1))
    for name in "ab":
        s.drop(name)
        assert s.grant() == []
    s.drop("c")
    assert s.grant() == ["w"]


def test_a_shut_cluster_takes_no_slots_and_holds_up_no_other() -> None:
    s = Slots(Limits(total=1))
    s.shut("away", True)
    s.wait(claim("a", 1, cluster="away"))
    s.wait(claim("b", 2, cluster="here"))
    assert s.grant() == ["b"]
    s.drop("b")
    assert s.grant() == []
    s.shut("away", False)
    assert s.grant() == ["a"]


def test_place_and_reason() -> None:
    s = Slots(Limits(total=4, queues={"q": 2, "shut": 0}))
    s.hold(claim("r1", 1, limit=1, queue="q"))
    s.hold(claim("r2", 2, job="other", queue="q"))
    for at, name in enumerate("abc"):
        s.wait(claim(name, 10 + at, limit=1, queue="q"))
    s.wait(claim("x", 5, job="x", queue="q"))
    s.wait(claim("y", 6, job="y", queue="shut"))
    s.wait(claim("z", 7, job="z", queue="gone"))
    s.grant()
    assert s.standing("b") == slots.Standing(
        2,
        3,
        "max_concurrency of job unit is 1, and r1 holds slots; the capacity of queue q is 2, and r1, r2 hold slots",
    )
    assert s.standing("x") == slots.Standing(1, 4, "the capacity of queue q is 2, and r1, r2 hold slots")
    assert s.standing("y") == slots.Standing(1, 1, "its queue shut is closed: its capacity is 0")
    assert s.standing("z") == slots.Standing(1, 1, "its queue gone is not in plank.job_queue_capacities")
    assert s.standing("r1") is None
    assert s.standing("nobody") is None
    s.hold(claim("r3", 3, job="more"))
    s.hold(claim("r4", 4, job="more"))
    told = s.standing("x")
    assert told is not None
    assert told.why.endswith("plank.max_concurrency is 4, and r1, r2, r3, r4 hold slots")
    assert s.overview()[0] == "slots held: 4 of 4; jobs that wait: 6"


def model(held: dict[str, Claim], waiting: dict[str, Claim], limits: Limits, shut: set[str]) -> list[str]:
    """Go through the line once, from the oldest to the youngest, in plain words."""
    held, granted, stuck = dict(held), [], set()
    for one in sorted(waiting.values(), key=lambda c: (c.created_s, c.name)):
        same_job = [h for h in held.values() if h.job == one.job]
        same_queue = [h for h in held.values() if h.queue == one.queue]
        capacity = limits.queues.get(one.queue, 0)
        fits = (
            one.line not in stuck
            and one.cluster not in shut
            and (limits.total <= 0 or len(held) < limits.total)
            and (one.limit == 0 or len(same_job) < one.limit)
            and (not one.queue or capacity < 0 or len(same_queue) < capacity)
        )
        if fits:
            held[one.name] = one
            granted.append(one.name)
        else:
            stuck.add(one.line)
    return granted


claims = st.builds(
    Claim,
    created_s=st.integers(0, 9).map(float),
    name=st.sampled_from([f"n{i}" for i in range(14)]),
    job=st.sampled_from(["p", "q", "r"]),
    queue=st.sampled_from(["", "", "one", "two", "shut", "unknown"]),
    cluster=st.sampled_from(["c", "d"]),
    limit=st.integers(0, 3),
)
all_limits = st.builds(
    Limits,
    total=st.integers(0, 5),
    queues=st.fixed_dictionaries({"one": st.integers(-1, 3), "two": st.integers(1, 2), "shut": st.just(0)}),
)
moves = st.one_of(
    st.tuples(st.just("wait"), claims),
    st.tuples(st.just("wait"), claims),
    st.tuples(st.just("hold"), claims),
    st.tuples(st.just("drop"), claims),
    st.tuples(st.just("drop"), claims),
    st.tuples(st.just("limit"), all_limits),
    st.tuples(st.just("shut"), st.tuples(st.sampled_from(["c", "d"]), st.booleans())),
    st.tuples(st.just("grant"), st.none()),
)


@settings(max_examples=400, deadline=None)
@given(all_limits, st.lists(moves, max_size=60))
def test_every_grant_is_the_models(limits: Limits, script: list[tuple[str, Any]]) -> None:
    """Whatever came before, slots go to those, and in the order, that one look at everybody would give them to."""
    s = Slots(limits)
    held: dict[str, Claim] = {}
    waiting: dict[str, Claim] = {}
    shut: set[str] = set()
    for what, value in [*script, ("grant", None)]:
        match what:
            case "wait":
                s.wait(value)
                held.pop(value.name, None)
                waiting[value.name] = value
            case "hold":
                s.hold(value)
                waiting.pop(value.name, None)
                held[value.name] = value
            case "drop":
                s.drop(value.name)
                waiting.pop(value.name, None)
                held.pop(value.name, None)
            case "limit":
                s.limit(value)
                limits = value
            case "shut":
                s.shut(*value)
                (shut.add if value[1] else shut.discard)(value[0])
            case _:
                expected = model(held, waiting, limits, shut)
                assert s.grant() == expected
                for name in expected:
                    held[name] = waiting.pop(name)
        assert s.waiting == len(waiting)
        assert all(s.holds(name) for name in held)
        for name in waiting:
            standing = s.standing(name)
            assert standing is not None
            assert 1 <= standing.place <= standing.of <= len(waiting)
    assert s.overview()


@pytest.mark.parametrize("leaves", ["aborted", "for another queue", "seen to run in another queue"])
def test_who_leaves_while_a_place_in_the_queue_is_his_passes_it_on(leaves: str) -> None:
    """More hold slots than plank allows. A queue gets a free place; its oldest is next, and leaves before he starts."""
    s = Slots(Limits(total=3, queues={"q": 1, "p": 0}))
    for name, queue in (("a", "q"), ("b", "")):
        s.hold(claim(name, queue=queue))
    s.wait(claim("first", 1, job="one", queue="q", limit=1))
    s.wait(claim("second", 2, job="two", queue="q", limit=1))
    assert s.grant() == []
    s.hold(claim("c"))
    s.hold(claim("d"))
    s.drop("a")
    assert s.grant() == []
    match leaves:
        case "aborted":
            s.drop("first")
        case "for another queue":
            s.wait(claim("first", 1, job="one", queue="p", limit=1))
        case _:
            s.hold(claim("first", 1, job="one", queue="p", limit=1))
            s.drop("b")
    s.drop("c")
    assert s.grant() == ["second"]


def test_what_has_left_leaves_nothing_behind() -> None:
    """A closed queue, through which ten thousand jobs came and were aborted, is as small as before."""
    s = Slots(Limits(queues={"q": 0}))
    s.wait(claim("old", 0, queue="q"))
    for at in range(10_000):
        s.wait(claim(f"n{at}", -1 - at, queue="q"))
        s.grant()
        s.drop(f"n{at}")
        s.grant()
    sizes = [len(heap) for heap in (s._ready, *s._blocked.values())]
    assert max(sizes) < 200
    assert len(s._lines["", "q", "c"]._heap) < 200
    assert msgspec.structs.astuple(s.limits) == (0, {"q": 0})
