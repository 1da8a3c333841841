"""The controller's decisions: one table per state."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api import names
from prow_async.api.views import ContainerView, JobView, PodView, PullView
from prow_async.core import plank

NOW = 1_700_000_000.0
SETTINGS = plank.Settings(600.0, 172_800.0, 300.0, 3)


def job(**with_: Any) -> JobView:
    base: dict[str, Any] = {
        "name": "j",
        "namespace": "prow",
        "uid": "u1",
        "resource_version": "5",
        "created_s": NOW - 100,
        "type": "presubmit",
        "agent": "kubernetes",
        "job": "pull-test",
        "state": "pending",
        "pod_name": "j",
        "start_s": NOW - 100,
    }
    return JobView(**{**base, **with_})


def pod(**with_: Any) -> PodView:
    base: dict[str, Any] = {
        "name": "j",
        "namespace": "pods",
        "uid": "p1",
        "resource_version": "9",
        "created_s": NOW - 90,
        "job_name": "j",
        "created_by_prow": True,
        "owner_uid": "u1",
        "attempt": 0,
        "phase": "Pending",
    }
    return PodView(**{**base, **with_})


def ended(code: int, finished: bool = True) -> tuple[ContainerView, ...]:
    return (ContainerView(name="test", exit_code=code, finished=finished),)


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (job(state="triggered", pod_name=""), plank.Start),
        (job(state="triggered", pod_name="", agent="jenkins"), plank.Settled),
        (job(state="triggered", pod_name="", deleting=True), plank.Settled),
        (job(state="scheduling", pod_name=""), plank.Settled),
        (job(state="", pod_name=""), plank.Settled),
        (job(state="success", completion_s=NOW), plank.Settled),
        (job(state="aborted", completion_s=NOW), plank.Settled),
        (job(pod_name=""), plank.Start),
        (job(), plank.Confirm),
    ],
)
def test_without_a_pod(view: JobView, step: type) -> None:
    """Before a pod is known: start one where one is due, and believe its absence only after a fresh read."""
    assert type(plank.decide(view, None, SETTINGS, NOW)) is step


@pytest.mark.parametrize(
    ("view", "ours"),
    [
        (job(state="triggered"), True),
        (job(), True),
        (job(state="aborted"), True),
        (job(state="scheduling"), False),
        (job(state=""), False),
        (job(agent="jenkins"), False),
        (job(state="aborted", completion_s=NOW), False),
    ],
)
def test_what_concerns_us(view: JobView, ours: bool) -> None:
    """A job is not touched before the scheduler has had it, whatever its cluster says until then."""
    assert plank.concerns(view) is ours


@pytest.mark.parametrize(
    ("seen", "state", "description"),
    [
        (pod(phase="Succeeded", containers=ended(0)), "success", "Job succeeded."),
        (pod(phase="Succeeded"), "success", "Job succeeded."),
        (pod(phase="Succeeded", containers=ended(0, finished=False)), "error", "did not end well"),
        (pod(phase="Failed", containers=ended(2)), "failure", "Job failed."),
        (pod(phase="Failed", reason="Terminated"), "failure", "Job failed."),
        (
            pod(
                phase="Running", containers=(ContainerView(name="test", exit_code=137, terminated_reason="OOMKilled"),)
            ),
            "error",
            "OOM",
        ),
        (pod(created_s=NOW - 300), "error", "Pod scheduling timeout."),
        (pod(start_s=NOW - 600), "error", "Pod pending timeout."),
        (pod(phase="Running", start_s=NOW - 172_800), "aborted", "Pod running timeout."),
        (pod(phase="Running", deleting=True), "error", "deleted unexpectedly"),
        (pod(phase="Pending", deleting=True), "error", "deleted unexpectedly"),
        (pod(owner_uid="someone else"), "error", "belongs to something else"),
        (pod(owner_uid="", attempt=None, job_name="other"), "error", "belongs to something else"),
    ],
)
def test_pending_ends(seen: PodView, state: str, description: str) -> None:
    """Every way a pod can end gives upstream's final state, complete, with a description."""
    step = plank.decide(job(), seen, SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert step.status["state"] == state
    assert description in step.status["description"]
    assert step.status["completionTime"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    ("view", "seen", "until"),
    [
        (job(), pod(), NOW - 90 + 300),
        (job(pod_unscheduled_timeout_s=1000.0), pod(), NOW - 90 + 1000),
        (job(), pod(start_s=NOW - 5), NOW - 5 + 600),
        (job(pod_pending_timeout_s=7.0), pod(start_s=NOW - 5), NOW + 2),
        (job(), pod(phase="Running", start_s=NOW - 5), NOW - 5 + 172_800),
        (job(pod_running_timeout_s=60.0), pod(phase="Running", start_s=NOW - 5), NOW + 55),
        (job(), pod(phase="Running"), NOW - 90 + 172_800),
    ],
)
def test_pending_waits_until_its_deadline(view: JobView, seen: PodView, until: float | None) -> None:
    """An unfinished pod is waited for, with the deadline our own clock will keep."""
    assert plank.decide(view, seen, SETTINGS, NOW) == plank.Wait(f"pod is {seen.phase}", until)


def test_timeouts_delete_the_pod_and_a_pod_going_away_is_left_alone() -> None:
    late = plank.decide(job(), pod(start_s=NOW - 600), SETTINGS, NOW)
    assert isinstance(late, plank.Patch)
    assert late.delete_pod == "p1"
    gone = plank.decide(job(), pod(start_s=NOW - 600, deleting=True), SETTINGS, NOW)
    assert isinstance(gone, plank.Patch)
    assert gone.delete_pod == ""


@pytest.mark.parametrize(
    "seen",
    [
        pod(reason="Evicted", phase="Failed"),
        pod(reason="NodeLost", deleting=True),
        pod(phase="Unknown"),
        None,
    ],
)
def test_lost_pods_are_revived_within_a_stored_budget(seen: PodView | None) -> None:
    """The next attempt is counted on the job before its pod exists; beyond the budget the job ends in error."""
    step = plank.decide(job(), seen, SETTINGS, NOW)
    patch = step.lost if isinstance(step, plank.Confirm) else step
    assert isinstance(patch, plank.Patch)
    assert patch.status == {"pod_revival_count": 1, "pod_name": None, "build_id": None}
    over = plank.decide(job(revivals=3), msgspec.structs.replace(seen, attempt=3) if seen else None, SETTINGS, NOW)
    patch = over.lost if isinstance(over, plank.Confirm) else over
    assert isinstance(patch, plank.Patch)
    assert patch.status["state"] == "error"


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        (pod(phase="Running", deleting=True, disruption="PreemptionByScheduler"), "preempted"),
        (pod(phase="Pending", deleting=True, disruption="DeletionByTaintManager"), "disrupted"),
        (pod(phase="Failed", containers=ended(143), disruption="EvictionByEvictionAPI"), "evicted"),
        (pod(phase="Failed", reason="OutOfcpu"), "refused by its node"),
        (pod(phase="Failed", reason="UnexpectedAdmissionError"), "refused by its node"),
    ],
)
def test_a_pod_the_cluster_takes_away_is_lost(seen: PodView, cause: str) -> None:
    """Preempted, drained, refused: the test is not to blame, and gets another pod."""
    step = plank.decide(job(), seen, SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert (step.lost, step.status["pod_revival_count"], step.failure) == (cause, 1, None)
    over = plank.decide(job(revivals=3), msgspec.structs.replace(seen, attempt=3), SETTINGS, NOW)
    assert isinstance(over, plank.Patch)
    assert over.failure == "infrastructure-lost"


def test_a_result_that_was_reached_stands() -> None:
    """The test ended well before its node was drained."""
    seen = pod(phase="Succeeded", containers=ended(0), deleting=True, disruption="EvictionByEvictionAPI")
    step = plank.decide(job(), seen, SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert step.status["state"] == "success"
    going = plank.decide(job(), pod(phase="Running", disruption="EvictionByEvictionAPI"), SETTINGS, NOW)
    assert isinstance(going, plank.Wait)


def named(name: str, code: int | None, reason: str = "", **more: Any) -> ContainerView:
    return ContainerView(name=name, exit_code=code, terminated_reason=reason, finished=code is not None, **more)


@pytest.mark.parametrize(
    ("seen", "failure"),
    [
        (pod(phase="Failed", containers=ended(1)), "test-failed"),
        (pod(phase="Failed", containers=(named("test", 137, "OOMKilled"),)), "test-failed"),
        (pod(phase="Running", containers=(named("test", 137, "OOMKilled"),)), "test-failed"),
        (pod(phase="Failed", reason="DeadlineExceeded"), "test-failed"),
        (pod(phase="Failed", containers=(named("test", 128, "StartError"),)), "configuration"),
        (pod(phase="Failed", containers=(named("setup", 1, init=True),)), "test-failed"),
        (pod(phase="Failed", containers=(named("place-entrypoint", 1, init=True),)), "infrastructure-lost"),
        (pod(phase="Failed", containers=(named("test", 0), named("sidecar", 1))), "infrastructure-lost"),
        (pod(phase="Failed", containers=(named("test", 1), named("sidecar", 1))), "test-failed"),
        (pod(phase="Failed", reason="Terminated"), "infrastructure-lost"),
        (pod(created_s=NOW - 300), "never-scheduled"),
        (pod(start_s=NOW - 600), "infrastructure-lost"),
        (pod(start_s=NOW - 600, containers=(named("test", None, waiting_reason="ImagePullBackOff"),)), "configuration"),
        (pod(phase="Running", start_s=NOW - 172_800), "test-failed"),
        (pod(phase="Running", deleting=True), "infrastructure-lost"),
        (pod(phase="Succeeded", containers=ended(0, finished=False)), "infrastructure-lost"),
        (pod(phase="Succeeded", containers=ended(0)), None),
        (pod(owner_uid="someone else"), "configuration"),
    ],
)
def test_failures_are_classed(seen: PodView, failure: str | None) -> None:
    """The test, a machine, the scheduler, or what was asked for."""
    step = plank.decide(job(), seen, SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert step.failure == failure


def test_what_holds_a_pod_up_is_told() -> None:
    """The scheduler's words while there is no node, the kubelet's while a container does not start."""
    no_node = plank.decide(job(), pod(unscheduled="0/3 nodes: cpu"), SETTINGS, NOW)
    assert no_node.why == "pod is Pending; no node: 0/3 nodes: cpu"
    image = named("test", None, waiting_reason="ErrImagePull", waiting_message="not found")
    pulling = plank.decide(job(), pod(start_s=NOW, containers=(image,)), SETTINGS, NOW)
    assert pulling.why == "pod is Pending; container test: ErrImagePull: not found"


def test_the_next_attempt_waits_for_the_last_pod_to_go() -> None:
    """Its going is news; the clock only makes sure, and ends a job whose pod never goes."""
    view = job(revivals=1, pod_name="")
    going = pod(phase="Running", deleting=True, deletion_s=NOW - 10)
    assert plank.decide(view, going, SETTINGS, NOW) == plank.Wait(
        "attempt 1: the pod of the last one is on its way out", NOW + plank.LOOK_AGAIN_S
    )
    stuck = plank.decide(view, msgspec.structs.replace(going, deletion_s=NOW - 600), SETTINGS, NOW)
    assert isinstance(stuck, plank.Patch)
    assert (stuck.status["state"], stuck.failure) == ("error", "infrastructure-lost")
    assert isinstance(plank.decide(view, None, SETTINGS, NOW), plank.Start)


@pytest.mark.parametrize("state", ["triggered", "pending"])
def test_an_outdated_run_is_aborted_and_its_pod_goes_next(state: str) -> None:
    """It is completed in a second step. Its status is the newer run's to tell where both stand on one commit."""
    old = job(state=state, pulls=(PullView(1, "sha1"),))
    same, other = job(name="k", pulls=old.pulls), job(name="k", pulls=(PullView(1, "sha2"),))
    marked = {"state": "aborted", "prev_report_states": {"github-reporter": "aborted"}}
    for newer, status in ((same, marked), (other, {"state": "aborted"})):
        step = plank.decide(old, pod(phase="Running"), SETTINGS, NOW, newer)
        assert step == plank.Patch(status, "a newer run, k, takes its place")
    assert isinstance(plank.decide(job(completion_s=NOW), None, SETTINGS, NOW, same), plank.Settled)


def test_eviction_is_an_error_where_the_job_says_so() -> None:
    step = plank.decide(job(error_on_eviction=True), pod(reason="Evicted", phase="Failed"), SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert step.status["state"] == "error"


def test_revival_takes_criers_finalizer_off() -> None:
    seen = pod(phase="Unknown", finalizers=(names.GCS_K8S_FINALIZER,))
    step = plank.decide(job(), seen, SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert step.drop_finalizer
    assert step.delete_pod == "p1"


@pytest.mark.parametrize("seen", [{"reason": "NodeLost"}, {"phase": "Running", "disruption": "PreemptionByScheduler"}])
def test_a_lost_pod_whose_deletion_has_begun_is_let_go(seen: dict[str, Any]) -> None:
    """It cannot be deleted once more, but crier's finalizer would hold it for good: nobody reports on it."""
    held = pod(deleting=True, deletion_s=NOW, finalizers=(names.GCS_K8S_FINALIZER,), **seen)
    step = plank.decide(job(), held, SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert (step.drop_finalizer, step.delete_pod) == (True, "")
    view = job(revivals=1, pod_name="")
    assert isinstance(plank.decide(view, held, SETTINGS, NOW), plank.Release)
    assert isinstance(plank.decide(view, held, SETTINGS, NOW + 600), plank.Patch)
    others = msgspec.structs.replace(held, finalizers=("else.example/mine",))
    assert isinstance(plank.decide(view, others, SETTINGS, NOW), plank.Wait)


def test_the_pod_of_an_earlier_attempt_does_not_decide() -> None:
    """After a revival the old pod may still be seen: the next attempt starts, whatever the old one did."""
    view = job(revivals=1, pod_name="j")
    assert plank.decide(view, pod(phase="Succeeded", containers=ended(0)), SETTINGS, NOW) == plank.Start(
        1, "attempt 1: the pod of attempt 0 is on its way out"
    )


def test_aborted_jobs_complete_once_their_pod_is_deleted() -> None:
    step = plank.decide(job(state="aborted"), pod(phase="Running"), SETTINGS, NOW)
    assert isinstance(step, plank.Patch)
    assert (step.delete_pod, step.delete_first, set(step.status)) == ("p1", True, {"completionTime"})
    strangers = plank.decide(job(state="aborted"), pod(owner_uid="x"), SETTINGS, NOW)
    assert isinstance(strangers, plank.Patch)
    assert strangers.delete_pod == ""


phases = st.sampled_from(["", "Pending", "Running", "Succeeded", "Failed", "Unknown"])
pods = st.builds(
    pod,
    phase=phases,
    reason=st.sampled_from(["", "Evicted", "NodeLost", "Terminated", "OutOfmemory"]),
    disruption=st.sampled_from(["", "PreemptionByScheduler"]),
    deletion_s=st.none() | st.floats(NOW - 1e6, NOW + 60),
    deleting=st.booleans(),
    owner_uid=st.sampled_from(["u1", "x", ""]),
    attempt=st.sampled_from([None, 0, 1, 2]),
    job_name=st.sampled_from(["j", "k"]),
    created_s=st.floats(NOW - 1e6, NOW),
    start_s=st.none() | st.floats(NOW - 1e6, NOW),
    containers=st.sampled_from([(), ended(0), ended(1), ended(0, finished=False)]),
)
jobs = st.builds(
    job,
    state=st.sampled_from(["triggered", "pending", "aborted"]),
    pod_name=st.sampled_from(["", "j"]),
    revivals=st.integers(0, 4),
    error_on_eviction=st.booleans(),
)


@given(jobs, st.none() | pods)
def test_no_state_is_a_dead_end(view: JobView, seen: PodView | None) -> None:
    """Whatever is seen: a step is taken, or a deadline or the pod's own news ends the waiting; strangers stay whole."""
    step = plank.decide(view, seen, SETTINGS, NOW)
    if isinstance(step, plank.Wait):
        assert seen is not None
        assert step.until_s is not None
        assert step.until_s > NOW
    assert not isinstance(step, plank.Settled)
    patch = step.lost if isinstance(step, plank.Confirm) else step
    if isinstance(patch, plank.Patch):
        if patch.delete_pod:
            assert seen is not None
            assert seen.owner_uid in {"u1", ""}
        if patch.status.get("state") in {"success", "failure", "error"}:
            assert patch.status["completionTime"]
        ended_badly = "completionTime" in patch.status and patch.status.get("state", "success") != "success"
        assert (patch.failure is not None) is ended_badly
