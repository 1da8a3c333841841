"""ProwJobs by the pull request they test, kept up to date from the store."""

from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView

Pull = tuple[str, str, int]
"""(org, repo, number)."""


class PullIndex:
    """Answers which ProwJobs belong to a pull request, finished ones included."""

    def __init__(self, jobs: Store[JobView]) -> None:
        self._jobs = jobs
        self._names: dict[Pull, set[str]] = {}
        jobs.subscribe(self._changed)

    def jobs_of(self, org: str, repo: str, number: int) -> list[JobView]:
        """Return presubmits and batches of the pull request, oldest first."""
        found = (self._jobs.get(name) for name in self._names.get((org, repo, number), ()))
        return sorted((job for job in found if job is not None), key=lambda j: (j.created_s, j.start_s or 0.0, j.name))

    def _changed(self, change: Change[JobView]) -> None:
        if change.old is None and change.new is not None:
            for pull in change.new.pulls:
                self._names.setdefault((change.new.org, change.new.repo, pull.number), set()).add(change.name)
        elif change.new is None and change.old is not None:
            for pull in change.old.pulls:
                key = (change.old.org, change.old.repo, pull.number)
                names = self._names.get(key, set())
                names.discard(change.name)
                if not names:
                    self._names.pop(key, None)
