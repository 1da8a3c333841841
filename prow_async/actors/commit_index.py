"""Runs by what they report to: a commit's context. Kept up to date from the store, as small as can be."""

from prow_async.actors.name_index import NameIndex
from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView

Context = tuple[str, str, str, str]
"""(org, repo, sha, context)."""


def context_of(job: JobView) -> Context | None:
    """Return what a job's status belongs to; None for jobs that report to no commit, or to several."""
    if not job.report or not job.org or len(job.pulls) > 1:
        return None
    return job.org, job.repo, job.pulls[0].sha if job.pulls else job.base_sha, job.context


class CommitIndex:
    """Answers which runs report under one context of one commit."""

    def __init__(self, jobs: Store[JobView]) -> None:
        self._jobs = jobs
        self._names = NameIndex()
        jobs.subscribe(self._changed)

    def runs_of(self, context: Context) -> list[JobView]:
        found = (self._jobs.get(name) for name in self._names.at(context))
        return [job for job in found if job is not None and context_of(job) == context]

    def _changed(self, change: Change[JobView]) -> None:
        if change.old is None and change.new is not None:
            context = context_of(change.new)
            if context is not None:
                self._names.put(context, change.name)
        elif change.new is None and change.old is not None:
            context = context_of(change.old)
            if context is not None:
                self._names.drop(context, change.name)
