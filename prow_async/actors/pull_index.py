"""ProwJobs by the pull request they test, kept up to date from the store."""

from prow_async.actors.name_index import NameIndex
from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView

Pull = tuple[str, str, int]
"""(org, repo, number)."""


class PullIndex:
    """Answers which ProwJobs belong to a pull request, finished ones included."""

    def __init__(self, jobs: Store[JobView]) -> None:
        self._jobs = jobs
        self._names = NameIndex()
        jobs.subscribe(self._changed)

    def jobs_of(self, org: str, repo: str, number: int) -> list[JobView]:
        """Return presubmits and batches of the pull request, oldest first."""
        pull = (org, repo, number)
        found = (self._jobs.get(name) for name in self._names.at(pull))
        jobs = (job for job in found if job is not None and pull in _pulls(job))
        return sorted(jobs, key=lambda j: (j.created_s, j.start_s or 0.0, j.name))

    def _changed(self, change: Change[JobView]) -> None:
        if change.old is None and change.new is not None:
            for pull in _pulls(change.new):
                self._names.put(pull, change.name)
        elif change.new is None and change.old is not None:
            for pull in _pulls(change.old):
                self._names.drop(pull, change.name)


def _pulls(job: JobView) -> list[Pull]:
    return [(job.org, job.repo, pull.number) for pull in job.pulls]
