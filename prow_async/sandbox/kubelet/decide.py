"""What a pod needs next. Pure: the pod, what has happened to it and the time come in; one step comes out.

Source: upstream kubelet's order of a pod's life with restartPolicy Never (init containers one by one, each must
succeed; then all containers at once), its deadlines and its graceful termination.
"""

from typing import Literal

import msgspec

from prow_async.sandbox.kubelet.manifest import Pod
from prow_async.sandbox.kubelet.refusal import Refusal

Cause = Literal["deleted", "deadline", "shutdown"]


class Ran(msgspec.Struct, frozen=True):
    """One container from its start on."""

    started_s: float | None
    """None: it could not be started at all."""
    finished_s: float | None = None
    exit_code: int = 0
    reason: str = ""
    message: str = ""

    @property
    def running(self) -> bool:
        return self.finished_s is None


class Stopping(msgspec.Struct, frozen=True):
    """The pod is being ended before its time: SIGTERM was sent at `at_s`."""

    cause: Cause
    at_s: float
    killed: bool = False
    """SIGKILL was sent."""


class Facts(msgspec.Struct):
    """What has happened to a pod so far. Changed by the pod's one owner, read by the rules."""

    start_s: float
    """status.startTime."""
    taken_by: str = ""
    """The mark of the kubelet that runs it."""
    ran: dict[str, Ran] = {}
    refused: Refusal | None = None
    delete_grace_s: float | None = None
    """Set as soon as somebody asked for the pod's deletion."""
    stopping: Stopping | None = None


class Start(msgspec.Struct, frozen=True, tag=True):
    """Start these containers."""

    names: tuple[str, ...]


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Send SIGTERM to every running container and remember why and when."""

    cause: Cause
    why: str


class Kill(msgspec.Struct, frozen=True, tag=True):
    """Send SIGKILL to every running container: its time to end in good order is over."""


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Nothing to do until news come, or until `until_s` (wall clock) if that is not None."""

    until_s: float | None


class Settled(msgspec.Struct, frozen=True, tag=True):
    """Nothing runs and nothing will: write the last status."""


Step = Start | Stop | Kill | Wait | Settled


def next_step(pod: Pod, facts: Facts, now_s: float) -> Step:
    if facts.refused is not None:
        return Settled()
    running = any(r.running for r in facts.ran.values())
    if facts.stopping is not None:
        return _ending(pod, facts, facts.stopping, now_s) if running else Settled()
    start = _startable(pod, facts)
    if not running and not start:
        return Settled()
    if facts.delete_grace_s is not None:
        return Stop("deleted", "the pod was deleted")
    deadline_s = _deadline_s(pod, facts)
    if deadline_s is not None and now_s >= deadline_s:
        return Stop("deadline", f"activeDeadlineSeconds {pod.spec.active_deadline_seconds} is over")
    return Start(start) if start else Wait(deadline_s)


def _startable(pod: Pod, facts: Facts) -> tuple[str, ...]:
    """Return the containers whose turn it is; empty while one is awaited, and when none is left to start."""
    for container in pod.spec.init_containers:
        ran = facts.ran.get(container.name)
        if ran is None:
            return (container.name,)
        if ran.running or ran.exit_code != 0:
            return ()
    return tuple(c.name for c in pod.spec.containers if c.name not in facts.ran)


def _deadline_s(pod: Pod, facts: Facts) -> float | None:
    seconds = pod.spec.active_deadline_seconds
    return None if seconds is None else facts.start_s + seconds


def _ending(pod: Pod, facts: Facts, stopping: Stopping, now_s: float) -> Step:
    if stopping.killed:
        return Wait(None)
    kill_s = stopping.at_s + grace_s(pod, facts)
    return Kill() if now_s >= kill_s else Wait(kill_s)


def grace_s(pod: Pod, facts: Facts) -> float:
    """Return how long the containers have between SIGTERM and SIGKILL: the deletion's word goes before the pod's."""
    if facts.delete_grace_s is not None:
        return facts.delete_grace_s
    return pod.spec.termination_grace_period_seconds
