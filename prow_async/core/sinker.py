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
from prow_async.api.views import JobView, PodView

ORPHAN_AGE_S = 30.0


class Step(msgspec.Struct, frozen=True):
    """One object to sweep. `why` in the action is the proof.

    With `verify` (the name of a ProwJob) the proof rests on a ProwJob that our snapshot does not have: read it
    afresh, and act only if is_ownerless still holds.
    """

    action: DeleteProwJob | DeletePod | PatchPod
    verify: str = ""


def plan(
    jobs: Iterable[JobView],
    pods: Mapping[str, Iterable[PodView]],
    configured: frozenset[str],
    settings: Sinker,
    now_s: float,
) -> tuple[Step, ...]:
    """Return what to sweep: ProwJobs first, then pods, cluster by cluster.

    Args:
        jobs: all ProwJobs of the namespace.
        pods: by cluster alias, those labelled created-by-prow; list each cluster under one alias only.
        configured: names of the periodics in the configuration.
    """
    everyone = tuple(jobs)
    steps = [Step(action) for action in _plan_jobs(everyone, configured, settings, now_s)]
    by_name = {job.name: job for job in everyone}
    for cluster, found in pods.items():
        if cluster in settings.exclude_clusters:
            continue
        for pod in found:
            steps += _plan_pod(cluster, pod, by_name, settings, now_s)
    return tuple(steps)


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


def _plan_pod(
    cluster: str, pod: PodView, jobs: Mapping[str, JobView], settings: Sinker, now_s: float
) -> Iterable[Step]:
    owner = pod.job_name or pod.name
    job = jobs.get(owner)
    ownerless = is_ownerless(pod, job)
    verify = owner if ownerless else ""
    reported = job is not None and job.complete and job.reported.get(names.POD_REPORTER) == job.state
    if names.GCS_K8S_FINALIZER in pod.finalizers and (ownerless or reported):
        yield Step(_without_finalizer(cluster, pod, "its ProwJob is gone" if ownerless else "it was reported"), verify)
    if pod.deleting:
        return
    judged = _judge_ownerless(pod, settings, now_s) if ownerless or job is None else _judge(pod, job, settings, now_s)
    if judged is not None:
        reason, why = judged
        action = DeletePod(
            cluster=cluster, namespace=pod.namespace, name=pod.name, uid=pod.uid, reason=reason, why=f"{owner}: {why}"
        )
        yield Step(action, verify)


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


def _judge_ownerless(pod: PodView, settings: Sinker, now_s: float) -> tuple[str, str] | None:
    age_s = now_s - pod.created_s
    if age_s > ORPHAN_AGE_S:
        return _aged(pod, settings, now_s) or ("orphaned", f"its ProwJob does not exist, created {age_s:.0f} s ago")
    return None


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
