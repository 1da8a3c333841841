"""Whose trouble it was when a job did not end well: the classes of the label and metric, and what makes a pod lost.

A lost pod says nothing about its test: it was taken away, or never let in. The job gets another one, within its
budget. Upstream (pkg/plank/reconciler.go) knows eviction, lost nodes and unknown pods; the rest are rows of
docs/parity.md.
"""

from prow_async.api.errors import ProwError, Refused
from prow_async.api.views import ContainerView, FailureClass, PodView

_DISRUPTIONS = {"PreemptionByScheduler": "preempted", "EvictionByEvictionAPI": "evicted"}
_MISTAKES = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "ContainerCannotRun",
        "StartError",
    }
)
"""Why a container does not start when it asks for what cannot be had: an image, a key of a secret, a command."""
_OURS = frozenset({"place-entrypoint", "sidecar"})
"""Pod utilities that fail only when storage, a registry or a node does."""


def lost_cause(pod: PodView) -> str:
    """Name the trouble, as `Job pod was ...` goes on, when not the test but something else ended the pod; else ""."""
    if pod.reason == "Evicted":
        return "evicted"
    if pod.reason == "NodeLost" and pod.deleting:
        return "unreachable"
    if pod.phase == "Running" and any(c.terminated_reason == "OOMKilled" for c in pod.containers):
        return "oomkilled"
    if pod.phase == "Unknown":
        return "unknown"
    if pod.disruption and (pod.phase == "Failed" or (pod.deleting and pod.phase != "Succeeded")):
        return _DISRUPTIONS.get(pod.disruption, "disrupted")
    if pod.phase == "Failed" and _never_let_in(pod):
        return "refused by its node"
    return ""


def _never_let_in(pod: PodView) -> bool:
    """A kubelet that has no room, or too little of what the pod asks for, fails it before any container is made."""
    begun = any(c.exit_code is not None or c.waiting_reason for c in pod.containers)
    return bool(pod.reason) and pod.reason not in {"DeadlineExceeded", "Terminated"} and not begun


def of_failed(pod: PodView) -> FailureClass:
    """Class a pod in the phase Failed that is not lost."""
    ended = [c for c in pod.containers if c.exit_code]
    if any(c.terminated_reason in _MISTAKES for c in ended):
        return "configuration"
    if pod.reason == "DeadlineExceeded" or any(c.name not in _OURS for c in ended):
        return "test-failed"
    return "infrastructure-lost"


def of_unstarted(containers: tuple[ContainerView, ...]) -> FailureClass:
    """Class a pod that had a node and has not started in time."""
    return "configuration" if any(c.waiting_reason in _MISTAKES for c in containers) else "infrastructure-lost"


def of_refusal(error: ProwError) -> FailureClass:
    """Class the refusal to create a pod. Without quota there is no room for it; all else was asked for wrongly."""
    full = isinstance(error, Refused) and error.reason == "Forbidden" and "exceeded quota" in error.why
    return "never-scheduled" if full else "configuration"
