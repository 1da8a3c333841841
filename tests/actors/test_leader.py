"""Who acts when: a standby waits warm, takes over in time, and a leader that loses its lease stands by again."""

from typing import Any

import anyio
import pytest

from prow_async.actors.leader import Candidacy
from prow_async.adapters.kube import collection
from prow_async.api import names
from prow_async.core import lease
from prow_async.sandbox.faults import Fault
from tests.actors.replicas import Replica, leads, lease_of, two
from tests.actors.script import DROP
from tests.actors.worlds import JOBS, Town, passes, settle, story

Json = dict[str, Any]
LOCK = names.LEASES["plank"]


def upstream_lease(town: Town, holder: str = "prow-controller-manager-5d4_8e1", **spec: Any) -> None:
    """Write the Lease as controller-runtime does."""
    whole = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T02:00:00.000000Z",
        "renewTime": "2026-01-02T03:00:00.000000Z",
        "leaseTransitions": 4,
        **spec,
    }
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LOCK, "namespace": JOBS},
        "spec": whole,
    }
    town.kube.ask("POST", collection.LEASES.path(JOBS), body)


def renew(town: Town, second: int) -> None:
    spec = {"renewTime": f"2026-01-02T03:00:{second:02d}.000000Z"}
    town.kube.ask("PATCH", collection.LEASES.path(JOBS, LOCK), {"spec": spec})


def measured(replica: Replica, name: str) -> float:
    return replica.engine.parts.metrics.total(name, component="plank")  # type: ignore[attr-defined]


@story
async def test_one_leads_one_stands_by() -> None:
    """1. The first creates the Lease in upstream's shape. 2. Both are ready. 3. Only the first makes the pod."""
    town = Town()
    async with two(town, "plank") as (first, second):
        spec = lease_of(town, "plank")
        assert spec["holderIdentity"] == "first_1"
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (8, 0)
        assert first.engine.ready
        assert second.engine.ready
        town.kube.put(town.prowjob("a"))
        await passes(60)
        assert town.kube.pod("a")
        assert not [line for line in second.faults.writes() if "/leases" not in line]
        assert lease_of(town, "plank")["leaseTransitions"] == 0


@story
async def test_kill_nine_hands_over_within_ten_seconds() -> None:
    """1. The leader dies. 2. The other acts within 10 s, on a store that was warm. 3. One transition is counted."""
    town = Town()
    async with two(town, "plank") as (first, second):
        await passes(30)
        town.kube.put(town.prowjob("a"))
        first.die()
        assert await leads(second, 10.0) >= 6.0
        await settle()
        assert town.kube.pod("a")
        assert second.leader.inherited
        assert lease_of(town, "plank")["leaseTransitions"] == 1
        watches = [line for line in second.faults.asked if "prowjobs?watch" in line]
        assert len(watches) == 1, "the standby had to fill its store again"


@story
async def test_sigterm_hands_over_within_a_second() -> None:
    """1. The leader gives the lease up. 2. The other has it in less than 1 s, by its watch. 3. It doubts nothing."""
    town = Town()
    async with two(town, "plank") as (first, second):
        await passes(31.3)
        await first.stop()
        assert await leads(second, 1.0) < 1.0
        assert not second.leader.inherited
        assert lease_of(town, "plank")["holderIdentity"] == "second_2"
        town.kube.put(town.prowjob("a"))
        await settle()
        assert town.kube.pod("a")


@story
async def test_the_last_one_leaves_the_lease_free_as_upstream_does() -> None:
    town = Town()
    async with two(town, "plank") as (first, second):
        await second.stop()
        await first.stop()
        spec = lease_of(town, "plank")
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("", 1, 0)


@story
async def test_upstream_holds_the_lock() -> None:
    """1. While upstream renews we wait. 2. When it falls silent its own 15 s count, not our 8."""
    town = Town()
    upstream_lease(town)
    async with anyio.create_task_group() as group:
        ours = Replica(town, "plank", "ours_1", group)
        await ours.start()
        for second in range(0, 40, 2):
            renew(town, second)
            await passes(2)
            assert not ours.leader.leading
        assert await leads(ours, 20.0) >= 12.0
        spec = lease_of(town, "plank")
        assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("ours_1", 5, 8)
        group.cancel_scope.cancel()


@story
async def test_a_lease_upstream_released_is_taken_at_once() -> None:
    town = Town()
    upstream_lease(town, holder="", leaseDurationSeconds=1)
    async with anyio.create_task_group() as group:
        ours = Replica(town, "plank", "ours_1", group)
        await ours.start()
        assert ours.leader.leading
        group.cancel_scope.cancel()


@story
async def test_upstream_takes_a_lock_from_us_and_we_stand_by() -> None:
    """1. Another writes its name over ours. 2. Our next renewal fails, actors stop, the process lives on."""
    town = Town()
    async with two(town, "plank") as (first, second):
        second.die()
        town.kube.ask("PATCH", collection.LEASES.path(JOBS, LOCK), {"spec": {"holderIdentity": "upstream_9"}})
        await passes(3)
        assert not first.leader.leading
        town.kube.put(town.prowjob("a"))
        await passes(2)
        assert town.kube.all_pods() == []
        assert await leads(first, 10.0) > 0
        await settle()
        assert town.kube.pod("a")


@story
async def test_the_api_server_is_away_longer_than_the_lease() -> None:
    """1. The leader steps down before anybody may take over. 2. Back, one of them leads again; no job is lost."""
    town = Town()
    async with two(town, "plank") as (first, second):
        for replica in (first, second):
            for method in ("GET", "PUT", "POST", "PATCH"):
                replica.faults.fail(method, "/", DROP, times=1_000_000)
        await passes(5.9)
        assert first.leader.leading
        await passes(2.5)
        assert not first.leader.leading
        await passes(120)
        assert not second.leader.leading
        town.kube.put(town.prowjob("a"))
        first.faults.heal()
        second.faults.heal()
        await passes(90)
        assert first.leader.leading is not second.leader.leading
        assert town.kube.pod("a")


@story
async def test_one_lost_renewal_costs_nothing() -> None:
    """Dropped before and after its effect, and refused: the leader renews again in time."""
    town = Town()
    async with two(town, "plank") as (first, second):
        for fault, done in ((DROP, False), (DROP, True), (Fault("answer", 500), True), (Fault("answer", 409), False)):
            first.faults.fail("PUT", "/leases/", fault, times=2, done=done)
            await passes(20)
            assert first.leader.leading
        assert not second.leader.leading
        assert lease_of(town, "plank")["leaseTransitions"] == 0


@story
async def test_a_lease_that_somebody_deletes() -> None:
    """The leader makes it anew; nobody jumps in while it may be at work."""
    town = Town()
    async with two(town, "plank") as (first, second):
        await passes(1)
        town.kube.ask("DELETE", collection.LEASES.path(JOBS, LOCK))
        for _ in range(100):
            assert not second.leader.leading
            await passes(0.1)
        assert first.leader.leading
        assert lease_of(town, "plank")["holderIdentity"] == "first_1"


@pytest.mark.parametrize("status", [403, 401])
@story
async def test_without_leave_to_watch_it_reads_again_and_again(status: int) -> None:
    """Roles written for upstream allow get, create and update: hand-over after a release takes a retry period."""
    town = Town()
    async with two(town, "plank") as (first, second):
        second.die()
        async with anyio.create_task_group() as group:
            third = Replica(town, "plank", "third_3", group)
            third.faults.fail("GET", "/leases?", Fault("answer", status), times=1_000_000)
            await third.start()
            await passes(20)
            await first.stop()
            assert await leads(third, 2.2) > 0
            group.cancel_scope.cancel()


@story
async def test_wall_clocks_an_hour_apart() -> None:
    """Only intervals count."""
    town = Town()
    async with anyio.create_task_group() as group:
        first = Replica(town, "plank", "first_1", group, skew_s=-3600.0)
        second = Replica(town, "plank", "second_2", group, skew_s=3600.0)
        await first.start()
        await second.start()
        for _ in range(60):
            await passes(1)
            assert (first.leader.leading, second.leader.leading) == (True, False)
        first.die()
        assert await leads(second, 10.0) >= 6.0
        group.cancel_scope.cancel()


@story
async def test_other_times() -> None:
    """Upstream's 15, 10 and 2 seconds are there for those who want them."""
    town = Town()
    async with two(town, "plank", timing=lease.Timing(15, 10.0, 2.0)) as (first, second):
        assert lease_of(town, "plank")["leaseDurationSeconds"] == 15
        first.die()
        assert await leads(second, 16.0) >= 13.0


@story
async def test_a_standby_holds_no_mail_and_its_gauges_say_what_it_is() -> None:
    """1. A thousand jobs come and go: nothing is kept for them. 2. prow_async_leading is 0, prowjobs is not counted."""
    town = Town()
    async with anyio.create_task_group() as group:
        upstream_lease(town, leaseDurationSeconds=100_000)
        ours = Replica(town, "plank", "ours_1", group)
        await ours.start()
        for number in range(50):
            town.kube.put(town.prowjob(f"j{number}"))
        await settle()
        assert ours.engine.job_actors is not None
        assert ours.engine.job_actors.actors.statistics()["depth"] == 0
        assert measured(ours, "prow_async_leading") == 0
        assert measured(ours, "prow_async_lease_transitions") == 4
        assert town.metrics.total("prowjobs") == town.metrics.total("prowjob_state_transitions") == 0
        assert ours.engine.idle
        group.cancel_scope.cancel()


@story
async def test_dry_run_takes_no_lease() -> None:
    town = Town()
    town.kube.put(town.prowjob("a"))
    lock = lease.Lock(name=LOCK, identity="dry_1")
    dry = {"plank": Candidacy(town.kube.collection(collection.LEASES, JOBS), lock)}
    async with town.engine("plank", dry_run=True, leases=dry) as engine:
        assert engine.leaders == {}
        await passes(30)
    assert town.kube.world.objects("leases", JOBS) == []


@pytest.mark.parametrize("answered", [True, False])
@story
async def test_stopped_while_it_takes_the_lease(answered: bool) -> None:
    """The write had its effect, the answer did not come: what is ours is given up all the same."""
    town = Town()
    async with anyio.create_task_group() as group:
        ours = Replica(town, "plank", "ours_1", group)
        gate = ours.kube.back if answered else ours.kube.out
        gate.hold(lambda method, path: method == "POST" and "/leases" in path)
        await ours.start()
        assert not ours.leader.leading
        await ours.stop()
        gate.open()
        await settle()
        if answered:
            assert lease_of(town, "plank")["holderIdentity"] == ""
        group.cancel_scope.cancel()
