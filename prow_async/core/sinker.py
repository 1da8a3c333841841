"""What is old enough to be swept away, and the proof for each object.

Nothing is deleted that might still be needed: an unfinished ProwJob never, nor its pod, nor the newest run of a
periodic that is still configured (horologium counts from it).

Source: upstream cmd/sinker/main.go.
"""

from collections.abc import Iterable, Mapping

import msgspec

from prow_async.api import names
from prow_async.api.actions import DeletePod, DeleteProwJob, PatchPod
from prow_async.api.config import Sinker
from prow_async.api.errors import Expired, ProwError, Refused, Retry
from prow_async.api.views import JobView, PodView

ORPHAN_AGE_S = 30.0
_REASONS = {409: "Conflict", 429: "TooManyRequests", 503: "ServiceUnavailable", 504: "Timeout"}


class Step(msgspec.Struct, frozen=True):
    """One object to sweep. `why` in the action is the proof.

    With `verify` (the name of a ProwJob) the proof rests on a ProwJob that our snapshot does not have: read it
    afresh, and judge anew.
    """

    action: DeleteProwJob | DeletePod | PatchPod
    verify: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What to sweep: ProwJobs, and by cluster alias the names of pods, which are judged anew when their turn comes."""

    jobs: tuple[Step, ...]
    pods: dict[str, tuple[str, ...]]


def plan(
    jobs: Iterable[JobView],
    pods: Mapping[str, Iterable[PodView]],
    configured: frozenset[str],
    settings: Sinker,
    now_s: float,
) -> Plan:
    """Return what to sweep.

    Args:
        jobs: all ProwJobs of the namespace.
        pods: by cluster alias; list each cluster under one alias only (see `swept_alias`).
        configured: names of the periodics in the configuration.
    """
    everyone = tuple(jobs)
    steps = tuple(Step(action) for action in _plan_jobs(everyone, configured, settings, now_s))
    by_name = {job.name: job for job in everyone}
    doomed = {
        cluster: tuple(
            pod.name for pod in found if judge_pod(cluster, pod, by_name.get(pod.job_name or pod.name), settings, now_s)
        )
        for cluster, found in pods.items()
    }
    return Plan(steps, doomed)


def swept_alias(aliases: Iterable[str], settings: Sinker) -> str:
    """Return the alias under which a cluster is swept, empty when it is excluded under all of them."""
    return next((alias for alias in aliases if alias not in settings.exclude_clusters), "")


def judge_pod(cluster: str, pod: PodView, job: JobView | None, settings: Sinker, now_s: float) -> tuple[Step, ...]:
    """Return what becomes of one pod, in this order.

    Args:
        job: the ProwJob its label names (or its own name), None when there is none as far as is known.
    """
    if not pod.created_by_prow:
        return ()
    owner = pod.job_name or pod.name
    ownerless = is_ownerless(pod, job)
    verify = owner if ownerless else ""
    reported = job is not None and job.complete and job.reported.get(names.POD_REPORTER) == job.state
    steps = []
    if names.GCS_K8S_FINALIZER in pod.finalizers and (ownerless or reported):
        why = "its ProwJob is gone" if ownerless else "it was reported"
        steps.append(Step(_without_finalizer(cluster, pod, why), verify))
    if pod.deleting:
        return tuple(steps)
    judged = _judge_ownerless(pod, now_s) if ownerless or job is None else _judge(pod, job, settings, now_s)
    if judged is not None:
        reason, why = judged
        action = DeletePod(
            cluster=cluster, namespace=pod.namespace, name=pod.name, uid=pod.uid, reason=reason, why=f"{owner}: {why}"
        )
        steps.append(Step(action, verify))
    return tuple(steps)


def reason_of(error: ProwError) -> str:
    """Return Kubernetes' word for an error, as upstream's metrics have it; `Unknown` where no server answered."""
    match error:
        case Refused(reason=reason) if reason:
            return reason
        case Retry(status=status):
            return _REASONS.get(status or 0, "Unknown" if status is None else "InternalError")
        case Expired():
            return "Expired"
        case _:
            return "Unknown"


def line(step: Step) -> str:
    """Tell a person about one step."""
    match step.action:
        case DeleteProwJob(namespace=namespace, name=name, reason=reason, why=why):
            return f"delete ProwJob {namespace}/{name}  {reason}: {why}"
        case DeletePod(cluster=cluster, namespace=namespace, name=name, reason=reason, why=why):
            return f"delete pod {namespace}/{name} in {cluster}  {reason}: {why}"
        case PatchPod(cluster=cluster, namespace=namespace, name=name, why=why):
            return f"take {names.GCS_K8S_FINALIZER} off pod {namespace}/{name} in {cluster}  {why}"


def is_ownerless(pod: PodView, job: JobView | None) -> bool:
    """True when a freshly read ProwJob (None: it is gone) is not the one the pod was made for."""
    return job is None or bool(pod.owner_uid and pod.owner_uid != job.uid)


def _plan_jobs(
    jobs: tuple[JobView, ...], configured: frozenset[str], settings: Sinker, now_s: float
) -> Iterable[DeleteProwJob]:
    newest: dict[str, JobView] = {}
    for job in jobs:
        if job.type == "periodic" and (job.job not in newest or _start(newest[job.job]) < _start(job)):
            newest[job.job] = job
    for job in jobs:
        periodic = job.type == "periodic"
        if periodic and job.job in configured and newest[job.job] is job:
            continue
        age_s = now_s - _start(job)[0]
        if job.complete and not job.deleting and age_s > settings.max_prowjob_age_s:
            yield DeleteProwJob(
                namespace=job.namespace,
                name=job.name,
                uid=job.uid,
                reason="aged-periodic" if periodic else "aged",
                why=f"{job.job}: complete, started {age_s:.0f} s ago (limit {settings.max_prowjob_age_s:.0f} s)",
            )


def _start(job: JobView) -> tuple[float, str]:
    return (job.created_s if job.start_s is None else job.start_s), job.name


def _judge(pod: PodView, job: JobView, settings: Sinker, now_s: float) -> tuple[str, str] | None:
    if job.completion_s is None:
        return None
    aged = _aged(pod, settings, now_s)
    if aged is not None:
        return aged
    done_s = now_s - job.completion_s
    if done_s > settings.terminated_pod_ttl_s:
        limit_s = settings.terminated_pod_ttl_s
        return "ttled", f"its ProwJob completed {done_s:.0f} s ago (limit {limit_s:.0f} s)"
    return None


def _judge_ownerless(pod: PodView, now_s: float) -> tuple[str, str] | None:
    age_s = now_s - pod.created_s
    return ("orphaned", f"its ProwJob does not exist, created {age_s:.0f} s ago") if age_s > ORPHAN_AGE_S else None


def _aged(pod: PodView, settings: Sinker, now_s: float) -> tuple[str, str] | None:
    if pod.start_s is None or now_s - pod.start_s <= settings.max_pod_age_s:
        return None
    return "aged", f"started {now_s - pod.start_s:.0f} s ago (limit {settings.max_pod_age_s:.0f} s)"


def _without_finalizer(cluster: str, pod: PodView, why: str) -> PatchPod:
    rest = [name for name in pod.finalizers if name != names.GCS_K8S_FINALIZER]
    return PatchPod(
        cluster=cluster,
        namespace=pod.namespace,
        name=pod.name,
        patch={"metadata": {"finalizers": rest or None}},
        resource_version=pod.resource_version,
        why=f"nothing waits for this pod any more: {why}",
    )
