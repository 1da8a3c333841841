"""Jobs in trouble that meets trouble: lost answers, blind watches, dead clusters, all at a bad moment."""

from typing import Any

import pytest

from prow_async.adapters.kube import collection
from prow_async.api import names
from prow_async.api.config import Config, Plank
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import PODS, Town, passes, settle, story

Json = dict[str, Any]
SHORT = Config(plank=Plank(pod_pending_timeout_s=600.0, pod_unscheduled_timeout_s=300.0))


async def blind(town: Town) -> None:
    """Cut the watch of pods, and let no other one open until `heal`."""
    town.kube.faults.fail("GET", "/pods?", DROP, times=-1)
    town.kube.faults.watch_line = lambda line: None if b'"Pod"' in line else [line]
    town.kube.put_pod({"metadata": {"name": "noise", "labels": {"created-by-prow": "true"}}, "spec": NOISE})
    await settle()
    town.kube.faults.watch_line = None


NOISE = {"containers": [{"name": "test", "image": "img"}]}


@story
async def test_a_pod_only_our_own_write_knows() -> None:
    """1. The watch is blind when our pod is made and deleted. 2. It never shows it. 3. Asked for: gone; revived."""
    town = Town(SHORT)
    async with town.engine("plank"):
        await blind(town)
        town.kube.put(town.prowjob("a"))
        await settle()
        assert town.kube.job("a").status.state == "pending"
        town.kube.delete_pod("a")
        town.kube.world.compact()
        town.kube.faults.heal()
        await passes(320)
        job = town.kube.job("a")
        assert (job.status.state, job.status.pod_revival_count) == ("pending", 1)
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["a", "noise"]


@story
async def test_aborted_while_nobody_knows_of_its_pod() -> None:
    """1. The pod is made, but every answer is lost and the watch is blind. 2. Aborted. 3. The pod goes all the same."""
    town = Town(SHORT)
    async with town.engine("plank"):
        await blind(town)
        town.kube.faults.fail("POST", "/pods", DROP, times=-1, done=True)
        town.kube.put(town.prowjob("a"))
        await passes(3)
        assert "a" in [pod["metadata"]["name"] for pod in town.kube.all_pods()]
        town.kube.set_status("a", state="aborted")
        await passes(5)
        assert town.kube.job("a").complete
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["noise"]


@pytest.mark.parametrize("state", ["aborted", "pending", "triggered", "scheduling"])
@story
async def test_a_dead_cluster_and_any_state(state: str) -> None:
    """1. The cluster never lists. 2. Time goes on without a storm; aborted is completed, the rest of ours in error."""
    town = Town(SHORT)
    town.kube.put(town.prowjob("a"))
    town.kube.set_status("a", state=state)
    town.kube.faults.fail("GET", "/pods", times=-1)
    async with town.engine("plank"):
        await passes(900)
        status = town.kube.job("a").status
        expected = {"aborted": "aborted", "scheduling": "scheduling"}.get(state, "error")
        assert (status.state, status.completion_time is not None) == (expected, state != "scheduling")


@story
async def test_aborted_on_a_cluster_nobody_knows() -> None:
    """An aborted job of an unknown cluster is completed, and stays aborted."""
    town = Town()
    town.kube.put(town.prowjob("a", cluster="nowhere"))
    town.kube.set_status("a", state="aborted", description="by hand")
    async with town.engine("plank"):
        status = town.kube.job("a").status
        assert (status.state, status.description, status.completion_time is None) == ("aborted", "by hand", False)


@pytest.mark.parametrize("spec", [{"pod_spec": "text"}, {"refs": {"org": 1, "repo": "r"}}, {"hidden": "yes"}])
@story
async def test_a_spec_that_does_not_read(spec: Json) -> None:
    """1. A lax definition let a broken spec in. 2. It is told, by error or by event; it makes no pod. 3. Others run."""
    town = Town()
    town.kube.lax()
    for name in ("a", "b"):
        town.kube.put(town.prowjob(name))
    town.kube.patch("b", {"spec": spec})
    async with town.engine("plank"):
        await passes(60)
        assert town.kube.job("a").status.state == "pending"
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["a"]
        (broken,) = (job for job in town.kube.world.objects("prowjobs") if job["metadata"]["name"] == "b")
        told = broken["status"]["state"] == "error" or any("Malformed" in text for text in town.kube.event_texts())
        assert told
        assert town.metrics.total("prow_async_actor_restarts_total") == 0


@story
async def test_two_controllers_at_once() -> None:
    """1. Two engines drive the same jobs. 2. One pod each, one end each: names and conditions keep them apart."""
    town = Town()
    for number in range(20):
        town.kube.put(town.prowjob(f"job-{number}"))
    async with town.engine("plank"), town.engine("plank"):
        await passes(10)
        for pod in town.kube.all_pods():
            town.kube.pod_ends(pod["metadata"]["name"])
        await passes(30)
    assert [job.status.state for job in town.kube.all_jobs()] == ["success"] * 20
    assert len([line for line in town.kube.faults.writes() if line.endswith("/pods 201")]) == 20


@story
async def test_a_job_deleted_while_its_pod_is_being_made() -> None:
    """1. The ProwJob goes while its pod is being created. 2. The turn ends in peace; the pod is the sweeper's."""
    town = Town()
    async with town.engine("plank") as engine:
        town.kube.faults.fail("PATCH", "/prowjobs/a", DROP)
        town.kube.put(town.prowjob("a"))
        await settle()
        town.kube.delete_job("a")
        await passes(30)
        assert town.metrics.total("prow_async_actor_restarts_total") == 0
        assert engine.idle


@story
async def test_outdated_while_its_pod_is_not_watched() -> None:
    """1. `--label-selector` leaves a run's pod out. 2. A newer run comes. 3. The old one is aborted, its pod goes."""
    town = Town()
    pods = town.kube.collection(collection.PODS, PODS, "created-by-prow=true,team=a")
    async with town.engine("plank", pods={"default": pods}):
        town.kube.put(town.presubmit("old"))
        await passes(5)
        assert town.kube.job("old").status.state == "pending"
        town.kube.put(town.presubmit("young", sha="6" * 40))
        await passes(5)
        old = town.kube.job("old")
        assert (old.status.state, old.complete, town.kube.job("young").status.state) == ("aborted", True, "pending")
        assert [pod["metadata"]["name"] for pod in town.kube.all_pods()] == ["young"]


@story
async def test_outdated_on_a_cluster_that_was_never_listed() -> None:
    """1. A cluster does not answer from the start. 2. A newer run comes. 3. The old one is aborted all the same."""
    town = Town(SHORT, aliases=("default", "far"))
    town.clusters["far"].faults.fail("GET", "/pods", DROP, times=-1)
    async with town.engine("plank"):
        town.kube.put(town.presubmit("old", cluster="far"))
        await passes(5)
        town.kube.put(town.presubmit("young", cluster="far", sha="6" * 40))
        await passes(5)
        assert [(job.metadata.name, job.status.state) for job in town.kube.all_jobs()] == [
            ("old", "aborted"),
            ("young", "triggered"),
        ]
        town.clusters["far"].faults.heal()
        await passes(60)
        assert (town.kube.job("old").complete, town.kube.job("young").status.state) == (True, "pending")
        assert [pod["metadata"]["name"] for pod in town.clusters["far"].all_pods()] == ["young"]


@pytest.mark.parametrize(
    ("method", "part", "end"),
    [
        ("POST", "/pods", ("error", "configuration")),
        ("PATCH", "/prowjobs/a", ("success", None)),
        ("GET", "/pods/a", ("success", None)),
    ],
)
@story
async def test_a_server_that_calls_one_object_expired(method: str, part: str, end: tuple[str, str | None]) -> None:
    """1. What is no list is answered with 410. 2. It is taken for a refusal: a pod is not made, else tried again."""
    town = Town()
    async with town.engine("plank"):
        if method == "GET":
            await blind(town)
        town.kube.faults.fail(method, part, Fault("answer", 410), times=3)
        town.kube.put(town.prowjob("a"))
        await passes(60)
        town.kube.faults.heal()
        if end[0] == "success":
            town.kube.pod_ends("a")
        await passes(60)
        job = town.kube.job("a")
        assert (job.status.state, job.metadata.labels.get(names.FAILURE_CLASS)) == end
        assert town.metrics.total("prow_async_actor_restarts_total") == 0
