"""Jobs that wait for slots: never more run than may, the oldest go first, and waiting costs nothing."""

from typing import Any

import anyio
import pytest

from prow_async.api import names
from prow_async.api.config import Config, Plank
from prow_async.api.prowjob import Refs
from prow_async.apps.engine import Engine
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import Town, passes, settle, story

Json = dict[str, Any]


def pending(town: Town) -> list[str]:
    return sorted(job.metadata.name for job in town.kube.all_jobs() if job.status.state == "pending")


def running(town: Town) -> int:
    """Count the jobs that have a pod, or say so, and are not complete."""
    pods = {pod["metadata"]["name"] for pod in town.kube.all_pods()}
    open_ = [job for job in town.kube.all_jobs() if job.status.completion_time is None]
    return sum(job.status.state == "pending" or job.metadata.name in pods for job in open_)


def plank(**more: Any) -> Config:
    return Config(plank=Plank(**more))


@story
async def test_a_job_runs_as_often_as_it_may() -> None:
    """1. Four runs of a job that may run twice. 2. Two start, the oldest. 3. One ends: the next starts at once."""
    town = Town()
    for name in "abcd":
        town.kube.put(town.prowjob(name, max_concurrency=2))
        await passes(1)
    async with town.engine("plank"):
        assert pending(town) == ["a", "b"]
        town.kube.pod_ends("b")
        await settle()
        assert pending(town) == ["a", "c"]
        town.kube.set_status("a", state="aborted")
        await settle()
        assert pending(town) == ["c", "d"]
        assert running(town) == 2


@pytest.mark.parametrize(
    ("config", "spec"),
    [
        (plank(max_concurrency=3), {}),
        (plank(job_queue_capacities={"q": 3}), {"job_queue_name": "q"}),
        (plank(), {"max_concurrency": 3}),
    ],
)
@story
async def test_never_more_than_the_limit_whatever_dies(config: Config, spec: Json) -> None:
    """1. Jobs come faster than they end. 2. The process dies after a write or a few. 3. Never more than 3 run."""
    town = Town(config)
    for at in range(9):
        town.kube.put(town.prowjob(f"j{at}", **spec))
    for at in range(80):
        town.kube.faults.renew()
        town.kube.faults.stop_after_write(1 + at % 4)
        async with town.engine("plank"):
            await passes(2)
            assert running(town) <= 3
        for name in pending(town)[:1]:
            town.kube.pod_ends(name)
    assert all(job.status.state == "success" for job in town.kube.all_jobs())


@story
async def test_our_own_writes_count_before_the_watch_shows_them() -> None:
    """1. The watches fall silent. 2. Slots that we took count, slots that we freed are given again."""
    town = Town(plank(max_concurrency=2))
    for name in "abcde":
        town.kube.put(town.prowjob(name))
        await passes(1)
    async with town.engine("plank"):
        assert pending(town) == ["a", "b"]
        town.kube.faults.watch_line = lambda line: []
        town.kube.put(town.prowjob("f"))
        town.kube.pod_ends("a")
        await passes(30)
        assert pending(town) == ["a", "b"]
        await passes(70)
        assert running(town) == 2


@story
async def test_a_pod_made_just_before_the_death_holds_its_slot() -> None:
    """1. Dead between pod and patch. 2. Its cluster cannot be listed: the slot is not given again. 3. It is adopted."""
    town = Town(plank(max_concurrency=1))
    town.kube.put(town.prowjob("a"))
    town.kube.faults.stop_after_write(1)
    async with town.engine("plank"):
        pass
    assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["a"]
    town.kube.put(town.prowjob("b"))
    town.kube.faults.renew()
    town.kube.faults.fail("GET", "/pods", DROP, times=12)
    async with town.engine("plank"):
        assert pending(town) == []
        await passes(120)
        assert pending(town) == ["a"]
        town.kube.pod_ends("a")
        await settle()
        assert pending(town) == ["b"]


@story
async def test_waiting_costs_nothing() -> None:
    """1. Five hundred wait. 2. An hour passes: no turn, no timer of theirs, no request. 3. Ends wake one each."""
    town = Town(plank(max_concurrency=1))
    for at in range(500):
        town.kube.put(town.prowjob(f"j{at:03}"))
    async with town.engine("plank") as engine:
        assert engine.job_actors is not None
        assert engine.job_actors.gate.waiting == 499
        town.kube.pod_runs("j000")
        await settle()
        before, asked = engine.job_actors.actors.statistics(), len(town.kube.faults.done)
        await passes(3600)
        after = engine.job_actors.actors.statistics()
        assert after["turns"] == before["turns"]
        assert after["timers"] == 1  # the running one's deadline
        assert [line for line in town.kube.faults.done[asked:] if "watch=true" not in line] == []
        town.kube.pod_ends("j000")
        await settle()
        assert engine.job_actors.actors.statistics()["turns"] - after["turns"] < 12
        assert pending(town) == ["j001"]


@story
async def test_new_limits_are_taken_at_once() -> None:
    """1. A closed queue. 2. It is opened. 3. It is lowered: what runs goes on, nobody new starts."""
    town = Town(plank(job_queue_capacities={"q": 0}))
    for name in "abc":
        town.kube.put(town.prowjob(name, job_queue_name="q"))
    async with town.engine("plank"):
        assert pending(town) == []
        town.config.change(plank=Plank(job_queue_capacities={"q": 2}))
        await settle()
        assert len(pending(town)) == 2
        town.config.change(plank=Plank(job_queue_capacities={"q": 1}))
        town.kube.pod_ends(pending(town)[0])
        await settle()
        assert len(pending(town)) == 1
        town.kube.pod_ends(pending(town)[0])
        await settle()
        assert pending(town) == ["c"]


@story
async def test_a_cluster_in_trouble_does_not_keep_the_slots() -> None:
    """1. The one slot's job cannot make its pod: its cluster refuses for a while. 2. Another cluster's job passes."""
    town = Town(plank(max_concurrency=1), aliases=("default", "west"))
    west = town.clusters["west"]
    west.faults.fail("POST", "/pods", Fault("answer", status=503), times=1000)
    town.kube.put(town.prowjob("w", cluster="west"))
    await passes(1)
    town.kube.put(town.prowjob("d"))
    async with town.engine("plank"):
        await passes(60)
        assert pending(town) == ["d"]
        west.faults.heal()
        await passes(60)
        assert pending(town) == ["d"]
        town.kube.pod_ends("d")
        await passes(60)
        assert pending(town) == ["w"]


@story
async def test_an_outdated_presubmit_makes_room() -> None:
    """1. A run waits behind an older one on its pull request. 2. That is aborted, its pod goes. 3. It starts."""
    town = Town()
    town.kube.put(town.presubmit("a", sha="1" * 40, max_concurrency=1))
    async with town.engine("plank"):
        town.kube.pod_runs("a")
        await passes(5)
        town.kube.put(town.presubmit("b", sha="2" * 40, max_concurrency=1))
        await settle()
        old = town.kube.job("a").status
        assert (old.state, old.prev_report_states) == ("aborted", {})
        assert old.completion_time is not None
        assert pending(town) == ["b"]
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["b"]


@story
async def test_of_two_runs_of_one_second_one_stays() -> None:
    """1. Two runs for one commit begin in the same second. 2. The last by name stays, silent is the other."""
    town = Town()
    town.kube.put(town.presubmit("b"))
    town.kube.put(town.presubmit("a"))
    async with town.engine("plank"):
        assert pending(town) == ["b"]
        assert town.kube.job("a").status.prev_report_states == {"github-reporter": "aborted"}
        await passes(60)
        assert pending(town) == ["b"]


@story
async def test_what_just_ended_is_not_aborted_any_more() -> None:
    """1. A newer run comes. 2. Before we abort the older one, somebody completes it. 3. Its result stays."""
    town = Town()
    town.kube.put(town.presubmit("a", sha="1" * 40))
    async with town.engine("plank"):
        await passes(5)
        town.kube.faults.fail("PATCH", "/prowjobs/a", Fault("answer", status=409))
        town.kube.set_status("a", state="success", completionTime="2026-01-02T03:00:00Z")
        town.kube.put(town.presubmit("b", sha="2" * 40))
        await passes(5)
        assert town.kube.job("a").status.state == "success"


def explained(engine: Engine, name: str) -> str:
    text = engine.describe(name)
    assert text is not None
    return text


@story
async def test_place_and_reason_are_told_when_asked_for() -> None:
    """1. Three wait. 2. Each is told its place and what it waits for. 3. Nothing is written for that."""
    town = Town()
    for name in "abc":
        town.kube.put(town.prowjob(name, max_concurrency=1))
        await passes(1)
    async with town.engine("plank") as engine:
        writes = len(town.kube.faults.writes())
        assert "waits     1st of 2 in line: max_concurrency of job unit is 1, and a holds slots" in explained(
            engine, "b"
        )
        assert "2nd of 2 in line" in explained(engine, "c")
        assert "in line" not in explained(engine, "a")
        assert len(town.kube.faults.writes()) == writes


@story
async def test_the_two_metrics_of_upstream() -> None:
    """1. Jobs of several agents. 2. Those of kubernetes are counted, without refs as their first extra ref's."""
    town = Town()
    town.kube.put(town.prowjob("a", extra_refs=(Refs("x/y", "lib", base_ref="dev"),)))
    town.kube.put(town.presubmit("b"))
    town.kube.put(town.prowjob("c", agent="jenkins"))
    async with town.engine("plank"):
        await passes(20)
        assert town.metrics.total("prowjobs", state="pending", org="x/y", repo="lib", base_ref="dev") == 1
        assert town.metrics.total("prowjobs", state="pending", org="o", repo="r", type="presubmit") == 1
        assert town.metrics.total("prowjobs") == 2
        assert town.metrics.total("prowjob_state_transitions", state="triggered") == 2
        town.kube.pod_ends("b", exit_code=1)
        await passes(20)
        assert town.metrics.total("prowjob_state_transitions", state="failure", retest="false") == 1
        assert town.metrics.total("prow_async_job_failures_total", failure_class="test-failed", job_name="unit") == 1


@pytest.mark.parametrize(
    ("trouble", "label", "writes"),
    [
        ({"phase": "Failed", "containerStatuses": []}, "infrastructure-lost", 3),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "test-failed", 3),
        ({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]}, "never-scheduled", 4),
    ],
)
@story
async def test_a_failures_class_costs_no_write_of_its_own(trouble: Json, label: str, writes: int) -> None:
    """1. The job fails. 2. Its class is in the patch that completes it (a late pod is deleted besides)."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.set_pod("a", **trouble)
        await passes(301)
        job = town.kube.job("a")
        assert job.status.completion_time is not None
        assert job.metadata.labels[names.FAILURE_CLASS] == label
        assert len(town.kube.faults.writes()) == writes


@story
async def test_a_preempted_pod_is_replaced_once_it_has_gone() -> None:
    """1. The scheduler takes the pod away. 2. It takes its grace, nobody polls. 3. Gone: the next attempt starts."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.bind_pod("a")
        condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
        town.kube.set_pod("a", phase="Running", startTime="2026-01-02T03:00:00Z", conditions=[condition])
        town.kube.delete_pod("a")
        await passes(1)
        job = town.kube.job("a").status
        assert (job.state, job.pod_revival_count, job.pod_name) == ("pending", 1, "")
        asked = len(town.kube.faults.done)
        await passes(100)
        assert [line for line in town.kube.faults.done[asked:] if "watch=true" not in line] == []
        town.kube.delete_pod("a", grace_s=0)
        await settle()
        assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "1"
        assert town.kube.job("a").status.state == "pending"
        assert town.metrics.total("prow_async_pods_lost_total", cause="preempted") == 1


@story
async def test_an_aborted_job_whose_next_pod_is_being_made_holds_its_slot() -> None:
    """1. Begun by another process, its pod is lost. 2. Aborted while the next is tried. 3. One runs at a time."""
    town = Town(plank(max_concurrency=1))
    for name in "ab":
        town.kube.put(town.prowjob(name))
        await passes(1)
    async with town.engine("plank"):
        assert pending(town) == ["a"]
    async with town.engine("plank"):
        town.kube.faults.fail("POST", "/pods", DROP, times=3)
        town.kube.delete_pod("a", grace_s=0)
        await passes(1)
        assert town.kube.all_pods() == []
        town.kube.set_status("a", state="aborted")
        asked = len(town.kube.faults.done)
        await passes(10)
        done = town.kube.faults.done[asked:]
        patched = [line for line in done if line.startswith("PATCH") and line.endswith(" 200")]
        assert [line.rpartition("/")[2] for line in patched] == ["a 200", "b 200"]
        assert town.kube.job("a").status.completion_time is not None
        assert pending(town) == ["b"]


@story
async def test_who_takes_over_counts_what_no_watch_has_shown() -> None:
    """1. A standby watches, its news are late. 2. The one that acts starts a job, dies. 3. The slot counts."""
    town = Town(plank(max_concurrency=1))
    for name in "ab":
        town.kube.put(town.prowjob(name))
        await passes(1)
    standby = Engine(town.parts("plank"))
    async with anyio.create_task_group() as group:
        for watch in standby.watches().values():
            group.start_soon(watch)
        await settle()
        late = (b'"MODIFIED"', b'"type":"ADDED","object":{"apiVersion":"v1","kind":"Pod"')
        town.kube.faults.watch_line = lambda line: [] if any(part in line for part in late) else [line]
        async with town.engine("plank"):
            assert pending(town) == ["a"]
        assert standby.job_actors is not None
        job = standby.jobs.get("a")
        assert job is not None
        assert job.state == "triggered"
        group.start_soon(standby.job_actors.run)
        await passes(60)
        assert running(town) == 1
        town.kube.faults.watch_line = None
        town.kube.patch("a", {"metadata": {"annotations": {"news": "at last"}}})
        town.kube.pod_ends("a")
        await passes(30)
        assert pending(town) == ["b"]
        group.cancel_scope.cancel()
