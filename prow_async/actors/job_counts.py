"""How many ProwJobs of the kubernetes agent there are in each state, and how many transitions were seen.

Only who leads counts, or two replicas would count everything twice.

Source: upstream pkg/kube/metrics.go (the first sight of a job counts as a transition; a job without refs counts as its
first extra ref's).
"""

from collections import Counter

import anyio

from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView
from prow_async.ports.metrics import Metrics

EVERY_S = 15.0
AGENT = "kubernetes"
LABELS = ("job_namespace", "job_name", "type", "state", "org", "repo", "base_ref", "cluster", "retest")


class JobCounts:
    """Counts ProwJobs of one store.

    Args:
        counting: whether to count from the start, without a call of `run`.
    """

    def __init__(self, jobs: Store[JobView], metrics: Metrics, counting: bool = True) -> None:
        self._jobs = jobs
        self._metrics = metrics
        self._counting = counting
        jobs.subscribe(self._changed)

    async def run(self) -> None:
        """Count until cancelled."""
        self._counting = True
        try:
            while True:
                self.update()
                await anyio.sleep(EVERY_S)
        finally:
            self._counting = False
            self._metrics.replace("prowjobs", ())

    def _changed(self, change: Change[JobView]) -> None:
        new, old = change.new, change.old
        if not self._counting:
            return
        if (
            new is not None
            and new.agent == AGENT
            and (old is None or (old.state, old.build_id) != (new.state, new.build_id))
        ):
            labels = dict(zip(LABELS, _values(new), strict=True))
            self._metrics.count("prowjob_state_transitions", **labels)

    def update(self) -> None:
        """Set the gauge `prowjobs` anew."""
        counts = Counter(_values(job) for job in self._jobs if job.agent == AGENT)
        rows = ((dict(zip(LABELS, values, strict=True)), count) for values, count in counts.items())
        self._metrics.replace("prowjobs", rows)


def _values(job: JobView) -> tuple[str, ...]:
    retest = "true" if job.retest else "false"
    org, repo, base_ref = job.org, job.repo, job.base_ref
    if not org and job.extra_repos:
        org, _, repo = job.extra_repos[0].rpartition("/")
        base_ref = job.extra_base_ref
    return (job.namespace, job.job, job.type, job.state, org, repo, base_ref, job.cluster, retest)
