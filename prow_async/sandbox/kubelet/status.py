"""What the API server is told of a pod. Pure: pod, facts and time in; the JSON of `status` out.

Every patch holds the whole of what this kubelet writes, so the newest one is always right. Reasons, messages and exit
codes are upstream kubelet's where it has them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prow_async.api.prowjob import Json
from prow_async.core import instants
from prow_async.sandbox.kubelet.decide import Facts, Ran
from prow_async.sandbox.kubelet.manifest import TAKEN_BY, Container, Pod
from prow_async.sandbox.kubelet.refusal import NO_IMAGE

DEADLINE = "Pod was active on the node longer than the specified deadline"
SHUTDOWN = "Pod was terminated because the kubelet that ran it was stopped."
LOST = (
    "The kubelet broke or was restarted while this pod ran: its processes are gone and its result is not known. "
    "Start the job again."
)
NO_LOG = "The container could not be located when the pod was terminated"
KILLED_EXIT = 137
EPOCH = "1970-01-01T00:00:00Z"


def of(pod: Pod, facts: Facts) -> Json:
    """Return the status of a pod this kubelet has taken."""
    phase = _phase(pod, facts)
    return {
        "phase": phase,
        "startTime": instants.rfc3339(facts.start_s),
        **_why(facts, phase),
        "conditions": _conditions(pod, facts, phase),
        "initContainerStatuses": [_container(c, facts.ran.get(c.name), "PodInitializing", True) for c in _inits(pod)],
        "containerStatuses": [
            _container(c, facts.ran.get(c.name), _waiting_for(pod, facts), False) for c in pod.spec.containers
        ],
    }


def of_lost(pod: Pod, now_s: float) -> Json:
    """Return the status of a pod that an earlier kubelet had started and nobody runs any more.

    What its containers had already ended with stays; those that ran, or were to run, have no known end.
    """
    before: dict[str, Any] = pod.status
    at = instants.rfc3339(now_s)
    return {
        "phase": "Failed",
        "reason": "NodeLost",
        "message": LOST,
        "initContainerStatuses": _lost(_inits(pod), before.get("initContainerStatuses"), at),
        "containerStatuses": _lost(pod.spec.containers, before.get("containerStatuses"), at),
    }


def _inits(pod: Pod) -> tuple[Container, ...]:
    return pod.spec.init_containers


def _waiting_for(pod: Pod, facts: Facts) -> str:
    if facts.refused is not None and facts.refused.reason == NO_IMAGE:
        return NO_IMAGE
    return "PodInitializing" if pod.spec.init_containers else "ContainerCreating"


def _phase(pod: Pod, facts: Facts) -> str:
    mains = [facts.ran.get(c.name) for c in pod.spec.containers]
    inits = [facts.ran.get(c.name) for c in pod.spec.init_containers]
    if facts.refused is not None:
        return "Failed"
    running = any(r.running for r in facts.ran.values())
    if not running:
        if facts.stopping is not None and facts.stopping.cause in {"deadline", "shutdown"}:
            return "Failed"
        if any(r is not None and r.exit_code != 0 for r in inits):
            return "Failed"
        if mains and all(r is not None for r in mains):
            return "Failed" if any(r is not None and r.exit_code != 0 for r in mains) else "Succeeded"
        if facts.stopping is not None:
            return "Failed"
    return "Running" if any(r is not None for r in mains) else "Pending"


def _why(facts: Facts, phase: str) -> dict[str, str]:
    """Return reason and message, of a pod that has them. Once there they never change, so nothing is taken away."""
    if facts.refused is not None:
        return {"reason": facts.refused.reason, "message": facts.refused.message}
    if phase == "Failed" and facts.stopping is not None:
        if facts.stopping.cause == "deadline":
            return {"reason": "DeadlineExceeded", "message": DEADLINE}
        if facts.stopping.cause == "shutdown":
            return {"reason": "Terminated", "message": SHUTDOWN}
    return {}


def _conditions(pod: Pod, facts: Facts, phase: str) -> list[Json]:
    """Return the four conditions every kubelet keeps, each dated by the fact that last changed it."""
    inits = [facts.ran.get(c.name) for c in pod.spec.init_containers]
    mains = [facts.ran.get(c.name) for c in pod.spec.containers]
    initialized = not facts.refused and all(r is not None and not r.running and r.exit_code == 0 for r in inits)
    ready = phase == "Running" and all(r is not None and r.running for r in mains)
    initialized_s = max((r.finished_s or 0.0 for r in inits if r is not None), default=0.0)
    ready_s = max((r.finished_s or r.started_s or 0.0 for r in mains if r is not None), default=0.0)
    unready = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")

    def one(kind: str, met: bool, at_s: float, reason: str) -> Json:
        made: Json = {
            "type": kind,
            "status": "True" if met else "False",
            "lastTransitionTime": instants.rfc3339(max(at_s, facts.start_s)),
        }
        return made if met else made | {"reason": reason}

    return [
        one("PodScheduled", True, facts.start_s, "") | {"message": TAKEN_BY + facts.taken_by},
        one("Initialized", initialized, initialized_s, "ContainersNotInitialized"),
        one("ContainersReady", ready, ready_s, unready),
        one("Ready", ready, ready_s, unready),
    ]


def _container(container: Container, ran: Ran | None, waiting: str, init: bool) -> Json:
    ended_well = ran is not None and not ran.running and ran.exit_code == 0
    return {
        "name": container.name,
        "image": container.image,
        "imageID": "",
        "restartCount": 0,
        "ready": ended_well if init else ran is not None and ran.running,
        "started": ran is not None and ran.running,
        "state": _state(ran, waiting),
    }


def _state(ran: Ran | None, waiting: str) -> Json:
    if ran is None:
        return {"waiting": {"reason": waiting}}
    started = EPOCH if ran.started_s is None else instants.rfc3339(ran.started_s)
    if ran.finished_s is None:
        return {"running": {"startedAt": started}}
    ended: Json = {
        "exitCode": ran.exit_code,
        "reason": ran.reason,
        "startedAt": started,
        "finishedAt": instants.rfc3339(ran.finished_s),
    }
    if ran.message:
        ended["message"] = ran.message
    return {"terminated": ended}


def _lost(containers: Iterable[Container], before: Any, at: str) -> list[Json]:
    known: Mapping[Any, Any] = {c.get("name"): c for c in before or () if isinstance(c, dict)}
    made = []
    for container in containers:
        old = known.get(container.name) or _container(container, None, "ContainerCreating", False)
        state = old.get("state") or {}
        if "terminated" not in state:
            started = (state.get("running") or {}).get("startedAt") or EPOCH
            gone = {"exitCode": KILLED_EXIT, "reason": "ContainerStatusUnknown", "message": NO_LOG}
            state = {"terminated": gone | {"startedAt": started, "finishedAt": at}}
        made.append(old | {"ready": False, "started": False, "state": state})
    return made
