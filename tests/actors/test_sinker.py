"""The sweeper: what is finished and old goes, with proof; everything else stays."""

from typing import Any

import pytest

from prow_async.actors.sweep import AT_ONCE
from prow_async.api import names
from prow_async.api.config import Config, Sinker
from prow_async.api.jobconfig import Periodic
from prow_async.core import instants
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import Town, passes, settle, story

Json = dict[str, Any]
DAY = 86400.0
SETTINGS = Sinker(resync_period_s=3600.0, max_prowjob_age_s=2 * DAY, max_pod_age_s=14400.0, terminated_pod_ttl_s=7200.0)


def town(**changes: Any) -> Town:
    return Town(Config(sinker=SETTINGS, **changes))


def complete(place: Town, name: str) -> None:
    place.kube.set_status(name, state="success", completionTime=instants.rfc3339(place.clock.now()))


def left(place: Town) -> list[str]:
    return [job.metadata.name for job in place.kube.all_jobs()]


def pods_left(place: Town) -> list[str]:
    return [pod["metadata"]["name"] for pod in place.kube.all_pods()]


def swept(place: Town, reason: str) -> tuple[float, float]:
    """Return the gauges of pods and of ProwJobs swept for a reason."""
    pods = place.metrics.total("sinker_pods_removed", reason=reason)
    return pods, place.metrics.total("sinker_prow_jobs_cleaned", reason=reason)


@pytest.mark.slow
@story
async def test_aged_prowjobs() -> None:
    """1. Old and complete goes; unfinished and young stay. 2. Gauges count one sweep, then go back to 0."""
    place = town()
    for name in ("done", "running"):
        place.kube.put(place.presubmit(name))
    complete(place, "done")
    await passes(2 * DAY - 1000)
    place.kube.put(place.presubmit("young"))
    complete(place, "young")
    async with place.engine("sinker"):
        assert left(place) == ["done", "running", "young"]
        await passes(3700)
        assert left(place) == ["running", "young"]
        assert swept(place, "aged") == (0, 1)
        assert place.metrics.total("sinker_prow_jobs_existing") == 3
        await passes(3600)
        assert swept(place, "aged") == (0, 0)
        assert place.metrics.total("sinker_prow_jobs_existing") == 2


@story
async def test_the_time_of_a_sweep_is_part_of_its_period() -> None:
    """A ProwJob that becomes old just before the second sweep goes with it, however long the first one took."""
    place = town()
    for name in ("slow", "next"):
        place.kube.put(place.presubmit(name))
        complete(place, name)
        await passes(3590)
    await passes(2 * DAY - 3590)
    place.kube.faults.fail("DELETE", "/prowjobs/slow", Fault("delay", delay_s=20))
    async with place.engine("sinker"):
        await passes(3595)
        assert left(place) == ["next"]
        await passes(10)
        assert left(place) == []


@story
async def test_a_period_of_nothing_does_not_make_it_spin() -> None:
    place = Town(Config(sinker=Sinker(resync_period_s=0.0)))
    async with place.engine("sinker"):
        await passes(5)


@story
async def test_the_newest_run_of_a_periodic_is_kept() -> None:
    """Runs of a configured periodic go but for the newest; all runs go of one that is no longer configured."""
    place = town(periodics=(Periodic(name="nightly", interval="24h"),))
    for job in ("nightly", "removed"):
        for run in ("1", "2"):
            place.kube.put(place.prowjob(f"{job}-{run}", job=job))
            complete(place, f"{job}-{run}")
            await passes(10)
    await passes(3 * DAY)
    async with place.engine("sinker"):
        assert left(place) == ["nightly-2"]
        assert swept(place, "aged-periodic") == (0, 3)


@pytest.mark.slow
@story
async def test_pods_of_finished_jobs() -> None:
    """1. Two hours after its job completed a pod goes. 2. One that ran for four goes as aged. 3. Others stay."""
    place = town()
    for name in ("done", "running", "long"):
        place.kube.put(place.presubmit(name))
        place.kube.put_pod(place.pod_of(name))
        place.kube.pod_runs(name)
    complete(place, "done")
    async with place.engine("sinker"):
        await passes(7290)
        assert pods_left(place) == ["done", "long", "running"]
        await passes(3600)
        assert pods_left(place) == ["long", "running"]
        assert swept(place, "ttled") == (1, 0)
        complete(place, "long")
        await passes(3600)
        assert pods_left(place) == ["long", "running"]
        await passes(3600)
        assert pods_left(place) == ["running"]
        assert swept(place, "aged") == (1, 0)
        assert place.metrics.total("sinker_pods_existing") == 2


@story
async def test_a_job_and_its_pod_go_in_one_sweep() -> None:
    """A pod is no orphan because its ProwJob has just been swept away: it has its own reason, and nothing is read."""
    place = town()
    place.kube.put(place.presubmit("done"))
    place.kube.put_pod(place.pod_of("done"))
    complete(place, "done")
    await passes(3 * DAY)
    place.kube.faults.fail("GET", "/pods/done", Fault("delay", delay_s=5))
    async with place.engine("sinker"):
        await passes(60)
        assert (left(place), pods_left(place)) == ([], [])
        assert swept(place, "ttled") == (1, 0)
    assert [line for line in place.kube.faults.done if line.startswith("GET") and "/prowjobs/done" in line] == []


@story
async def test_an_orphan() -> None:
    """1. A pod's ProwJob is gone. 2. That is read afresh, then the pod goes. 3. A young one is given its time."""
    place = town()
    place.kube.put(place.presubmit("gone"))
    place.kube.put_pod(place.pod_of("gone"))
    place.kube.delete_job("gone")
    await passes(60)
    place.kube.put(place.presubmit("young"))
    place.kube.put_pod(place.pod_of("young"))
    place.kube.delete_job("young")
    async with place.engine("sinker"):
        assert pods_left(place) == ["young"]
        assert swept(place, "orphaned") == (1, 0)
        assert any(line.endswith("/prowjobs/gone 404") for line in place.kube.faults.done)
        await passes(3700)
        assert pods_left(place) == []


@pytest.mark.slow
@story
async def test_no_orphan_on_stale_news() -> None:
    """1. The list of ProwJobs is behind: it lacks a job whose pod is seen. 2. A fresh read finds it: the pod lives."""
    place = town()
    async with place.engine("sinker"):
        place.kube.faults.fail("GET", "/prowjobs?", DROP, times=-1)
        place.kube.faults.watch_line = lambda line: None if b'"ProwJob"' in line else [line]
        place.kube.put(place.presubmit("a"))
        await settle()
        place.kube.faults.watch_line = None
        place.kube.put_pod(place.pod_of("a"))
        await passes(7300)
        assert pods_left(place) == ["a"]
        assert any(line.endswith("/prowjobs/a 200") for line in place.kube.faults.done)


@story
async def test_no_proof_no_deletion() -> None:
    """1. Whether an orphan's job exists cannot be read. 2. It stays, and that is counted. 3. The next sweep gets it."""
    place = town()
    place.kube.put(place.presubmit("a"))
    place.kube.put_pod(place.pod_of("a"))
    place.kube.delete_job("a")
    await passes(60)
    place.kube.faults.fail("GET", "/prowjobs/a", Fault("answer", status=500))
    async with place.engine("sinker"):
        assert pods_left(place) == ["a"]
        assert place.metrics.total("sinker_pod_removal_errors", reason="InternalError") == 1
        await passes(3700)
        assert pods_left(place) == []
        assert place.metrics.total("sinker_pod_removal_errors") == 0


@story
async def test_a_pod_of_another_owner() -> None:
    """1. The pod's owner was deleted, a ProwJob of the same name made anew. 2. The pod is an orphan all the same."""
    place = town()
    place.kube.put(place.presubmit("a"))
    place.kube.put_pod(place.pod_of("a"))
    place.kube.delete_job("a")
    place.kube.put(place.presubmit("a"))
    await passes(60)
    async with place.engine("sinker"):
        assert pods_left(place) == []
        assert left(place) == ["a"]


@story
async def test_a_malformed_prowjob() -> None:
    """1. A ProwJob that does not read has a pod. 2. Neither is touched. 3. The sweep goes on to everything else."""
    place = town()
    for name in ("bad", "gone"):
        place.kube.put(place.presubmit(name))
        place.kube.put_pod(place.pod_of(name))
    place.kube.patch("bad", {"spec": {"decoration_config": {"pod_running_timeout": "soon"}}})
    place.kube.delete_job("gone")
    await passes(60)
    async with place.engine("sinker"):
        await passes(3700)
        assert pods_left(place) == ["bad"]
        assert place.metrics.total("prow_async_actor_restarts_total") == 0


@story
async def test_strangers_pods_are_not_seen() -> None:
    """A pod that Prow did not make is never touched, however old."""
    place = town()
    spec = {"containers": [{"name": "x", "image": "y"}]}
    place.kube.put_pod({"metadata": {"name": "stranger"}, "spec": spec})
    await passes(5 * DAY)
    async with place.engine("sinker"):
        await passes(3700)
        assert pods_left(place) == ["stranger"]


@story
async def test_a_finalizer_that_nobody_waits_for() -> None:
    """An orphan with the pod reporter's finalizer loses it and goes; other finalizers are others' business."""
    place = town()
    place.kube.put(place.presubmit("a"))
    pod = place.pod_of("a")
    pod["metadata"]["finalizers"] = [names.GCS_K8S_FINALIZER]
    place.kube.put_pod(pod)
    place.kube.delete_job("a")
    await passes(60)
    async with place.engine("sinker"):
        await passes(3700)
        assert pods_left(place) == []


@pytest.mark.slow
@story
async def test_excluded_and_unlisted_clusters() -> None:
    """1. One cluster is excluded, one never lists. 2. Their pods stay; the third is swept; ProwJobs too."""
    settings = Sinker(resync_period_s=3600.0, max_prowjob_age_s=DAY, exclude_clusters=("mine",))
    place = Town(Config(sinker=settings), aliases=("default", "mine", "dead"))
    place.clusters["dead"].faults.fail("GET", "/pods", DROP, times=-1)
    place.kube.put(place.presubmit("a"))
    for cluster in place.clusters.values():
        cluster.put_pod(place.pod_of("a"))
    complete(place, "a")
    await passes(2 * DAY)
    async with place.engine("sinker"):
        await passes(4000)
        assert {alias: len(cluster.all_pods()) for alias, cluster in place.clusters.items()} == {
            "default": 0,
            "mine": 1,
            "dead": 1,
        }
        assert left(place) == []


@story
async def test_replaced_between_plan_and_deletion() -> None:
    """1. An old ProwJob is planned to go. 2. Before the delete arrives another stands there. 3. That one lives."""
    place = town()
    place.kube.put(place.presubmit("a"))
    complete(place, "a")
    await passes(3 * DAY)
    place.kube.faults.fail("DELETE", "/prowjobs/a", Fault("delay", delay_s=10))
    async with place.engine("sinker"):
        place.kube.delete_job("a")
        place.kube.put(place.presubmit("a"))
        await passes(60)
        assert left(place) == ["a"]
        assert place.metrics.total("sinker_prow_jobs_cleaning_errors") == 0


@story
async def test_dry_run() -> None:
    """A sweeper on dry run deletes nothing, and does not count what it did not do."""
    place = town()
    place.kube.put(place.presubmit("a"))
    complete(place, "a")
    await passes(3 * DAY)
    async with place.engine("sinker", dry_run=True):
        await passes(60)
        assert left(place) == ["a"]
        assert place.kube.faults.writes() == []
        assert swept(place, "aged") == (0, 0)


@story
async def test_a_pod_is_looked_at_before_it_goes() -> None:
    """1. Our view of a pod is old: under its name another one stands, for a job that was made anew and runs. 2. Not
    touched; no delete is even sent.
    """
    place = town()
    place.kube.put(place.presubmit("a"))
    place.kube.put_pod(place.pod_of("a"))
    complete(place, "a")
    await passes(7000)
    async with place.engine("sinker") as engine:
        place.kube.faults.watch_line = lambda _: []  # from now on no watch tells of anything
        place.kube.delete_pod("a")
        place.kube.delete_job("a")
        place.kube.put(place.presubmit("a"))
        place.kube.put_pod(place.pod_of("a"))
        for part in ("/pods?", "/prowjobs?"):
            place.kube.faults.fail("GET", part, DROP, times=-1)
        await passes(300)
        assert engine.sinker is not None
        await engine.sinker.sweep()
        assert pods_left(place) == ["a"]
        assert [line for line in place.kube.faults.asked if line.startswith("DELETE")] == []


@story
async def test_a_cluster_that_refuses_deletes_holds_up_nobody() -> None:
    """1. Two clusters hold a hundred orphans each; one swallows every delete. 2. The other is clean at once; the bad
    one is given up for this sweep after some tries, counted. 3. The next sweep cleans it.
    """
    place = Town(Config(sinker=SETTINGS), aliases=("default", "far"))
    for cluster in place.clusters.values():
        for number in range(100):
            pod = {"metadata": {"name": f"pod-{number}", "labels": {"created-by-prow": "true"}}}
            cluster.put_pod({**pod, "spec": {"containers": [{"name": "test", "image": "img"}]}})
    await passes(60)
    far = place.clusters["far"]
    far.faults.fail("DELETE", "/pods/", Fault("drop", delay_s=60), times=-1)
    async with place.engine("sinker"):
        await passes(1)
        assert (len(place.kube.all_pods()), len(far.all_pods())) == (0, 100)
        await passes(1000)
        assert len([line for line in far.faults.asked if line.startswith("DELETE")]) <= AT_ONCE * 4 * 2
        assert 3 <= place.metrics.total("sinker_pod_removal_errors", reason="Unknown") <= 2 * AT_ONCE
        far.faults.heal()
        await passes(3600)
        assert len(far.all_pods()) == 0
        assert place.metrics.total("sinker_pod_removal_errors") == 0


@story
async def test_a_cluster_excluded_under_one_of_two_aliases() -> None:
    """It is swept once, under the alias that is not excluded."""
    place = Town(Config(sinker=Sinker(exclude_clusters=("default",))))
    place.kube.put(place.presubmit("a"))
    place.kube.put_pod(place.pod_of("a"))
    place.kube.delete_job("a")
    await passes(60)
    async with place.engine("sinker", pods={"default": place.kube.pods, "build": place.kube.pods}):
        assert pods_left(place) == []


@story
async def test_what_is_told_of_a_sweep() -> None:
    """Every step is told with its reason, on a dry run too, and so is a cluster that cannot be swept."""
    place = Town(Config(sinker=SETTINGS), aliases=("default", "far"))
    place.kube.put(place.presubmit("a"))
    place.kube.put_pod(place.pod_of("a"))
    complete(place, "a")
    await passes(3 * DAY)
    place.clusters["far"].faults.fail("GET", "/pods", DROP, times=-1)
    async with place.engine("horologium", "sinker", dry_run=True) as engine:
        assert engine.sinker is not None
        lines: list[str] = []
        assert await engine.sinker.sweep(lines.append) == 0
        assert sorted(lines) == [
            "cluster far is left out: the connection was refused",
            f"delete ProwJob prow/a  aged: unit: complete, started {3 * DAY:.0f} s ago (limit {2 * DAY:.0f} s)",
            f"delete pod test-pods/a in default  ttled: a: its ProwJob completed {3 * DAY:.0f} s ago (limit 7200 s)",
        ]
        assert place.kube.faults.writes() == []
