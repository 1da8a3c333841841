"""What to do next for one ProwJob of the kubernetes agent: the heart of the controller.

Pure: the job, its pod as far as known, the settings and the time come in; one step comes out. The actor performs it
and asks again on the next news. States and wire texts are upstream's (pkg/plank/reconciler.go); deliberate deviations
are rows of docs/parity.md.
"""

from typing import Any

import msgspec

from prow_async.api import names
from prow_async.api.views import ContainerView, FailureClass, JobView, PodView
from prow_async.core import adoption, failures, instants


class Settings(msgspec.Struct, frozen=True):
    """Plank's part of the configuration."""

    pod_pending_timeout_s: float
    pod_running_timeout_s: float
    pod_unscheduled_timeout_s: float
    max_revivals: int


class Start(msgspec.Struct, frozen=True, tag=True):
    """Create the pod of this attempt (or adopt the one that stands there), then patch the job to pending."""

    attempt: int
    why: str


class Confirm(msgspec.Struct, frozen=True, tag=True):
    """The job's pod is not in our store: read it from the server; `lost` says what to do if it is not there."""

    lost: "Patch"
    why: str


class Patch(msgspec.Struct, frozen=True, tag=True):
    """Patch the job (with its resourceVersion), and delete the pod whose UID is `delete_pod`, if any.

    The patch goes first, so that a crash between the two leaves a job that says what happened; an aborted job is
    completed only once its pod's deletion was accepted (`delete_first`).
    `drop_finalizer`: take crier's finalizer off the pod, also where its deletion has begun: it would wait for crier.
    `failure` becomes a label in the same patch. `lost`: why the pod is given up for another one, empty if it is not.
    """

    status: dict[str, Any]
    why: str
    delete_pod: str = ""
    delete_first: bool = False
    drop_finalizer: bool = False
    failure: FailureClass | None = None
    lost: str = ""


class Release(msgspec.Struct, frozen=True, tag=True):
    """Take crier's finalizer off a pod that is on its way out and was given up: nobody will report on it."""

    why: str


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Nothing to do now. `until_s` is the wall-clock second at which time alone changes the answer; None: never."""

    why: str
    until_s: float | None = None


class Settled(msgspec.Struct, frozen=True, tag=True):
    """This job needs no controller any more (or never did)."""

    why: str


Step = Start | Confirm | Patch | Release | Wait | Settled
RUNS_TOO_LONG, STARTS_TOO_LATE, HAS_NO_NODE = (f"Pod {what} timeout." for what in ("running", "pending", "scheduling"))
TIMEOUTS = frozenset({RUNS_TOO_LONG, STARTS_TOO_LATE, HAS_NO_NODE})
"""Descriptions of jobs that end for want of time. Their pods are deleted."""
AWAY_GRACE_S = 60.0
"""No job is ended for a cluster that has been away for less, and work there is tried."""
LOOK_AGAIN_S = 30.0
"""How long news of a pod that is on its way out is waited for before it is looked at."""


def concerns(job: JobView) -> bool:
    """True while a job is this controller's to move: not before the scheduler has had it."""
    return not job.complete and job.agent == "kubernetes" and job.state in {"triggered", "pending", "aborted"}


def decide(job: JobView, pod: PodView | None, settings: Settings, now_s: float, newer: JobView | None = None) -> Step:
    """Return the next step.

    Args:
        pod: the pod under the job's name, from the store or from our own last write; None when neither knows one.
        now_s: wall clock, seconds since the epoch.
        newer: a run of the same job on the same pull requests that began later, and takes this one's place.
    """
    if job.complete:
        return Settled(f"complete: {job.state}")
    if job.agent != "kubernetes":
        return Settled(f"agent {job.agent or '(none)'} is another controller's")
    if job.deleting:
        return Settled("being deleted")
    if newer is not None and job.state in {"triggered", "pending"}:
        return _outdated(job, newer)
    match job.state:
        case "triggered":
            return Start(job.revivals, "triggered: needs its pod")
        case "pending":
            return _pending(job, pod, settings, now_s)
        case "aborted":
            return _aborted(job, pod, now_s)
        case "scheduling":
            return Settled("waits for the scheduler")
        case _:
            return Settled(f"state {job.state or '(none)'} is not ours to move")


def is_overdue(job: JobView, pod: PodView) -> bool:
    """True when the pod of a job that ended for want of time lives on: its deletion did not get through."""
    return job.complete and job.description in TIMEOUTS and adoption.owns(job, pod) and adoption.lives(pod)


def without_cluster(job: JobView, step: Step, settings: Settings, away_s: float, now_s: float) -> Step:
    """Return the step of a job whose cluster is away: wait, and end at the deadline; a result that was seen stands.

    A job that needs its pod waits as long as a pod may be pending, since its cluster went away: before that it may have
    waited for other things. One that has its pod waits as long as this may run. A pod that is given up is left to the
    sweeper.

    Args:
        step: what would be done otherwise; of a cluster that was never listed no pod is known.
        away_s: how long the cluster has been away.
    """
    if isinstance(step, Wait | Settled) or (isinstance(step, Patch) and not step.delete_first and not step.delete_pod):
        return step
    if job.complete or job.deleting or job.state not in {"triggered", "pending", "aborted"}:
        return Settled("nothing to wait for")
    left_s = _pick(job.pod_pending_timeout_s, settings.pod_pending_timeout_s) - away_s
    if job.state == "pending" and job.pod_name and job.pending_s is not None:
        limit_s = _pick(job.pod_running_timeout_s, settings.pod_running_timeout_s)
        over = isinstance(step, Patch) and "completionTime" in step.status
        left_s = max(0.0 if over else job.pending_s + limit_s - now_s, AWAY_GRACE_S - away_s)
    if left_s > 0.001:  # less is lost in wall-clock seconds
        return Wait(f"cluster {job.cluster} is away", now_s + left_s)
    text = f"Build cluster {job.cluster} could not be reached."
    if job.state == "aborted":
        return Patch({"completionTime": instants.rfc3339(now_s)}, text)
    return Patch(completed("error", text, now_s), text, failure="infrastructure-lost")


def completed(state: str, description: str, now_s: float) -> dict[str, Any]:
    """Return the status patch that ends a job."""
    return {"state": state, "description": description, "completionTime": instants.rfc3339(now_s)}


def terminal_error(error: str, now_s: float) -> Patch:
    """End a job that can never run: an unknown cluster, a spec no pod can be made of."""
    return Patch(completed("error", f"Terminal error: {error}", now_s), error, failure="configuration")


def _outdated(job: JobView, newer: JobView) -> Patch:
    """Abort a run that nobody waits for any more; it is completed in the next step, as whatever else is aborted.

    Where the newer run tests the same commits it is marked as reported: its context on them is the newer run's by now.
    On other commits nobody else would ever end what its status says (upstream pkg/pjutil/abort.go marks it there too).
    """
    status: dict[str, Any] = {"state": "aborted"}
    if {p.sha for p in job.pulls} == {p.sha for p in newer.pulls}:
        status["prev_report_states"] = {names.GITHUB_REPORTER: "aborted"}
    return Patch(status, f"a newer run, {newer.name}, takes its place")


def _aborted(job: JobView, pod: PodView | None, now_s: float) -> Step:
    """Somebody set the state; the controller deletes the pod and completes the job."""
    completion = {"completionTime": instants.rfc3339(now_s)}
    if pod is None:
        return Confirm(Patch(completion, "aborted: no pod to delete", delete_first=True), "aborted: is there a pod?")
    ours = adoption.owns(job, pod) and not pod.deleting
    return Patch(
        completion,
        "aborted: pod deleted" if ours else "aborted: no pod to delete",
        delete_pod=pod.uid if ours else "",
        delete_first=True,
    )


def _pending(job: JobView, pod: PodView | None, settings: Settings, now_s: float) -> Step:
    if not job.pod_name:
        return _next_attempt(job, pod, settings, now_s)
    if pod is None:
        return Confirm(_revive(job, None, settings, "lost", now_s), "its pod is not known here")
    if not adoption.owns(job, pod):
        why = f"pod {pod.namespace}/{pod.name} belongs to something else"
        return Patch(completed("error", f"Pod can not be used: {why}", now_s), why, failure="configuration")
    if pod.attempt is not None and pod.attempt < job.revivals:
        return Start(job.revivals, f"attempt {job.revivals}: the pod of attempt {pod.attempt} is on its way out")
    cause = failures.lost_cause(pod)
    if cause:
        return _infrastructure(job, pod, settings, cause, now_s)
    match pod.phase:
        case "Succeeded":
            return _succeeded(pod, now_s)
        case "Failed":
            why = pod.message or _failure(pod.containers) or "pod failed"
            return Patch(completed("failure", "Job failed.", now_s), why, failure=failures.of_failed(pod))
        case _:
            return _unfinished(job, pod, settings, now_s)


def _next_attempt(job: JobView, pod: PodView | None, settings: Settings, now_s: float) -> Step:
    """Start the next attempt as soon as the pod of the last one has gone; news of that comes, time does not matter."""
    if pod is None or not pod.deleting or not adoption.owns(job, pod):
        return Start(job.revivals, f"attempt {job.revivals}: needs its pod")
    limit_s = _pick(job.pod_pending_timeout_s, settings.pod_pending_timeout_s)
    if now_s >= (pod.deletion_s or pod.created_s) + limit_s:
        text = "The pod of the last attempt does not go away."
        return Patch(completed("error", text, now_s), text, failure="infrastructure-lost")
    if names.GCS_K8S_FINALIZER in pod.finalizers:
        return Release(f"attempt {job.revivals}: the pod of the last one is held, and nobody will report on it")
    return Wait(f"attempt {job.revivals}: the pod of the last one is on its way out", now_s + LOOK_AGAIN_S)


def _infrastructure(job: JobView, pod: PodView, settings: Settings, cause: str, now_s: float) -> Step:
    if cause == "oomkilled":
        end = completed("error", "Pod got OOM killed.", now_s)
        return Patch(end, "a container ran out of memory", failure="test-failed")
    if cause == "evicted" and job.error_on_eviction:
        end = completed("error", "Job pod was evicted by the cluster.", now_s)
        return Patch(end, "evicted; the job asks for error", failure="infrastructure-lost")
    return _revive(job, pod, settings, cause, now_s)


def _revive(job: JobView, pod: PodView | None, settings: Settings, cause: str, now_s: float) -> Patch:
    """Give up this attempt's pod: start the next one, or end the job when the budget is spent.

    The count is stored before the next pod exists, so the budget survives restarts (upstream loses it).
    """
    uid = pod.uid if pod is not None and not pod.deleting else ""
    finalizer = pod is not None and names.GCS_K8S_FINALIZER in pod.finalizers
    if job.revivals >= settings.max_revivals:
        text = f"Job pod was {cause} {job.revivals + 1} times: giving up."
        return Patch(completed("error", text, now_s), text, failure="infrastructure-lost")
    status = {"pod_revival_count": job.revivals + 1, "pod_name": None, "build_id": None}
    why = f"pod {cause}: starting attempt {job.revivals + 1}"
    return Patch(status, why, delete_pod=uid, drop_finalizer=finalizer, lost=cause)


def _succeeded(pod: PodView, now_s: float) -> Patch:
    bad = [c.name for c in pod.containers if c.exit_code != 0 or not c.finished]
    if bad:
        text = f"Pod succeeded, but these containers did not end well: {', '.join(bad)}."
        return Patch(completed("error", text, now_s), text, failure="infrastructure-lost")
    return Patch(completed("success", "Job succeeded.", now_s), "every container ended with exit code 0")


def _failure(containers: tuple[ContainerView, ...]) -> str:
    """Say which container failed first, for the log; the job's description stays upstream's."""
    for c in containers:
        if c.exit_code:
            return f"container {c.name} ended with exit code {c.exit_code} ({c.terminated_reason})"
    return ""


def _unfinished(job: JobView, pod: PodView, settings: Settings, now_s: float) -> Step:
    """Phase Pending or Running: watch the deadlines; the pod's own deletion ends the job."""
    deadline_s, text, state = _deadline(job, pod, settings)
    if deadline_s is not None and now_s >= deadline_s:
        uid = "" if pod.deleting else pod.uid
        why = f"{text}{_waiting(pod)}"
        return Patch(completed(state, text, now_s), why, delete_pod=uid, failure=_late(pod))
    if pod.deleting:
        end = completed("error", "Pod was deleted unexpectedly.", now_s)
        return Patch(end, "pod deleted by somebody else", failure="infrastructure-lost")
    return Wait(f"pod is {pod.phase or 'new'}{_waiting(pod)}", deadline_s)


def _late(pod: PodView) -> FailureClass:
    if pod.phase == "Running":
        return "test-failed"
    return "never-scheduled" if pod.start_s is None else failures.of_unstarted(pod.containers)


def _deadline(job: JobView, pod: PodView, settings: Settings) -> tuple[float | None, str, str]:
    """Return when the pod's present phase times out, the description then, and the state then."""
    if pod.phase == "Running":
        if pod.deleting:
            return None, "", ""
        timeout_s = _pick(job.pod_running_timeout_s, settings.pod_running_timeout_s)
        return _pick(pod.start_s, pod.created_s) + timeout_s, RUNS_TOO_LONG, "aborted"
    if pod.phase not in {"Pending", ""}:
        return None, "", ""
    if pod.start_s is None:
        timeout_s = _pick(job.pod_unscheduled_timeout_s, settings.pod_unscheduled_timeout_s)
        return pod.created_s + timeout_s, HAS_NO_NODE, "error"
    timeout_s = _pick(job.pod_pending_timeout_s, settings.pod_pending_timeout_s)
    return pod.start_s + timeout_s, STARTS_TOO_LATE, "error"


def _pick(own: float | None, default: float) -> float:
    return default if own is None else own


def _waiting(pod: PodView) -> str:
    """Add why there is no node, or why a container does not start (ImagePullBackOff and its like), the first only."""
    if pod.unscheduled:
        return f"; no node: {pod.unscheduled}"
    for c in pod.containers:
        if c.waiting_reason and c.waiting_reason not in {"ContainerCreating", "PodInitializing"}:
            return f"; container {c.name}: {c.waiting_reason}" + (f": {c.waiting_message}" if c.waiting_message else "")
    return ""
