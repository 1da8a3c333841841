"""Who may act: each step of one replica, and no two at once whatever the network and the clocks do."""

import heapq
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prow_async.core import lease

Json = dict[str, Any]
WALL = 1_767_322_800.25
TIMING = lease.Timing(8, 6.0, 2.0)


def lock(**more: Any) -> lease.Lock:
    return lease.Lock(name="a-lock", identity="me_1", timing=TIMING, **more)


def stands(holder: str = "other_2", version: str = "7", **spec: Any) -> Json:
    """Return a Lease as client-go writes it."""
    whole = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.000000Z",
        "leaseTransitions": 3,
    }
    meta = {"name": "a-lock", "namespace": "prow", "resourceVersion": version, "uid": "u", "labels": {"a": "b"}}
    return {"kind": "Lease", "metadata": meta, "spec": {**whole, **spec}}


def leading(at_s: float = 100.0, holder: str = "") -> lease.Lock:
    seen = lease.observe(lock(), stands(holder), at_s)
    step = lease.decide(seen, at_s, WALL)
    assert isinstance(step, lease.Write)
    return lease.wrote(seen, {**step.body, "metadata": {"resourceVersion": "8"}}, at_s)


def test_it_looks_before_it_says_anything() -> None:
    assert lease.decide(lock(), 5.0, WALL) == lease.Look()


def test_a_lease_that_is_not_there_is_created() -> None:
    step = lease.decide(lease.observe(lock(), None, 5.0), 5.0, WALL)
    assert isinstance(step, lease.Write)
    assert step.create
    assert step.body == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "a-lock"},
        "spec": {
            "holderIdentity": "me_1",
            "leaseDurationSeconds": 8,
            "acquireTime": "2026-01-02T03:00:00.250000Z",
            "renewTime": "2026-01-02T03:00:00.250000Z",
            "leaseTransitions": 0,
        },
    }


def test_another_claim_counts_as_long_as_it_says_from_when_we_saw_it() -> None:
    """1. Held: wait its 15 s, by our clock, whatever its times say. 2. A renewal puts it off. 3. Then it is taken."""
    seen = lease.observe(lock(), stands(), 100.0)
    assert lease.decide(seen, 114.9, WALL) == lease.Wait(115.0, "held by other_2")
    again = lease.observe(seen, stands(version="8"), 110.0)
    assert lease.decide(again, 124.9, WALL) == lease.Wait(125.0, "held by other_2")
    assert lease.observe(again, stands(version="8"), 120.0) == again
    step = lease.decide(again, 125.0, WALL)
    assert isinstance(step, lease.Write)
    assert not step.create
    assert step.body["metadata"] == stands(version="8")["metadata"]
    spec = step.body["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("me_1", 4, 8)
    assert spec["acquireTime"] == spec["renewTime"] == "2026-01-02T03:00:00.250000Z"


@pytest.mark.parametrize("holder", ["", None])
def test_a_released_lease_is_taken_at_once(holder: str | None) -> None:
    step = lease.decide(lease.observe(lock(), stands(holder, leaseDurationSeconds=1), 100.0), 100.0, WALL)  # type: ignore[arg-type]
    assert isinstance(step, lease.Write)
    assert step.body["spec"]["leaseTransitions"] == 4


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": 5, "leaseDurationSeconds": "x"}])
def test_a_lease_without_sense_is_nobodys(spec: Any) -> None:
    step = lease.decide(lease.observe(lock(), {**stands(), "spec": spec}, 100.0), 100.0, WALL)
    assert isinstance(step, lease.Write)
    assert step.body["spec"]["leaseTransitions"] == 1


@pytest.mark.parametrize("told", [None, 0, -3, "15"])
def test_a_holder_that_says_no_duration_gets_ours(told: Any) -> None:
    seen = lease.observe(lock(), stands(leaseDurationSeconds=told), 100.0)
    assert lease.decide(seen, 100.0, WALL) == lease.Wait(108.0, "held by other_2")


def test_our_own_name_on_it_is_taken_up_again() -> None:
    """After an outage of the API server nobody else has it: no wait, no transition."""
    step = lease.decide(lease.observe(lock(), stands("me_1"), 100.0), 100.0, WALL)
    assert isinstance(step, lease.Write)
    assert step.body["spec"]["leaseTransitions"] == 3
    assert step.body["spec"]["acquireTime"] == "2026-01-01T00:00:00.000000Z"


def test_a_deleted_lease_frees_nobodys_place_before_its_time() -> None:
    gone = lease.observe(lease.observe(lock(), stands(), 100.0), None, 101.0)
    assert lease.decide(gone, 114.0, WALL) == lease.Wait(115.0, "held by other_2")
    step = lease.decide(gone, 115.0, WALL)
    assert isinstance(step, lease.Write)
    assert step.create


def test_a_leader_renews_every_retry_period() -> None:
    """1. Not before it is due. 2. acquireTime and transitions stay. 3. Unknown fields stay."""
    ours = leading()
    assert lease.decide(ours, 101.9, WALL) == lease.Wait(102.0, "leading")
    step = lease.decide(ours, 102.0, WALL + 2)
    assert isinstance(step, lease.Write)
    assert step.body["spec"]["acquireTime"] == "2026-01-02T03:00:00.250000Z"
    assert step.body["spec"]["renewTime"] == "2026-01-02T03:00:02.250000Z"
    assert step.body["spec"]["leaseTransitions"] == 4


def test_a_renewal_that_fails_is_tried_again_soon_until_the_deadline() -> None:
    """1. The time of sending counts, not the answer's. 2. Failures: again after a quarter. 3. Then down, fenced."""
    ours = leading()
    failed = lease.tried(ours, 102.0)
    assert lease.decide(failed, 102.4, WALL) == lease.Wait(102.5, "leading")
    assert lease.decide(failed, 102.5, WALL) == lease.Look()
    assert lease.held(failed, 105.9)
    assert not lease.held(failed, 106.0)
    step = lease.decide(failed, 106.0, WALL)
    assert isinstance(step, lease.StepDown)
    assert "not renewed for 6.0 s" in step.why
    down = lease.stepped_down(failed)
    assert not lease.held(down, 100.0)
    assert lease.decide(down, 106.0, WALL) == lease.Look()


@pytest.mark.parametrize(("holder", "why"), [("other_2", "other_2 has taken it"), ("", "somebody has released it")])
def test_a_leader_that_sees_another_steps_down(holder: str, why: str) -> None:
    doubtful = lease.tried(leading(), 102.0)
    assert lease.decide(lease.observe(doubtful, stands(holder, "9"), 102.1), 102.1, WALL) == lease.StepDown(why)


def test_a_leader_whose_lease_is_deleted_makes_it_anew() -> None:
    gone = lease.observe(lease.tried(leading(), 102.0), None, 102.6)
    step = lease.decide(gone, 102.6, WALL)
    assert isinstance(step, lease.Write)
    assert step.create


def test_a_standby_that_loses_the_race_does_not_storm() -> None:
    free = lease.tried(lease.observe(lock(), stands(""), 100.0), 100.0)
    assert lease.decide(free, 100.1, WALL) == lease.Look()
    looked = lease.observe(free, stands("", "8"), 100.1)
    assert lease.decide(looked, 100.1, WALL) == lease.Wait(100.5, "the last try failed")


def test_release() -> None:
    """As client-go: no holder, one second, transitions kept; only what is ours, only when we know how it stands."""
    body = lease.release(leading(), WALL)
    assert body is not None
    assert body["spec"] == {
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "acquireTime": "2026-01-02T03:00:00.250000Z",
        "renewTime": "2026-01-02T03:00:00.250000Z",
        "leaseTransitions": 4,
    }
    assert body["metadata"]["resourceVersion"] == "8"
    assert lease.release(lease.observe(lock(), stands(), 1.0), WALL) is None
    assert lease.release(lease.tried(leading(), 101.0), WALL) is None


@pytest.mark.parametrize(
    ("timing", "word"),
    [
        (lease.Timing(), ""),
        (lease.Timing(15, 10.0, 2.0), ""),
        (lease.Timing(0, -1.0, -2.0), "at least 1 s"),
        (lease.Timing(8, 8.0, 2.0), "shorter than the lease duration"),
        (lease.Timing(8, 6.0, 5.0), "retry period"),
        (lease.Timing(8, 6.0, 0.0), "retry period"),
    ],
)
def test_times_that_fit_together(timing: lease.Timing, word: str) -> None:
    assert word in lease.check(timing)
    assert bool(word) is bool(lease.check(timing))


class Server:
    """One Lease, replaced on condition of its version."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self._versions = itertools.count(1)

    def write(self, step: lease.Write) -> Json | None:
        """Return the Lease as stored, None for a conflict."""
        stands = "" if self.lease is None else lease.version(self.lease)
        based = "" if step.create else lease.version(step.body)
        if based != stands:
            return None
        meta = {**step.body["metadata"], "resourceVersion": str(next(self._versions))}
        self.lease = {**step.body, "metadata": meta}
        return self.lease


WAITS = st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5, 5.9, 7.0, 30.0])
STALL = st.tuples(WAITS, WAITS, st.booleans())
"""How long a request travels, how long its answer does, and whether the answer arrives."""


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    rates=st.lists(st.sampled_from([1.0, 0.98, 1.02, 0.9]), min_size=2, max_size=3),
    offsets=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
    stalls=st.lists(STALL, min_size=1, max_size=60),
)
def test_no_two_may_write_at_once(
    rates: list[float], offsets: list[float], stalls: list[tuple[float, float, bool]]
) -> None:
    """Whatever requests take, and however far clocks are apart: the times in which replicas may write never overlap."""
    server, now_s, weather = Server(), 0.0, itertools.cycle(stalls)
    replicas = [msgspec.structs.replace(lock(), identity=f"replica_{number}") for number in range(len(rates))]
    queue: list[tuple[float, int, int, Any]] = [(0.0, number, number, None) for number in range(len(rates))]
    order = itertools.count(len(rates))

    def local(number: int, at_s: float) -> float:
        return at_s * rates[number] + offsets[number]

    def may_write(at_s: float) -> int:
        return sum(lease.held(one, local(number, at_s)) for number, one in enumerate(replicas))

    while queue and now_s < 300.0:
        at_s, _, number, done = heapq.heappop(queue)
        for point in (now_s, (now_s + at_s) / 2, at_s):
            assert may_write(point) <= 1
        now_s = at_s
        if callable(done):
            later = done()
            if later is not None:
                heapq.heappush(queue, (later[0], next(order), number, later[1]))
                continue
        for pushed in _turn(server, replicas, number, (now_s, local, next(weather))):
            heapq.heappush(queue, (pushed[0], next(order), number, pushed[1]))


def _turn(server: Server, replicas: list[lease.Lock], number: int, scene: Any) -> list[tuple[float, Any]]:
    """Let a replica take its step; return what happens next, and when."""
    now_s, local, (there_s, back_s, arrives) = scene
    one, own_s = replicas[number], local(number, now_s)
    step = lease.decide(one, own_s, WALL + own_s)
    rate = local(number, 1.0) - local(number, 0.0)
    match step:
        case lease.Wait(until_s=until_s):
            return [(now_s + max(0.001, (until_s - own_s) / rate), None)]
        case lease.StepDown():
            replicas[number] = lease.stepped_down(one)
            return [(now_s, None)]
        case lease.Look():

            def seen() -> Any:
                found = server.lease

                def told() -> None:
                    replicas[number] = lease.observe(replicas[number], found, local(number, now_s + there_s + back_s))

                return now_s + there_s + back_s, told

            return [(now_s + there_s, seen)]
        case lease.Write():

            def landed() -> Any:
                stored = server.write(step)
                for other, known in enumerate(replicas):
                    if stored is not None and arrives and known.known and known.renewed_s is None:
                        replicas[other] = lease.observe(known, stored, local(other, now_s + there_s))

                def told() -> None:
                    known = replicas[number]
                    if stored is None or not arrives:
                        replicas[number] = lease.tried(known, own_s)
                    else:
                        replicas[number] = lease.wrote(known, stored, own_s)

                return now_s + there_s + back_s, told

            return [(now_s + there_s, landed)]
