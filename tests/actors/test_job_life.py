"""A ProwJob's life by the job's actor: how it goes on, how it ends, and that a restart anywhere changes nothing."""

from typing import Any

import anyio
import pytest

import prow_async
from prow_async.api import names
from prow_async.api.config import Config, Plank
from prow_async.api.prowjob import DecorationConfig
from prow_async.core import instants
from prow_async.sandbox.faults import Fault
from tests.actors import worlds
from tests.actors.worlds import Town, passes, settle, story

Json = dict[str, Any]
SHORT = Config(plank=Plank(pod_pending_timeout_s=600.0, pod_running_timeout_s=3600.0, pod_unscheduled_timeout_s=300.0))
EVICTED: Json = {"phase": "Failed", "reason": "Evicted", "message": "low on disk"}


def ended(town: Town, name: str = "a") -> tuple[str, str]:
    """Return state and description of a job that must be complete."""
    status = town.kube.job(name).status
    assert status.completion_time is not None
    return status.state, status.description


@story
async def test_triggered_pending_success() -> None:
    """1. Triggered. 2. Pod made: pending, with times, URL and labels. 3. Pod done: success. 4. Nothing more."""
    town = Town(Config(plank=Plank(job_url_template="https://ci.example/{{.Status.BuildID}}")))
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        job = town.kube.job("a")
        assert (job.status.state, job.status.description) == ("pending", "Job triggered.")
        assert job.status.pending_time == "2026-01-02T03:00:00Z"
        assert job.status.url == f"https://ci.example/{job.status.build_id}"
        assert job.metadata.labels[names.ID_LABEL] == "a"
        assert job.metadata.labels[names.BUILD_ID_LABEL] == job.status.build_id
        assert (
            town.kube.pod("a")["metadata"]["labels"][names.PLANK_VERSION_LABEL]
            == f"prow-async-{prow_async.__version__}"
        )
        await passes(10)
        town.kube.pod_runs("a")
        await passes(10)
        town.kube.pod_ends("a")
        await settle()
        assert ended(town) == ("success", "Job succeeded.")
        assert town.kube.job("a").status.completion_time == "2026-01-02T03:00:20Z"
        quiet = len(town.kube.faults.writes())
        await passes(3600)
        assert len(town.kube.faults.writes()) == quiet == 3
    assert len(town.kube.all_pods()) == 1


@story
async def test_failure() -> None:
    """1. The test ends with exit code 1. 2. Failure."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.pod_ends("a", exit_code=1)
        await settle()
        assert ended(town) == ("failure", "Job failed.")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"cluster": "nowhere"}, "Terminal error: cluster 'nowhere' is none of the build clusters (default)"),
        ({"pod_spec": {"containers": []}}, "Pod can not be created: ProwJob a (unit) has no pod_spec with containers"),
        ({"pod_spec": {"containers": [{"name": "test"}]}}, "spec.containers[0].image"),
        ({"decoration_config": DecorationConfig()}, "cannot be decorated: its decoration_config lacks"),
    ],
)
@story
async def test_a_job_that_can_never_run(spec: Json, text: str) -> None:
    """1. No pod can come of the job, whoever tries. 2. Error with the reason, once, and no pod."""
    town = Town()
    town.kube.put(town.prowjob("a", **spec))
    async with town.engine("plank"):
        await passes(60)
        state, description = ended(town)
        assert state == "error"
        assert text in description
    assert town.kube.all_pods() == []


@story
async def test_a_refused_pods_build_id_is_kept() -> None:
    """1. The server refuses the pod. 2. The job carries the id it was to have, and the address of its files."""
    town = Town(Config(plank=Plank(job_url_template="https://ci.example/{{.Status.BuildID}}")))
    town.kube.put(town.prowjob("a", pod_spec={"containers": [{"name": "test"}]}))
    async with town.engine("plank"):
        job = town.kube.job("a")
        assert job.status.build_id
        assert job.status.url == f"https://ci.example/{job.status.build_id}"
        assert job.metadata.labels[names.FAILURE_CLASS] == "configuration"


@story
async def test_aborted() -> None:
    """1. Running. 2. Somebody sets the state aborted. 3. The pod is deleted, then the job completed; state stays."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.pod_runs("a")
        await passes(5)
        town.kube.set_status("a", state="aborted", description="Aborted by hand.")
        await settle()
        assert ended(town) == ("aborted", "Aborted by hand.")
        assert town.kube.all_pods() == []
        assert [line.split()[0] for line in town.kube.faults.writes()[-2:]] == ["DELETE", "PATCH"]


@story
async def test_aborted_and_complete_is_left_alone() -> None:
    """1. A job aborted and completed by somebody else. 2. Its pod is not ours to delete any more."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.put_pod(town.pod_of("a"))
    town.kube.set_status("a", state="aborted", completionTime="2026-01-02T03:00:00Z")
    async with town.engine("plank"):
        await passes(60)
        assert town.kube.faults.writes() == []


@pytest.mark.parametrize(
    ("bound", "runs", "wait_s", "expected"),
    [
        (False, False, 300, ("error", "Pod scheduling timeout.")),
        (True, False, 600, ("error", "Pod pending timeout.")),
        (True, True, 3600, ("aborted", "Pod running timeout.")),
    ],
)
@story
async def test_timeouts_by_our_own_clock(bound: bool, runs: bool, wait_s: float, expected: tuple[str, str]) -> None:
    """1. A pod stays in one phase and the cluster says nothing. 2. At the deadline the job ends. 3. The pod goes."""
    town = Town(SHORT)
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        if bound:
            town.kube.set_pod("a", startTime=instants.rfc3339(town.clock.now()))
        if runs:
            town.kube.pod_runs("a")
        await passes(wait_s - 1)
        assert town.kube.job("a").status.state == "pending"
        await passes(2)
        assert ended(town) == expected
        assert town.kube.all_pods() == []


@pytest.mark.parametrize("killed", [False, True])
@story
async def test_a_pod_whose_time_is_over_goes_in_the_end(killed: bool) -> None:
    """1. A test hangs until its timeout. 2. Its pod cannot be deleted for a while, or by this process. 3. It goes."""
    town = Town(SHORT)
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.pod_runs("a")
        town.kube.faults.fail("DELETE", "/pods", Fault("answer", status=503), times=-1)
        await passes(3700)
        assert ended(town) == ("aborted", "Pod running timeout.")
        assert len(town.kube.all_pods()) == 1
        if not killed:
            town.kube.faults.heal()
            await passes(400)
    town.kube.faults.heal()
    async with town.engine("plank"):
        await passes(5)
        assert town.kube.all_pods() == []


@story
async def test_a_pod_that_may_not_be_deleted_is_tried_at_leisure() -> None:
    """1. A test hangs until its timeout. 2. We may not delete pods there: an hour of that is no flood of requests."""
    town = Town(SHORT)
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.pod_runs("a")
        town.kube.faults.fail("DELETE", "/pods", Fault("answer", status=403), times=-1)
        await passes(7200)
        assert ended(town) == ("aborted", "Pod running timeout.")
        tries = [line for line in town.kube.faults.asked if line.startswith("DELETE")]
        assert 2 < len(tries) < 260


@story
async def test_the_jobs_own_timeouts_come_first() -> None:
    """1. A job that upstream started names a timeout in its decoration. 2. That one counts, not plank's."""
    town = Town(SHORT)
    town.kube.put(town.prowjob("a"))
    town.kube.put_pod(town.upstream_pod_of("a"))
    spec = {"decoration_config": {"pod_running_timeout": "10s"}}
    town.kube.patch("a", {"spec": spec, "status": {"state": "pending", "pod_name": "a", "build_id": "78"}})
    town.kube.pod_runs("a")
    async with town.engine("plank"):
        await passes(11)
        assert ended(town) == ("aborted", "Pod running timeout.")
        assert town.kube.all_pods() == []


@story
async def test_pod_deleted_by_somebody() -> None:
    """1. Running. 2. Somebody deletes the pod, it takes its grace. 3. The job ends in error at once."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.bind_pod("a")
        town.kube.pod_runs("a")
        await passes(5)
        town.kube.delete_pod("a")
        await settle()
        assert ended(town) == ("error", "Pod was deleted unexpectedly.")


@story
async def test_pod_gone_without_a_word() -> None:
    """1. The pod vanishes at once. 2. Its absence is confirmed by a read. 3. The next attempt starts."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.delete_pod("a")
        await passes(5)
        assert town.kube.job("a").status.pod_revival_count == 1
        assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "1"
        assert town.kube.job("a").status.state == "pending"


@story
async def test_evicted_until_the_budget_is_spent() -> None:
    """1. Evicted again and again, a new process each time. 2. The stored count lives on. 3. At last: error."""
    town = Town(Config(plank=Plank(max_revivals=2)))
    town.kube.put(town.prowjob("a"))
    seen: list[tuple[int, str]] = []
    for _ in range(3):
        async with town.engine("plank"):
            await passes(5)
            job = town.kube.job("a")
            seen.append((job.status.pod_revival_count, town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT]))
            assert (job.status.state, job.status.pod_name) == ("pending", "a")
        town.kube.set_pod("a", **EVICTED)
    assert seen == [(0, "0"), (1, "1"), (2, "2")]
    async with town.engine("plank"):
        await passes(5)
        assert ended(town) == ("error", "Job pod was evicted 3 times: giving up.")


@story
async def test_evicted_where_the_job_asks_for_error() -> None:
    """1. Evicted. 2. The job does not want a second try: error."""
    town = Town()
    town.kube.put(town.prowjob("a", error_on_eviction=True))
    async with town.engine("plank"):
        town.kube.set_pod("a", **EVICTED)
        await passes(5)
        assert ended(town) == ("error", "Job pod was evicted by the cluster.")


@story
async def test_a_finalizer_does_not_hold_a_lost_pod() -> None:
    """1. An evicted pod carries the reporter's finalizer. 2. It is taken off. 3. The next attempt starts."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        path = f"/api/v1/namespaces/{worlds.PODS}/pods/a"
        town.kube.ask("PATCH", path, {"metadata": {"finalizers": [names.GCS_K8S_FINALIZER, "else.example/mine"]}})
        town.kube.set_pod("a", **EVICTED)
        await passes(3)
        assert town.kube.pod("a")["metadata"]["finalizers"] == ["else.example/mine"]
        town.kube.ask("PATCH", path, {"metadata": {"finalizers": None}})
        await passes(3)
        assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "1"


@story
async def test_a_finalizer_does_not_hold_a_pod_that_its_node_takes_away() -> None:
    """1. A node is drained: its pod is deleted, held by the reporter's finalizer. 2. The next attempt starts."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        path = f"/api/v1/namespaces/{worlds.PODS}/pods/a"
        town.kube.ask("PATCH", path, {"metadata": {"finalizers": [names.GCS_K8S_FINALIZER]}})
        drained = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
        town.kube.set_pod("a", phase="Running", conditions=[drained])
        town.kube.delete_pod("a")
        await passes(3)
        assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "1"
        assert town.kube.job("a").status.state == "pending"


@story
async def test_a_finalizer_does_not_hold_a_pod_after_a_crash() -> None:
    """1. A pod is given up; the process dies before it lets it go. 2. The next process does, and goes on."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.put_pod(town.pod_of("a"))
    town.kube.set_status("a", state="pending", pod_revival_count=1)
    path = f"/api/v1/namespaces/{worlds.PODS}/pods/a"
    town.kube.ask("PATCH", path, {"metadata": {"finalizers": [names.GCS_K8S_FINALIZER]}})
    town.kube.delete_pod("a")
    async with town.engine("plank"):
        await passes(3)
        assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "1"


@story
async def test_a_silent_cluster_stops_its_own_jobs_only() -> None:
    """1. One of two clusters never lists. 2. Its job reaches error at its deadline. 3. The other's runs at once."""
    town = Town(SHORT, aliases=("default", "dead"))
    town.clusters["dead"].faults.fail("GET", "/pods", times=-1)
    town.kube.put(town.prowjob("a"))
    town.kube.put(town.prowjob("b", cluster="dead"))
    async with town.engine("plank"):
        assert town.kube.job("a").status.state == "pending"
        town.kube.pod_ends("a")
        await passes(599)
        assert ended(town) == ("success", "Job succeeded.")
        assert town.kube.job("b").status.state == "triggered"
        await passes(2)
        assert ended(town, "b") == ("error", "Build cluster dead could not be reached.")


@story
async def test_a_cluster_that_comes_back_in_time() -> None:
    """1. A cluster lists only after two minutes. 2. Its job starts then."""
    town = Town(SHORT, aliases=("default", "late"))
    town.clusters["late"].faults.fail("GET", "/pods", times=-1)
    town.kube.put(town.prowjob("a", cluster="late"))
    async with town.engine("plank"):
        await passes(120)
        town.clusters["late"].faults.heal()
        await passes(40)
        assert town.kube.job("a").status.state == "pending"
        assert [pod["metadata"]["name"] for pod in town.clusters["late"].all_pods()] == ["a"]


@pytest.mark.parametrize("agent", ["jenkins", "tekton-pipeline", ""])
@story
async def test_other_agents_are_not_ours(agent: str) -> None:
    """A job of another agent is another controller's: no write."""
    town = Town()
    town.kube.put(town.prowjob("a", agent=agent))
    async with town.engine("plank"):
        await passes(60)
        assert town.kube.faults.writes() == []


@pytest.mark.parametrize("write", [1, 2, 3])
@pytest.mark.parametrize("exit_code", [0, 1])
@story
async def test_killed_after_each_write(write: int, exit_code: int) -> None:
    """1. The engine dies right after its nth write, unaware of it. 2. Another takes over. 3. One pod, same end."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.faults.stop_after_write(write)
    with anyio.CancelScope() as life:
        async with town.engine("plank"):
            if write == 3:
                town.kube.pod_ends("a", exit_code)
            await town.kube.faults.stopped.wait()
            life.cancel()
    assert town.kube.faults.stopped.is_set()
    town.kube.faults.renew()
    async with town.engine("plank"):
        await passes(5)
        if write < 3:
            town.kube.pod_ends("a", exit_code)
        await passes(5)
        assert ended(town)[0] == ("failure" if exit_code else "success")
    assert len(town.kube.all_pods()) == 1
    assert town.kube.pod("a")["metadata"]["annotations"][names.ATTEMPT] == "0"


@pytest.mark.parametrize("write", [1, 2, 3, 4])
@story
async def test_killed_in_the_middle_of_a_revival(write: int) -> None:
    """1. Evicted: count, delete, create, pending. 2. Killed after the nth of them. 3. The next attempt runs, once."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.faults.stop_after_write(write)
        town.kube.set_pod("a", **EVICTED)
        await town.kube.faults.stopped.wait()
    town.kube.faults.renew()
    async with town.engine("plank"):
        await passes(5)
        job = town.kube.job("a")
        assert (job.status.state, job.status.pod_revival_count, job.status.pod_name) == ("pending", 1, "a")
        (pod,) = town.kube.all_pods()
        assert pod["metadata"]["annotations"][names.ATTEMPT] == "1"
        assert pod["metadata"]["labels"][names.BUILD_ID_LABEL] == job.status.build_id


@story
async def test_killed_in_the_middle_of_an_abort() -> None:
    """1. Aborted: the pod's deletion is sent, then the engine dies. 2. Another completes the job."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank"):
        town.kube.pod_runs("a")
        await settle()
        town.kube.faults.stop_after_write(1)
        town.kube.set_status("a", state="aborted")
        await town.kube.faults.stopped.wait()
    assert not town.kube.job("a").complete
    town.kube.faults.renew()
    async with town.engine("plank"):
        await passes(2)
        assert ended(town)[0] == "aborted"
    assert town.kube.all_pods() == []


@story
async def test_dry_run_writes_nothing() -> None:
    """A controller on dry run watches, asks once where it must, and writes nothing at all."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.put(town.prowjob("b"))
    town.kube.set_status("b", state="pending", pod_name="b")
    async with town.engine("plank", dry_run=True):
        await passes(3600)
        assert town.kube.faults.writes() == []
        assert sum("/pods/b" in line for line in town.kube.faults.asked) == 1
    assert [job.status.state for job in town.kube.all_jobs()] == ["triggered", "pending"]


@story
async def test_the_api_server_away() -> None:
    """1. Every write fails for a minute. 2. The job starts once they work again, with one pod."""
    town = Town()
    town.kube.put(town.prowjob("a"))
    town.kube.faults.fail("POST", "", times=-1)
    async with town.engine("plank"):
        await passes(60)
        assert town.kube.job("a").status.state == "triggered"
        town.kube.faults.heal()
        await passes(60)
        assert town.kube.job("a").status.state == "pending"
    assert len(town.kube.all_pods()) == 1
    assert town.metrics.total("prow_async_executor_retries_total", action="CreatePod") >= 4
