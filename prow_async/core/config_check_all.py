"""Rules between jobs: names and contexts that collide, presets that contradict one another.

Source: upstream pkg/config/config.go validatePresubmits, validatePostsubmits, validatePeriodics, mergeJobConfigs;
pkg/config/jobs.go Brancher.Intersects.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from prow_async.api.errors import Problem
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Presubmit
from prow_async.core import filters
from prow_async.core.config_parse import ParsedPreset

J = TypeVar("J", Presubmit, Postsubmit)
B = TypeVar("B", bound=JobBase)


def at(job: JobBase, text: str) -> Problem:
    """Make a problem that stands at a job."""
    return Problem(job.source.file, job.source.line, text)


def intersect(left: Presubmit | Postsubmit, right: Presubmit | Postsubmit) -> bool:
    """Say whether some branch may run both. Two jobs that only skip branches are taken to meet, as upstream."""
    for job in (left, right):
        if not job.branches and not job.skip_branches:
            return True
    if left.branches and right.branches:
        return not set(left.branches).isdisjoint(right.branches)
    if left.branches:
        return any(filters.branch_allows(right, branch) for branch in left.branches)
    if right.branches:
        return any(filters.branch_allows(left, branch) for branch in right.branches)
    return True


def repo_problems(kind: str, repo: str, jobs: Sequence[J], settled: Collection[str] = ()) -> Iterator[Problem]:
    """Yield the collisions between a repo's jobs of one kind. Their branch patterns must compile.

    Args:
        settled: files known to be good; of two jobs that collide, the one in another file is blamed.
    """
    by_name: dict[str, list[J]] = {}
    by_context: dict[str, list[J]] = {}
    for job in jobs:
        for other in by_name.get(job.name, ()):
            if intersect(job, other):
                bad, good = _blamed(job, other, settled)
                where = f"{good.source.file}:{good.source.line}"
                yield at(bad, f'{kind} "{job.name}" of {repo} is defined twice for a branch; the other is at {where}')
                break
        by_name.setdefault(job.name, []).append(job)
        for other in by_context.get(job.context, ()):
            if other.name != job.name and intersect(job, other):
                bad, good = _blamed(job, other, settled)
                text = f'{kind}s "{good.name}" and "{bad.name}" of {repo} report the same context "{job.context}"'
                yield at(bad, text)
                break
        by_context.setdefault(job.context, []).append(job)


def _blamed(job: B, other: B, settled: Collection[str]) -> tuple[B, B]:
    """Return which of two jobs that collide is in the wrong, then the other: the later one unless it is settled."""
    if job.source.file in settled and other.source.file not in settled:
        return other, job
    return job, other


def periodic_problems(jobs: Sequence[Periodic], settled: Collection[str] = ()) -> Iterator[Problem]:
    """Yield periodics whose name is taken."""
    seen: dict[str, Periodic] = {}
    for job in jobs:
        other = seen.setdefault(job.name, job)
        if other is not job:
            bad, good = _blamed(job, other, settled)
            where = f"{good.source.file}:{good.source.line}"
            yield at(bad, f'periodic "{job.name}" is defined twice; the other is at {where}')


def preset_problems(presets: Sequence[ParsedPreset], settled: Collection[str] = ()) -> Iterator[Problem]:
    """Yield presets that share a `label: value` pair."""
    seen: dict[tuple[str, str], ParsedPreset] = {}
    for parsed in presets:
        for pair in parsed.preset.labels.items():
            other = seen.setdefault(pair, parsed)
            if other is not parsed:
                swap = parsed.file in settled and other.file not in settled
                bad, good = (other, parsed) if swap else (parsed, other)
                text = f'another preset has the label "{pair[0]}: {pair[1]}" too: {good.file}:{good.line}'
                yield Problem(bad.file, bad.line, text)


def file_problems(paths: Sequence[str], settled: Collection[str] = ()) -> Iterator[Problem]:
    """Yield job files whose base name another job file has: ConfigMaps are keyed by it."""
    seen: dict[str, str] = {}
    for path in paths:
        first = seen.setdefault(path.rpartition("/")[2], path)
        if first != path:
            bad, good = (first, path) if path in settled and first not in settled else (path, first)
            yield Problem(bad, 0, f"job files need different base names; {good} has the same")
