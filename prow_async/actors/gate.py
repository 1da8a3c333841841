"""Lets jobs start as slots become free: keeps core/slots equal to what is seen, and wakes whose turn it is.

What is seen is what the watches have shown, and our own writes that they have not shown yet. A job that waits is
parked here: nothing is done for it until a slot may be free.
"""

from collections.abc import Callable

import structlog

from prow_async.api.views import JobView
from prow_async.core import slots
from prow_async.ports.config import ConfigSource

log = structlog.get_logger()


class Gate:
    """The one gate all jobs of the kubernetes agent pass.

    Args:
        job: a ProwJob by name as it is now, our own writes included.
        pod: whether the pod of a job exists.
        wake: told the name of each job that has been given its slots.
    """

    def __init__(
        self,
        job: Callable[[str], JobView | None],
        pod: Callable[[JobView], slots.Pod],
        config: ConfigSource,
        wake: Callable[[str], None],
    ) -> None:
        self._job = job
        self._pod = pod
        self._config = config
        self._wake = wake
        self._slots = slots.Slots(_limits(config))
        self._given: set[str] = set()
        self._resting: set[str] = set()
        self._open = False
        self._listed = False

    def listed(self) -> None:
        """Say that every ProwJob has been seen. Before that nobody knows who holds slots, and none is given."""
        self._listed = True
        self._deal()

    def open(self) -> None:
        """Begin to give slots. Whoever was given one before, and may not know, is told again."""
        self._open = True
        for name in self._given:
            self._wake(name)
        self.limits_changed()

    def close(self) -> None:
        """Give no more slots; go on looking."""
        self._open = False

    def limits_changed(self) -> None:
        self._slots.limit(_limits(self._config))
        self._deal()

    def cluster(self, alias: str, usable: bool) -> None:
        """Say whether pods can be made in a cluster: nobody is given a slot for one where they cannot."""
        self._slots.shut(alias, not usable)
        self._deal()

    def keep(self, job: JobView) -> None:
        """Note that a job holds its slots, whatever any watch shows, until its end: as if it had stood in line."""
        self._given.add(job.name)
        self._slots.hold(slots.claim_of(job))

    def look(self, name: str) -> None:
        """Look at a job anew: it, or its pod, has changed."""
        self._see(name)
        self._deal()

    def enter(self, job: JobView) -> bool:
        """True when the job may start now: it holds its slots. False: it stands in line, and is woken."""
        self._resting.discard(job.name)
        self._see(job.name)
        self._deal(but=job.name)
        if not self._dealing and not self._slots.counts(slots.claim_of(job)):
            self.keep(job)
        return self._slots.holds(job.name)

    def leave(self, name: str) -> None:
        """Take back the slots of a job that could not be started and surely has no pod, until it enters again."""
        self._given.discard(name)
        self._resting.add(name)
        self.look(name)

    def standing(self, name: str) -> slots.Standing | None:
        """Say where a job stands in line and what it waits for; None when it does not wait."""
        return self._slots.standing(name)

    def overview(self) -> list[str]:
        """Say how many hold and wait for what, one line each."""
        return self._slots.overview()

    @property
    def waiting(self) -> int:
        return self._slots.waiting

    @property
    def _dealing(self) -> bool:
        return self._open and self._listed

    def _see(self, name: str) -> None:
        job = self._job(name)
        if job is None or job.complete:
            self._given.discard(name)
            self._resting.discard(name)
            self._slots.drop(name)
            return
        # Once given, slots are held until the end, whatever an old view of the job says: it may have its pod by now.
        role = "holds" if name in self._given else slots.role(job, self._pod(job))
        claim = slots.claim_of(job)
        if role == "holds":
            self._slots.hold(claim)
        elif role == "out" or name in self._resting:
            self._slots.drop(name)
        elif self._dealing and not self._slots.counts(claim):
            self.keep(job)
        else:
            self._slots.wait(claim)

    def _deal(self, but: str = "") -> None:
        if not self._dealing:
            return
        for name in self._slots.grant():
            self._given.add(name)
            if name != but:
                self._wake(name)


def _limits(config: ConfigSource) -> slots.Limits:
    plank = config.current().config.plank
    return slots.Limits(plank.max_concurrency, plank.job_queue_capacities)
