"""What a change of configuration does: to jobs, to the contexts a merge needs, to what triggers."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import yaml

from prow_async.api import config
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Presubmit, Source
from prow_async.api.prowjob import Json
from prow_async.core import preview

Need = Literal["absent", "optional", "if it runs", "required"]
_STRICTER: tuple[Need, ...] = ("absent", "optional", "if it runs", "required")
_EVERY_BRANCH = "every branch"


class Job(msgspec.Struct, frozen=True, order=True):
    """One job, and where it stands."""

    kind: str
    repo: str
    name: str
    branches: str
    source: str


class Change(msgspec.Struct, frozen=True):
    """Jobs that change alike. `notes` say in words what the change means; `diff` is of the ProwJob and its pod."""

    jobs: tuple[Job, ...]
    notes: tuple[str, ...]
    diff: tuple[str, ...]


class Context(msgspec.Struct, frozen=True, order=True):
    """A status context of a repo whose need changes, on the branches named."""

    repo: str
    context: str
    branches: str
    before: Need
    after: Need

    @property
    def stricter(self) -> bool:
        return _STRICTER.index(self.after) > _STRICTER.index(self.before)


class Difference(msgspec.Struct, frozen=True):
    added: tuple[Job, ...]
    removed: tuple[Job, ...]
    changed: tuple[Change, ...]
    contexts: tuple[Context, ...]


def compare(before: config.Config, after: config.Config, inputs: preview.Inputs) -> Difference:
    """Compare two configurations, job by job."""
    old, new = dict(_by_name(before)), dict(_by_name(after))
    added: list[Job] = []
    removed: list[Job] = []
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Job]] = {}
    for key in sorted(old.keys() | new.keys()):
        pairs, gone, come = _paired(old.get(key, []), new.get(key, []))
        removed += [_job(key[0], key[1], job) for job in gone]
        added += [_job(key[0], key[1], job) for job in come]
        for left, right in pairs:
            if _placeless(left) != _placeless(right):
                diff = tuple(_diff(key, (left, before), (right, after), inputs))
                alike.setdefault((tuple(notes(left, right)), diff), []).append(_job(key[0], key[1], right))
    changed = tuple(Change(tuple(jobs), said, diff) for (said, diff), jobs in alike.items())
    return Difference(tuple(sorted(added)), tuple(sorted(removed)), changed, tuple(sorted(_contexts(before, after))))


def _by_name(found: config.Config) -> Iterator[tuple[tuple[str, str, str], list[JobBase]]]:
    grouped: dict[tuple[str, str, str], list[JobBase]] = {}
    listed: Iterable[tuple[str, Mapping[str, Sequence[JobBase]]]] = (
        ("presubmit", found.presubmits),
        ("postsubmit", found.postsubmits),
        ("periodic", {"": found.periodics}),
    )
    for kind, by_repo in listed:
        for repo, jobs in by_repo.items():
            for job in jobs:
                grouped.setdefault((kind, repo, job.name), []).append(job)
    yield from grouped.items()


def _paired(
    old: list[JobBase], new: list[JobBase]
) -> tuple[list[tuple[JobBase, JobBase]], list[JobBase], list[JobBase]]:
    """Pair jobs of one name: those for the same branches first, the rest in their order."""
    pairs: list[tuple[JobBase, JobBase]] = []
    left, right = list(old), list(new)
    for job in old:
        twin = next((other for other in right if branches_of(other) == branches_of(job)), None)
        if twin is not None:
            pairs.append((job, twin))
            left.remove(job)
            right.remove(twin)
    together = min(len(left), len(right))
    pairs += zip(left[:together], right[:together], strict=True)
    return pairs, left[together:], right[together:]


def branches_of(job: JobBase) -> str:
    """Say on which branches a job may run."""
    if not isinstance(job, Presubmit | Postsubmit):
        return ""
    only = f"branches {', '.join(job.branches)}" if job.branches else ""
    without = f"all branches but {', '.join(job.skip_branches)}" if job.skip_branches else ""
    return " and ".join(part for part in (only, without) if part) or _EVERY_BRANCH


def _job(kind: str, repo: str, job: JobBase) -> Job:
    source = f"{job.source.file}:{job.source.line}" if job.source.line else job.source.file
    return Job(kind, repo, job.name, branches_of(job), source)


def _placeless(job: JobBase) -> JobBase:
    return msgspec.structs.replace(job, source=Source())


def notes(old: JobBase, new: JobBase) -> Iterator[str]:
    """Yield in words what an operator should know of a change, the gravest first."""
    if isinstance(old, Presubmit) and isinstance(new, Presubmit):
        yield from _presubmit_notes(old, new)
    if isinstance(old, Postsubmit) and isinstance(new, Postsubmit):
        yield from _runs_notes(old.always_run is not False, new.always_run is not False)
    if isinstance(old, Presubmit | Postsubmit) and isinstance(new, Presubmit | Postsubmit):
        yield from _reach_notes(old, new)
    if isinstance(old, Periodic) and isinstance(new, Periodic) and _rhythm(old) != _rhythm(new):
        yield f"rhythm: {_rhythm(new)}, was {_rhythm(old)}"
    yield from _access_notes(old, new)


def _presubmit_notes(old: Presubmit, new: Presubmit) -> Iterator[str]:
    yield from _runs_notes(old.always_run, new.always_run)
    if old.optional != new.optional:
        yield "becomes optional" if new.optional else "becomes required for merging"
    if old.run_before_merge != new.run_before_merge:
        yield f"run_before_merge turned {'on' if new.run_before_merge else 'off'}"
    if old.trigger != new.trigger:
        yield f"trigger changes: `{new.trigger}`, was `{old.trigger}`"
    if old.skip_report != new.skip_report:
        yield "no longer reports" if new.skip_report else "now reports"


def _runs_notes(old: bool, new: bool) -> Iterator[str]:
    if old != new:
        yield "trigger widens: always_run turned on" if new else "trigger narrows: always_run turned off"


def _reach_notes(old: Presubmit | Postsubmit, new: Presubmit | Postsubmit) -> Iterator[str]:
    for key in ("run_if_changed", "skip_if_only_changed"):
        before, after = getattr(old, key), getattr(new, key)
        if before and not after:
            yield f"trigger widens: {key} `{before}` dropped"
        elif after and not before:
            yield f"trigger narrows: {key} `{after}` added"
        elif before != after:
            yield f"trigger changes: {key} `{after}`, was `{before}`"
    if old.branches != new.branches:
        narrower = bool(new.branches) and (not old.branches or set(new.branches) < set(old.branches))
        wider = not new.branches or (bool(old.branches) and set(new.branches) > set(old.branches))
        yield f"{_word(wider, narrower)}: branches {_list(new.branches)}, was {_list(old.branches)}"
    if old.skip_branches != new.skip_branches:
        wider = set(new.skip_branches) < set(old.skip_branches)
        narrower = set(new.skip_branches) > set(old.skip_branches)
        yield f"{_word(wider, narrower)}: skip_branches {_list(new.skip_branches)}, was {_list(old.skip_branches)}"


def _word(wider: bool, narrower: bool) -> str:
    return "trigger widens" if wider else "trigger narrows" if narrower else "trigger changes"


def _list(values: Sequence[str]) -> str:
    return ", ".join(values) or "none"


def _rhythm(job: Periodic) -> str:
    if job.cron:
        return f"cron {job.cron}"
    return f"every {job.interval}" if job.interval else f"{job.minimum_interval} after the last one ended"


def _access_notes(old: JobBase, new: JobBase) -> Iterator[str]:
    if old.cluster != new.cluster:
        yield f"runs on cluster {new.cluster}, was {old.cluster}"
    if old.max_concurrency != new.max_concurrency:
        yield f"max_concurrency {new.max_concurrency or 'unlimited'}, was {old.max_concurrency or 'unlimited'}"
    before, after = old.spec or {}, new.spec or {}
    account = "serviceAccountName"
    if before.get(account) != after.get(account):
        yield f"service account {after.get(account) or 'default'}, was {before.get(account) or 'default'}"
    gained = _secrets(after) - _secrets(before)
    if gained:
        yield f"sees further secrets: {', '.join(sorted(gained))}"


def _secrets(spec: Json) -> set[str]:
    """Return the names of secrets that a pod spec refers to, wherever."""
    found: set[str] = set()
    waiting: list[Any] = [spec]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for key in ("secret", "secretKeyRef", "secretRef"):
                named = part.get(key)
                if isinstance(named, dict):
                    found.add(str(named.get("secretName") or named.get("name") or ""))
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found - {""}


def _diff(
    key: tuple[str, str, str],
    old: tuple[JobBase, config.Config],
    new: tuple[JobBase, config.Config],
    inputs: preview.Inputs,
) -> Iterator[str]:
    left, right = (_text(preview.row(key[0], key[1], job, found, inputs)) for job, found in (old, new))
    for line in difflib.unified_diff(left, right, "before", "after", n=2, lineterm=""):
        # what stands between is the same for all jobs that change alike, but its place is not
        yield "@@" if line.startswith("@@") else line


def _text(row: preview.Row) -> list[str]:
    """Write a job's ProwJob and pod for people: JSON within variables opened, what repeats itself left out."""
    spec = {k: v for k, v in row.prowjob["spec"].items() if k not in ("pod_spec", "decoration_config")}
    metadata = row.prowjob["metadata"]
    shown: Json = {
        "prowjob": {"labels": metadata.get("labels"), "annotations": metadata.get("annotations"), "spec": spec},
        "pod": _opened(row.pod["spec"]) if row.pod is not None else row.error,
    }
    text: str = yaml.dump(shown, Dumper=yaml.CSafeDumper, width=1000, default_flow_style=False, allow_unicode=True)
    return text.splitlines()


def _opened(part: Any) -> Any:
    if isinstance(part, list):
        return [_opened(one) for one in part if not (isinstance(one, dict) and one.get("name") == "JOB_SPEC")]
    if not isinstance(part, dict):
        return part
    if isinstance(part.get("value"), str) and str(part.get("name", "")).endswith("_OPTIONS"):
        try:
            return {**part, "value": msgspec.json.decode(part["value"])}
        except msgspec.DecodeError:
            return part
    return {key: _opened(value) for key, value in part.items()}


def _contexts(before: config.Config, after: config.Config) -> Iterator[Context]:
    old, new = _needs(before), _needs(after)
    for key in old.keys() | new.keys():
        was: Need = old.get(key, "absent")
        now: Need = new.get(key, "absent")
        if was != now:
            yield Context(*key, before=was, after=now)


def _needs(found: config.Config) -> dict[tuple[str, str, str], Need]:
    """Return how much a merge needs each (repo, context, branches)."""
    out: dict[tuple[str, str, str], Need] = {}
    for repo, jobs in found.presubmits.items():
        for job in jobs:
            if not job.skip_report:
                out[repo, job.context, branches_of(job)] = _need(job)
    return out


def _need(job: Presubmit) -> Need:
    if job.optional:
        return "optional"
    return "required" if job.always_run or job.run_before_merge else "if it runs"
