"""How many ProwJobs of the kubernetes agent there are in each state, and how many transitions were seen.

Only who leads counts, or two replicas would count everything twice.

Source: upstream pkg/kube/metrics.go (the first sight of a job counts as a transition; a job without refs counts as its
first extra ref's).
"""

from collections import Counter
from typing import TypeAlias

import anyio

from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView
from prow_async.ports.metrics import Metrics

EVERY_S = 15.0
AGENT = "kubernetes"
_Values: TypeAlias = tuple[str, ...]
LABELS = ("job_namespace", "job_name", "type", "state", "org", "repo", "base_ref", "cluster", "retest")


class JobCounts:
    """Counts ProwJobs of one store as they change; looking at all of them again and again would cost most at rest.

    Args:
        counting: whether to count transitions from the start, without a call of `run`.
    """

    def __init__(self, jobs: Store[JobView], metrics: Metrics, counting: bool = True) -> None:
        self._metrics = metrics
        self._counting = counting
        self._counts: Counter[_Values] = Counter()
        self._changes = False
        jobs.subscribe(self._changed)

    async def run(self) -> None:
        """Count until cancelled."""
        self._counting = self._changes = True
        try:
            while True:
                self.update()
                await anyio.sleep(EVERY_S)
        finally:
            self._counting = False
            self._metrics.replace("prowjobs", ())

    def _changed(self, change: Change[JobView]) -> None:
        new, old = change.new, change.old
        is_new, was = _values(new), _values(old)
        if is_new != was:
            self._move(was, is_new)
        if not self._counting or new is None or is_new is None:
            return
        another = bool(new.build_id) and old is not None and new.build_id != old.build_id  # none: between two attempts
        if old is None or old.state != new.state or another:
            self._metrics.count("prowjob_state_transitions", **dict(zip(LABELS, is_new, strict=True)))

    def _move(self, was: _Values | None, now: _Values | None) -> None:
        self._changes = True
        if was is not None:
            self._counts[was] -= 1
            if not self._counts[was]:
                del self._counts[was]
        if now is not None:
            self._counts[now] += 1

    def update(self) -> None:
        """Set the gauge `prowjobs` anew, if anything has changed."""
        if self._changes:
            self._changes = False
            rows = ((dict(zip(LABELS, values, strict=True)), count) for values, count in self._counts.items())
            self._metrics.replace("prowjobs", rows)


def _values(job: JobView | None) -> _Values | None:
    """Return the values of LABELS; None for what is not counted."""
    if job is None or job.agent != AGENT:
        return None
    retest = "true" if job.retest else "false"
    org, repo, base_ref = job.org, job.repo, job.base_ref
    if not org and job.extra_repos:
        org, _, repo = job.extra_repos[0].rpartition("/")
        base_ref = job.extra_base_ref
    return (job.namespace, job.job, job.type, job.state, org, repo, base_ref, job.cluster, retest)
