"""Which runs of a presubmit are out of date: those for the same pull requests that are older than the newest one.

Same means the same job, repository, base branch and pull numbers, extra refs included; commits do not count. Newest is
what was created last, and of several of the same second the last by name: everybody who looks picks the same one, and
so does the reporter.

Source: upstream pkg/pjutil/abort.go TerminateOlderJobs.
"""

from typing import TypeAlias

from prow_async.api.views import JobView

_Key: TypeAlias = tuple[str, str]


class Runs:
    """Unfinished presubmit runs, indexed by what they test."""

    def __init__(self) -> None:
        self._groups: dict[_Key, dict[str, JobView]] = {}
        self._keys: dict[str, _Key] = {}

    def put(self, job: JobView) -> list[str]:
        """Take in a job as it is now; return the names of the runs it has put out of date."""
        if not _counts(job):
            self.drop(job.name)
            return []
        key = (job.job, job.refs_identity)
        if self._keys.get(job.name, key) != key:
            self.drop(job.name)
        self._keys[job.name] = key
        group = self._groups.setdefault(key, {})
        group[job.name] = job
        if len(group) == 1:
            return []
        return [name for name, other in group.items() if _age(other) < _age(job)]

    def drop(self, name: str) -> None:
        key = self._keys.pop(name, None)
        if key is None:
            return
        group = self._groups[key]
        del group[name]
        if not group:
            del self._groups[key]

    def newer(self, name: str) -> JobView | None:
        """Return the newest run if it is another one: that has put this one out of date."""
        key = self._keys.get(name)
        if key is None:
            return None
        newest = max(self._groups[key].values(), key=_age)
        return None if newest.name == name else newest


def _counts(job: JobView) -> bool:
    unfinished = not job.complete and not job.deleting and job.state in {"triggered", "pending"}
    return unfinished and job.type == "presubmit" and job.agent == "kubernetes"


def _age(job: JobView) -> tuple[float, float, str]:
    return job.created_s, job.start_s or 0.0, job.name
