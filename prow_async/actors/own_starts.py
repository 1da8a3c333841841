"""ProwJobs that this process has created and no watch has shown yet, by their pull request.

A pull request's deliveries are handled in order, faster than watches bring news: without these an abort right behind a
start would find nothing to abort.
"""

import itertools

from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView
from prow_async.core import jobview, objects
from prow_async.ports.clock import Clock

KEPT_S = 600.0
"""By then the watch has shown it, or listed everything anew; what never shows is gone."""


class OwnStarts:
    def __init__(self, jobs: Store[JobView], clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._starts: dict[str, tuple[JobView, float]] = {}
        """The oldest first."""
        jobs.subscribe(self._shown)

    def started(self, raw: bytes) -> None:
        """Remember a ProwJob as the server stored it, unless it has been shown already."""
        try:
            job = jobview.read(raw)
        except objects.Unreadable:  # nobody else reads it either
            return
        now_s = self._clock.monotonic()
        past = itertools.takewhile(lambda item: now_s - item[1][1] > KEPT_S, self._starts.items())
        for name, _ in list(past):
            del self._starts[name]
        if self._jobs.get(job.name) is None:
            self._starts[job.name] = job, now_s

    def of(self, org: str, repo: str, number: int) -> list[JobView]:
        """Return those of a pull request."""
        found = (job for job, _ in self._starts.values() if (job.org, job.repo) == (org, repo))
        return [job for job in found if any(pull.number == number for pull in job.pulls)]

    def __len__(self) -> int:
        return len(self._starts)

    def _shown(self, change: Change[JobView]) -> None:
        self._starts.pop(change.name, None)
