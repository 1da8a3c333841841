"""Whether a thing that already stands under our name may be taken for ours.

Names are derived, so a name that is taken is usually our own work of a moment ago. Usually is not enough: a pod is
adopted only when it proves by its marks to be the one we would send; everything else is waited for or left alone.
"""

from typing import Literal

from prow_async.api.views import JobView, PodView

Verdict = Literal["adopt", "wait", "foreign"]
LATE_S = 60.0
"""More than the clocks of two clusters differ: whatever is created so long after its job's end came too late."""


def judge_pod(job: JobView, attempt: int, digest: str, found: PodView) -> tuple[Verdict, str]:
    """Judge a freshly read pod that stands where ours should be created; return the verdict and why.

    Args:
        attempt: the attempt we are about to start.
        digest: of the pod we would send, made with the build id that `found` carries.

    `wait`: it is ours but on its way out or of an earlier attempt: try again when it is gone. `foreign`: not ours:
    the job ends in error and the pod is never touched.
    """
    if not found.owner_uid and found.attempt is None:
        return _judge_unmarked(job, found)
    if found.owner_uid != job.uid:
        return "foreign", f"pod {found.namespace}/{found.name} belongs to another ProwJob (UID {found.owner_uid})"
    if found.deleting:
        return "wait", f"pod {found.name} of attempt {found.attempt} is being deleted"
    if found.attempt is None or found.attempt < attempt:
        return "wait", f"pod {found.name} is of attempt {found.attempt}, before this one ({attempt})"
    if found.attempt > attempt:
        return "foreign", f"pod {found.name} is of attempt {found.attempt}, which has not begun here ({attempt})"
    if found.digest != digest:
        return "foreign", f"pod {found.name} carries our marks but not the content we would send"
    return "adopt", f"pod {found.name} is the one this attempt would create"


def _judge_unmarked(job: JobView, found: PodView) -> tuple[Verdict, str]:
    """A pod without our marks: made by upstream's controller for this very ProwJob, or a stranger."""
    if found.job_name != job.name:
        return "foreign", f"pod {found.namespace}/{found.name} was not made for this ProwJob"
    if found.created_s < job.created_s:
        return "foreign", f"pod {found.namespace}/{found.name} is older than its ProwJob"
    if found.deleting:
        return "wait", f"pod {found.name} is being deleted"
    return "adopt", f"pod {found.name} was made by upstream for this ProwJob"


def owns(job: JobView, found: PodView) -> bool:
    """True when a pod seen under the job's name was made for this very ProwJob, whatever its attempt."""
    if found.owner_uid:
        return found.owner_uid == job.uid
    return found.job_name == job.name and found.created_s >= job.created_s


def lives(pod: PodView) -> bool:
    """True when a pod may run, or may come to."""
    return not pod.deleting and pod.phase in {"", "Pending", "Running"}


def is_straggler(job: JobView, found: PodView) -> bool:
    """True when a live pod of a complete job is none of those the job ran with: a creation that arrived late.

    Pods that were there when their job ended may still upload, and are left alone. A job that ran knows its pod's
    build id, so another one proves that clocks do not deceive us. They count whole seconds, and an aborted job's end is
    fixed just before its pod is deleted: where there was a pod, another one of that very second is late as well.
    """
    if job.completion_s is None or not owns(job, found) or not lives(found):
        return False
    if found.build_id == job.build_id:
        return found.created_s > job.completion_s + LATE_S
    return found.created_s > job.completion_s or (bool(job.pod_name) and found.created_s == job.completion_s)


def same_job(ours: str, found: str) -> bool:
    """True when the ProwJob found under a derived name has the spec we would send: both spec digests are equal."""
    return bool(ours) and ours == found
