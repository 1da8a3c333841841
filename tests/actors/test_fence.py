"""Leaders paused at every seam: the world is looked at, not the wire.

One pod at most for each attempt, no ended job changed, the last word on GitHub the job's, no comment twice.
"""

from typing import Any

import anyio
import msgspec
import pytest

from prow_async.adapters.kube import collection
from prow_async.api import names
from prow_async.api.config import Config, Plank, Sinker
from prow_async.api.jobconfig import Periodic
from tests.actors.replicas import leads, two
from tests.actors.watched import Watched, complete, is_write, overtaken
from tests.actors.worlds import POD_SPEC, PODS, Town, passes, settle, story

Json = dict[str, Any]
ENDED = {"success", "failure", "error", "aborted"}


@pytest.mark.parametrize("fate", ["stands", "ended", "swept"])
@story
async def test_a_pod_creation_under_way(fate: str) -> None:
    """It arrives when the other's pod stands, has ended, or is gone again: one pod an attempt, or deleted at once."""
    town = Town()
    seen = Watched(town)
    async with two(town, "plank") as (first, second):
        first.kube.out.hold(is_write("POST", "/pods"))
        town.kube.put(town.prowjob("a"))
        await settle()
        assert len(first.kube.out.held) == 1
        on_its_way = await overtaken(first.kube, first, second)
        assert town.kube.pod("a")
        if fate != "stands":
            town.kube.pod_ends("a")
            await passes(3)
            assert town.kube.job("a").status.state == "success"
        if fate == "swept":
            town.kube.delete_pod("a")
            await passes(3)
        on_its_way.open()
        await passes(3)
        await first.go_on()
        await passes(30)
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ([] if fate == "swept" else ["a"])
        assert seen.changed == []
        if fate != "swept":
            seen.judge()
        assert (first.leader.leading, second.leader.leading) == (False, True)


@pytest.mark.parametrize("news", ["/pods", "/prowjobs"])
@story
async def test_a_pod_creation_under_way_as_an_aborted_job_ends(news: str) -> None:
    """It arrives once the other has deleted the pod and has yet to complete the job, in the very same second.

    It is deleted, whichever news comes last: that of the pod or that of the job's end.
    """
    town = Town()
    seen = Watched(town)
    async with two(town, "plank") as (first, second):
        first.kube.out.hold(is_write("POST", "/pods"))
        town.kube.put(town.prowjob("a"))
        on_its_way = await overtaken(first.kube, first, second)
        assert town.kube.pod("a")
        second.kube.out.hold(is_write("PATCH", "/prowjobs/"))
        town.kube.set_status("a", state="aborted")
        await settle()
        assert town.kube.all_pods() == []
        second.kube.back.hold(is_write("WATCH", news))
        on_its_way.open()
        await settle()
        assert town.kube.pod("a")
        second.kube.out.open()
        await settle()
        second.kube.back.open()
        await first.go_on()
        await passes(30)
        assert town.kube.job("a").status.completion_time
        assert town.kube.all_pods() == []
        assert seen.changed == []


@story
async def test_a_successor_whose_watches_are_behind_makes_no_pod_again() -> None:
    """1. The other saw a job that needs its pod; then its watches fall silent. 2. The pod is made, the job aborted, the
    pod deleted; the leader dies. 3. The other leads, reads the job before it acts, and waits for its watches.
    """
    town = Town()
    seen = Watched(town)
    async with two(town, "plank") as (first, second):
        first.kube.out.hold(is_write("POST", "/pods"))
        town.kube.put(town.prowjob("a"))
        await settle()
        second.kube.back.hold(lambda method, path: method == "WATCH" and "/leases" not in path)
        first.kube.out.open()
        await settle()
        assert town.kube.job("a").status.state == "pending"
        first.kube.out.hold(is_write("PATCH", "/prowjobs/"))
        town.kube.set_status("a", state="aborted")
        await settle()
        assert town.kube.all_pods() == []
        first.die()
        await leads(second, 20.0)
        await passes(5)
        assert town.kube.all_pods() == []
        second.kube.back.open()
        await passes(10)
        assert (town.kube.job("a").status.state, town.kube.job("a").complete) == ("aborted", True)
        seen.judge()


@story
async def test_a_successor_whose_watches_are_behind_counts_what_runs() -> None:
    """1. The other saw a job that waits; then its watches fall silent. 2. Another job gets the one slot, and is
    aborted; the leader dies before it has deleted the pod. 3. The other has seen neither job nor pod, and counts it.
    """
    plank = Plank(max_concurrency=1, job_queue_capacities={"q": 0})
    town = Town(Config(plank=plank))
    async with two(town, "plank") as (first, second):
        town.kube.put(town.prowjob("waits", job_queue_name="q"))
        await settle()
        second.kube.back.hold(lambda method, path: method == "WATCH" and "/leases" not in path)
        first.kube.out.hold(is_write("DELETE", "/pods/"))
        town.kube.put(town.prowjob("runs"))
        await settle()
        town.kube.set_status("runs", state="aborted")
        await settle()
        first.die()
        await leads(second, 20.0)
        await passes(2)
        town.config.change(plank=msgspec.structs.replace(plank, job_queue_capacities={"q": 1}))
        await passes(2)
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["runs"]
        second.kube.back.open()
        await passes(10)
        assert town.kube.job("runs").complete
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["waits"]


@story
async def test_a_state_patch_under_way() -> None:
    """`pending` arrives when the job has long succeeded: it has no effect."""
    town = Town()
    seen = Watched(town)
    async with two(town, "plank") as (first, second):
        first.kube.out.hold(is_write("PATCH", "/prowjobs/"))
        town.kube.put(town.prowjob("a"))
        on_its_way = await overtaken(first.kube, first, second)
        town.kube.pod_ends("a")
        await passes(3)
        on_its_way.open()
        await first.go_on()
        await passes(30)
        assert town.kube.job("a").status.state == "success"
        seen.judge()


@story
async def test_a_deletion_under_way_meets_the_next_pod() -> None:
    """An evicted pod's deletion arrives when the next attempt's pod stands under its name: that one lives on."""
    town = Town()
    seen = Watched(town)
    async with two(town, "plank") as (first, second):
        town.kube.put(town.prowjob("a"))
        await settle()
        first.kube.out.hold(is_write("DELETE", "/pods/"))
        town.kube.set_pod("a", phase="Failed", reason="Evicted")
        on_its_way = await overtaken(first.kube, first, second)
        await passes(5)
        uid = town.kube.pod("a")["metadata"]["uid"]
        assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "1"
        on_its_way.open()
        await first.go_on()
        await passes(30)
        assert town.kube.pod("a")["metadata"]["uid"] == uid
        seen.judge()


@story
async def test_between_reading_and_writing() -> None:
    """A leader that has just read that a pod is gone, and then stands still, writes nothing of it afterwards."""
    town = Town(Config(plank=Plank(max_revivals=0)))
    seen = Watched(town)
    async with two(town, "plank") as (first, second):
        town.kube.put(town.prowjob("a"))
        await settle()
        first.kube.back.hold(is_write("GET", "/pods/a"))
        second.kube.back.hold(is_write("WATCH", "/pods"))
        town.kube.ask("DELETE", collection.PODS.path(PODS, "a"))
        await settle()
        assert first.kube.back.held
        pod = town.pod_of("a", build_id="99")
        first.clock.stop()
        await passes(9)
        second.kube.back.open()
        await settle()
        before = len(first.faults.writes())
        first.clock.go_on()
        first.kube.back.open()
        await passes(3)
        writes = [line for line in first.faults.writes()[before:] if "/leases" not in line]
        assert writes == []
        assert pod
        assert seen.changed == []


@story
async def test_a_sweep_under_way_meets_a_new_object_of_that_name() -> None:
    town = Town(Config(sinker=Sinker(resync_period_s=60.0, max_prowjob_age_s=600.0)))
    town.kube.put(town.presubmit("a"))
    complete(town, "a", "success")
    async with two(town, "sinker") as (first, second):
        first.kube.out.hold(is_write("DELETE", "/prowjobs/"))
        await passes(700)
        on_its_way = await overtaken(first.kube, first, second)
        await passes(70)
        assert town.kube.all_jobs() == []
        town.kube.put(town.presubmit("a"))
        on_its_way.open()
        await first.go_on()
        await passes(30)
        assert [job.metadata.name for job in town.kube.all_jobs()] == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "due_s"), [({"interval": "1h"}, 3700), ({"cron": "* * * * *"}, 61)])
@story
async def test_a_periodic_under_way_is_one_object(kind: Json, due_s: float) -> None:
    """1. Its creation waits on the wire; the other starts the slot. 2. It arrives: no second run."""
    periodic = Periodic(name="tick", agent="kubernetes", spec=POD_SPEC, **kind)
    town = Town(Config(periodics=(periodic,)))
    async with two(town, "horologium") as (first, second):
        await passes(61)
        assert len(town.kube.all_jobs()) == 1
        for job in town.kube.all_jobs():
            complete(town, job.metadata.name, "success")
        first.kube.out.hold(is_write("POST", "/prowjobs"))
        await passes(due_s)
        on_its_way = await overtaken(first.kube, first, second)
        await passes(20)
        before = {job.metadata.name for job in town.kube.all_jobs()}
        assert len(before) == 2
        on_its_way.open()
        await settle()
        assert {job.metadata.name for job in town.kube.all_jobs()} == before
        await first.go_on()
        await passes(1)
        slots = [job.metadata.annotations.get(names.CAUSE) for job in town.kube.all_jobs()]
        assert len(slots) == len(set(slots))


async def kubelet(town: Town, codes: dict[str, int]) -> None:
    """Run every pod for two seconds; it ends as its job is meant to."""
    while True:
        for pod in town.kube.all_pods():
            name, phase = pod["metadata"]["name"], pod.get("status", {}).get("phase") or "Pending"
            if phase == "Pending":
                town.kube.pod_runs(name)
            elif phase == "Running":
                town.kube.pod_ends(name, codes[name])
        await passes(2)


SEAMS = [(number, fate) for number in range(1, 25) for fate in ("sent", "answered", "dead")]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "fate"), SEAMS)
@story
async def test_paused_at_every_seam(number: int, fate: str) -> None:
    """1. Two jobs live, one fails. 2. The leader of everything stands still at its Nth request, sent or answered.

    3. The other takes over. 4. What was sent arrives; the first goes on, or dies. 5. The world shows nothing of it.
    """
    town = Town()
    seen = Watched(town)
    pull, sha = town.open_pull()
    components = ("plank", "crier", "sinker")
    async with two(town, components) as (first, second), anyio.create_task_group() as group:
        group.start_soon(kubelet, town, {"good": 0, "bad": 1})
        first.pause_at(number, fate == "answered")
        town.kube.put(town.presubmit("good", pull, sha, job="good", context="good"))
        town.kube.put(town.presubmit("bad", pull, sha, job="bad", context="bad"))
        await passes(20)
        assert first.paused is second.leader.leading
        assert first.paused or number > 15, "the lives have become shorter: so must be the list of seams"
        if fate == "dead":
            first.die()
        await first.go_on()
        await passes(100)
        states = {job.metadata.name: job.status.state for job in town.kube.all_jobs()}
        assert states == {"good": "success", "bad": "failure"}
        assert seen.statuses(sha) == states
        assert len(seen.comments(pull)) == 1
        seen.judge()
        group.cancel_scope.cancel()
