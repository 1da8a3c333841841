"""Build clusters that come, change, go and fall silent while everything runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from prow_async.adapters.kube.collection import PODS as _PODS
from prow_async.api.config import Config, Plank
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import Cluster, Town, passes, settle, story

SHORT = Config(plank=Plank(pod_pending_timeout_s=600.0, pod_running_timeout_s=3600.0, pod_unscheduled_timeout_s=300.0))

SWALLOWED = Fault("drop", delay_s=60.0)


def states(town: Town) -> dict[str, tuple[str, bool]]:
    return {
        job.metadata.name: (job.status.state, job.status.completion_time is not None) for job in town.kube.all_jobs()
    }


def pods(town: Town, *aliases: str) -> dict[str, object]:
    return {alias: town.clusters[alias].pods for alias in aliases}


def away(cluster: Cluster) -> None:
    """Swallow every request and every word from now on: dropped packets, not refused connections."""
    for method in ("GET", "POST", "PATCH", "DELETE"):
        cluster.faults.fail(method, "/pods", SWALLOWED, times=-1)


@story
async def test_a_cluster_is_added_while_running() -> None:
    """1. A job's cluster is not known: it ends in error. 2. The cluster is added. 3. The next job runs there."""
    town = Town(SHORT, aliases=("default", "far"))
    async with town.engine("plank", pods=pods(town, "default")) as engine:
        town.kube.put(town.prowjob("early", cluster="far"))
        await settle()
        assert "is none of the build clusters (default)" in town.kube.job("early").status.description
        engine.clusters.set(pods(town, "default", "far"))
        town.kube.put(town.prowjob("late", cluster="far"))
        await passes(1)
        assert [pod["metadata"]["name"] for pod in town.clusters["far"].all_pods()] == ["late"]
        town.clusters["far"].pod_ends("late")
        await passes(1)
        assert states(town) == {"early": ("error", True), "late": ("success", True)}
        assert town.metrics.total("prow_async_cluster_up") == 2


@story
async def test_a_cluster_is_removed_while_running() -> None:
    """1. A cluster goes. 2. Its jobs wait a while, and end in error. 3. Those of others notice nothing."""
    town = Town(SHORT, aliases=("default", "far"))
    async with town.engine("plank") as engine:
        town.kube.put(town.prowjob("here"))
        town.kube.put(town.prowjob("there", cluster="far"))
        await settle()
        engine.clusters.set(pods(town, "default"))
        await passes(30)
        assert states(town) == {"here": ("pending", False), "there": ("pending", False)}
        await passes(40)
        assert states(town) == {"here": ("pending", False), "there": ("error", True)}
        assert "is none of the build clusters (default)" in town.kube.job("there").status.description
        assert engine.clusters.pods == pods(town, "default")
        asked = len(town.clusters["far"].faults.asked)
        await passes(600)
        assert len(town.clusters["far"].faults.asked) == asked


@story
async def test_a_file_swapped_in_two_steps() -> None:
    """1. A kubeconfig is gone for a moment. 2. It is back. 3. No job has noticed, nothing was listed anew."""
    town = Town(SHORT, aliases=("default", "far"))
    async with town.engine("plank") as engine:
        town.kube.put(town.prowjob("there", cluster="far"))
        await settle()
        asked = list(town.clusters["far"].faults.asked)
        engine.clusters.set(pods(town, "default"))
        await passes(5)
        engine.clusters.set(pods(town, "default", "far"))
        await passes(200)
        assert town.clusters["far"].faults.asked == asked
        town.clusters["far"].pod_ends("there")
        await settle()
        assert states(town) == {"there": ("success", True)}


@story
async def test_another_way_into_the_same_cluster() -> None:
    """1. Credentials change: a new collection under the old alias. 2. Watched anew. 3. Jobs go on where they were."""
    town = Town(SHORT, aliases=("default", "far"))
    far = town.clusters["far"]
    released: list[object] = []

    class Files:
        async def watch(self, changed: object) -> None:
            pass

        def release(self, pods: object) -> None:
            released.append(pods)

    async with town.engine("plank", cluster_files=Files()) as engine:
        town.kube.put(town.prowjob("there", cluster="far"))
        await settle()
        old, far.pods = far.pods, far.collection(_PODS, "test-pods", "created-by-prow=true")
        engine.clusters.set(pods(town, "default", "far"))
        await passes(1)
        assert released == [old]
        far.pod_ends("there")
        await passes(1)
        assert states(town) == {"there": ("success", True)}
        assert [line for line in far.faults.writes() if "POST" in line and "/binding" not in line] == [
            "POST /api/v1/namespaces/test-pods/pods 201"
        ]


@story
async def test_one_alias_of_two_goes() -> None:
    """Two aliases of one collection are one cluster, watched once; it stays as long as one of them does."""
    town = Town(SHORT)
    async with town.engine("plank", pods={"a": town.kube.pods, "default": town.kube.pods}) as engine:
        lists = [line for line in town.kube.faults.asked if "/pods?" in line]
        assert len(lists) == 1
        engine.clusters.set({"default": town.kube.pods})
        await passes(100)
        assert engine.clusters.aliases == ("default",)
        town.kube.put(town.prowjob("job"))
        await settle()
        assert states(town) == {"job": ("pending", False)}


@pytest.mark.parametrize("listed", [True, False])
@story
async def test_a_blackhole_delays_only_its_own_jobs(listed: bool) -> None:
    """1. A cluster swallows everything, from the start or later, with 400 jobs to start there. 2. Jobs of another one
    start at once all the same. 3. At the deadline the 400 end in error. 4. It answers again: new jobs run there.
    """
    town = Town(SHORT, aliases=("default", "far"))
    far = town.clusters["far"]
    if not listed:
        away(far)
    async with town.engine("plank") as engine:
        if listed:
            away(far)
        for number in range(400):
            town.kube.put(town.prowjob(f"far-{number}", cluster="far"))
        await passes(20)
        assert engine.ready
        for number in range(20):
            town.kube.put(town.prowjob(f"near-{number}"))
        await settle()
        assert [state for name, (state, _) in states(town).items() if name.startswith("near")] == ["pending"] * 20
        await passes(1200)
        ends = {state for name, state in states(town).items() if name.startswith("far")}
        assert ends == {("error", True)}
        assert town.kube.job("far-1").status.description == "Build cluster far could not be reached."
        assert town.metrics.total("kubernetes_failed_client_creations", cluster="far") == (0 if listed else 1)
        assert town.metrics.total("prow_async_cluster_up", cluster="far") == 0
        far.faults.heal()
        await passes(120)
        town.kube.put(town.prowjob("again", cluster="far"))
        await settle()
        assert town.kube.job("again").status.state == "pending"
        assert town.metrics.total("prow_async_cluster_up", cluster="far") == 1


@asynccontextmanager
async def silent_with_a_running_pod() -> AsyncIterator[tuple[Town, Cluster]]:
    """Plank with job `there` pending, and the cluster its pod runs in, which nobody can ask from now on."""
    town = Town(SHORT, aliases=("default", "far"))
    far = town.clusters["far"]
    async with town.engine("plank"):
        town.kube.put(town.prowjob("there", cluster="far"))
        await settle()
        far.pod_runs("there")
        await settle()
        _cut(far)
        away(far)
        yield town, far


@story
async def test_a_running_pod_of_a_cluster_that_falls_silent() -> None:
    """1. A pod runs; its cluster is away for an hour. 2. It ended meanwhile. 3. Back: the result counts."""
    async with silent_with_a_running_pod() as (town, far):
        await passes(1800)
        assert states(town) == {"there": ("pending", False)}
        far.pod_ends("there")
        far.faults.heal()
        await passes(120)
        assert states(town) == {"there": ("success", True)}


@story
async def test_a_running_pod_of_a_cluster_that_stays_silent() -> None:
    """The job of a pod that nobody can ask about ends in error when its running timeout is over."""
    async with silent_with_a_running_pod() as (town, _):
        await passes(3900)
        assert states(town) == {"there": ("error", True)}


@story
async def test_queued_jobs_do_not_fall_to_a_short_absence() -> None:
    """1. Jobs older than the pod pending timeout still need their pods. 2. The process starts while the cluster is
    away for a minute. 3. They run: the time before was not the cluster's.
    """
    town = Town(SHORT)
    town.kube.put(town.prowjob("old"))
    await passes(7200)
    town.kube.faults.fail("GET", "/pods", DROP, times=-1)
    async with town.engine("plank"):
        await passes(30)
        town.kube.faults.heal()
        await passes(200)
        assert states(town) == {"old": ("pending", False)}


def _cut(cluster: Cluster) -> None:
    """End the watch that is open."""
    cluster.faults.watch_line = lambda _: None
    noise = {"metadata": {"name": "noise", "labels": {"created-by-prow": "true"}}}
    cluster.put_pod({**noise, "spec": {"containers": [{"name": "test", "image": "img"}]}})
    cluster.faults.watch_line = None
