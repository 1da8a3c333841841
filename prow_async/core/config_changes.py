"""What one configuration does differently from another, job by job."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from prow_async.api import config
from prow_async.api.jobconfig import JobBase, Postsubmit, Presubmit, Source


class Changed(msgspec.Struct, frozen=True):
    """The names of jobs, by what became of them; a name stands for all jobs that have it."""

    added: frozenset[tuple[str, str, str]]
    removed: frozenset[tuple[str, str, str]]
    changed: frozenset[tuple[str, str, str]]


def between(before: config.Config, after: config.Config) -> Changed:
    """Compare two configurations by (kind, repo, job name).

    Costs next to nothing for jobs that are the same objects in both, as a reload leaves them.
    """
    old, new = dict(_groups(before, after)), dict(_groups(after, before))
    shared = old.keys() & new.keys()
    return Changed(
        frozenset(new.keys() - shared),
        frozenset(old.keys() - shared),
        frozenset(key for key in shared if _differ(old[key], new[key])),
    )


def _groups(of: config.Config, other: config.Config) -> Iterator[tuple[tuple[str, str, str], list[JobBase]]]:
    """Yield the jobs of each name, without those lists that both configurations share."""
    kinds: tuple[tuple[str, Mapping[str, Sequence[Presubmit | Postsubmit]], Mapping[str, object]], ...] = (
        ("presubmit", of.presubmits, other.presubmits),
        ("postsubmit", of.postsubmits, other.postsubmits),
    )
    for kind, listed, theirs in kinds:
        for repo, jobs in listed.items():
            if theirs.get(repo) is not jobs:
                yield from _by_name(kind, repo, jobs)
    yield from _by_name("periodic", "", of.periodics)


def _by_name(kind: str, repo: str, jobs: Sequence[JobBase]) -> Iterator[tuple[tuple[str, str, str], list[JobBase]]]:
    found: dict[tuple[str, str, str], list[JobBase]] = {}
    for job in jobs:
        found.setdefault((kind, repo, job.name), []).append(job)
    yield from found.items()


def _differ(left: list[JobBase], right: list[JobBase]) -> bool:
    if len(left) != len(right):
        return True
    return any(a is not b and _placeless(a) != _placeless(b) for a, b in zip(left, right, strict=True))


def _placeless(job: JobBase) -> JobBase:
    return msgspec.structs.replace(job, source=Source())
