"""One configuration file's bytes to typed parts: what it says, before any default is filled in.

Next: core/config_main makes the main configuration, core/config_jobs completes the jobs, core/config_load joins them.
"""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from prow_async.api import config, jobconfig, prowjob
from prow_async.api.errors import ConfigErrors, Problem
from prow_async.core import durations, goconvert, goyaml, podshape
from prow_async.core.goconvert import Finding, Report, Shape
from prow_async.core.goyaml import Path

J = TypeVar("J", bound=jobconfig.JobBase)
S = TypeVar("S", bound=msgspec.Struct)


class Parsed(msgspec.Struct, Generic[J], frozen=True):
    """A job as written, and its place in its document. `repo` is the key it stands under, "" for a periodic."""

    job: J
    repo: str
    path: Path


class ParsedPreset(msgspec.Struct, frozen=True):
    preset: jobconfig.Preset
    file: str
    line: int


class ParsedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What one file says. `main` is None for a job file. `unknown` are keys nobody reads, for those who ask."""

    path: str
    main: config.Config | None = None
    main_keys: frozenset[str] = frozenset()
    presets: tuple[ParsedPreset, ...] = ()
    presubmits: tuple[Parsed[jobconfig.Presubmit], ...] = ()
    postsubmits: tuple[Parsed[jobconfig.Postsubmit], ...] = ()
    periodics: tuple[Parsed[jobconfig.Periodic], ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()


def duration_text(value: Any, report: Report) -> Any:
    """Take a Go duration in text and return its canonical spelling."""
    return _canonical(value, report) if isinstance(value, str) else goconvert.strict_text(value, report)


def prow_duration(value: Any, report: Report) -> Any:
    """Take a Go duration in text, or whole nanoseconds; return the canonical text."""
    if isinstance(value, str):
        return _canonical(value, report)
    nanoseconds = goconvert.integer(value, report)
    return nanoseconds if nanoseconds is goconvert.DROP else durations.format_ns(nanoseconds)


def _canonical(text: str, report: Report) -> Any:
    try:
        return durations.format_ns(durations.parse_ns(text))
    except durations.DurationError as error:
        return report.error(str(error))


_JOB_KEYS: dict[str, Shape] = dict.fromkeys(
    ("presets", "presubmits", "postsubmits", "periodics", "prow_ignored"), goconvert.any_value
)
_TIMED = (config.Plank, config.Sinker, config.Horologium)


def _special() -> dict[tuple[type, str], Shape]:
    dicts = goconvert.list_of
    special: dict[tuple[type, str], Shape] = {
        (jobconfig.JobBase, "spec"): podshape.pod_spec,
        (jobconfig.JobBase, "pipeline_run_spec"): podshape.free_form,
        (prowjob.TektonPipelineRunSpec, "v1beta1"): podshape.free_form,
        (jobconfig.Preset, "env"): dicts(podshape.env_var, dict),
        (jobconfig.Preset, "volumes"): dicts(podshape.volume, dict),
        (jobconfig.Preset, "volumeMounts"): dicts(podshape.volume_mount, dict),
        (jobconfig.Preset, "tolerations"): dicts(podshape.toleration, dict),
        (prowjob.DecorationConfig, "default_memory_request"): podshape.quantity_shape,
        (prowjob.SchedulingOptions, "affinity"): podshape.affinity,
        (prowjob.SchedulingOptions, "tolerations"): dicts(podshape.toleration, dict),
    }
    for name in ("timeout", "grace_period"):
        special[prowjob.DecorationConfig, name] = prow_duration
    for name in ("pod_pending_timeout", "pod_running_timeout", "pod_unscheduled_timeout"):
        special[prowjob.DecorationConfig, name] = duration_text
    for name in prowjob.UtilityResources.__struct_encode_fields__:
        special[prowjob.UtilityResources, name] = podshape.resources
    for struct in _TIMED:
        for name in struct.__struct_fields__:
            if f"{name}_s" in struct.__struct_fields__:
                special[struct, name] = duration_text
    return special


def _hidden() -> frozenset[str]:
    timed = {
        f for struct in _TIMED for f in struct.__struct_fields__ if f.removesuffix("_s") in struct.__struct_fields__
    }
    return frozenset({f for f in timed if f.endswith("_s")} | {"source", *_JOB_KEYS})


_CONVERTER = goconvert.Converter(_special(), _hidden())
_JOB_PART = goconvert.object_of(_JOB_KEYS)


def parse(path: str, data: bytes, is_main: bool = False) -> ParsedFile:
    """Read one file. Never raises for bad input: what is wrong stands in `problems`, with lines.

    Args:
        is_main: whether this is the main configuration; other files may hold jobs and presets only.
    """
    try:
        document = goyaml.load(data, path)
    except ConfigErrors as error:
        return ParsedFile(path=path, problems=error.problems)
    if document.value is None:
        return ParsedFile(path=path, main=config.Config() if is_main else None)
    reading = _Reading(path, document)
    top = Report()
    parts = _JOB_PART(document.value, top)
    main = None
    if parts is goconvert.DROP:
        return ParsedFile(path=path, problems=reading.problems(top.errors))
    if is_main:
        main_report = Report()
        main = _CONVERTER.convert(document.value, config.Config, main_report)
        both = {finding.path for finding in top.unknown}
        main_report.unknown = [f for f in main_report.unknown if len(f.path) > 1 or f.path in both]
        reading.add(main_report)
        top.unknown = []
    reading.add(top)
    presets = tuple(
        ParsedPreset(preset, path, document.line(at))
        for preset, at in reading.items(parts.get("presets"), ("presets",), jobconfig.Preset)
    )
    return ParsedFile(
        path=path,
        main=main,
        main_keys=_keys(document.value) if is_main else frozenset(),
        presets=presets,
        presubmits=tuple(reading.by_repo(parts.get("presubmits"), "presubmits", jobconfig.Presubmit)),
        postsubmits=tuple(reading.by_repo(parts.get("postsubmits"), "postsubmits", jobconfig.Postsubmit)),
        periodics=tuple(reading.jobs(parts.get("periodics"), ("periodics",), "", jobconfig.Periodic)),
        problems=reading.problems(reading.report.errors),
        warnings=(*document.problems, *reading.problems(reading.report.warnings)),
        unknown=reading.problems(reading.report.unknown),
    )


def convert(value: Any, struct: type[S], report: Report) -> S | None:
    """Fit a value to a Struct of the configuration with all its special shapes."""
    return _CONVERTER.convert(value, struct, report)


def place(path: Path) -> str:
    """Write a path as people do: `plank.report_templates`, `periodics[3].cron`."""
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else str(step)
    return out


def _keys(value: Any) -> frozenset[str]:
    """Return the dotted paths of the first two levels that are set, for defaults that depend on absence."""
    out: set[str] = set()
    for key, below in value.items():
        if below is not None:
            out.add(key.lower())
            if isinstance(below, dict):
                out.update(f"{key}.{inner}".lower() for inner, part in below.items() if part is not None)
    return frozenset(out)


class _Reading:
    """One file being read: gathers findings of all its parts."""

    def __init__(self, file: str, document: goyaml.Document) -> None:
        self._file = file
        self._document = document
        self.report = Report()

    def add(self, report: Report) -> None:
        self.report.errors += report.errors
        self.report.warnings += report.warnings
        self.report.unknown += report.unknown

    def problems(self, findings: list[Finding]) -> tuple[Problem, ...]:
        return tuple(
            Problem(self._file, self._document.line(f.path), f"{place(f.path)}: {f.text}" if f.path else f.text)
            for f in findings
        )

    def items(self, value: Any, path: Path, struct: type[S]) -> Iterator[tuple[S, Path]]:
        """Yield the Structs of a list and their paths; what is no list, or no mapping in it, is reported."""
        if value is None:
            return
        if not isinstance(value, list):
            self.report.errors.append(Finding(path, f"expected a list, found {goconvert.kind(value)}"))
            return
        for i, item in enumerate(value):
            at = (*path, i)
            report = Report(at)
            built = _CONVERTER.convert({} if item is None else item, struct, report)
            self.add(report)
            if built is not None and not report.errors:
                yield built, at

    def jobs(self, value: Any, path: Path, repo: str, struct: type[J]) -> Iterator[Parsed[J]]:
        for job, at in self.items(value, path, struct):
            source = jobconfig.Source(self._file, self._document.line(at))
            yield Parsed(msgspec.structs.replace(job, source=source), repo, at)

    def by_repo(self, value: Any, key: str, struct: type[J]) -> Iterator[Parsed[J]]:
        if value is None:
            return
        if not isinstance(value, dict):
            self.report.errors.append(Finding((key,), f"expected a mapping of org/repo, found {goconvert.kind(value)}"))
            return
        for repo, jobs in value.items():
            yield from self.jobs(jobs, (key, repo), repo, struct)
