"""One configuration file's bytes to typed parts: what it says, before any default is filled in.

Next: core/config_main makes the main configuration, core/config_jobs completes the jobs, core/config_load joins them.
"""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from prow_async.api import config, config_tide, jobconfig
from prow_async.api.errors import ConfigErrors, Problem
from prow_async.core import goconvert, goyaml
from prow_async.core.config_shapes import CONVERTER, JOB_KEYS
from prow_async.core.goconvert import Finding, Report
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
    presets: tuple[ParsedPreset, ...] = ()
    presubmits: tuple[Parsed[jobconfig.Presubmit], ...] = ()
    postsubmits: tuple[Parsed[jobconfig.Postsubmit], ...] = ()
    periodics: tuple[Parsed[jobconfig.Periodic], ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()
    unchecked: tuple[Problem, ...] = ()


_PROW_PART = frozenset({"branch-protection", "slack_reporter_configs", "tide"})
_TIDE_PART = frozenset({"merge_method", "queries"})
"""What a supplemental file may set."""
_JOB_PART = goconvert.object_of(JOB_KEYS)
_IN_REPO = goconvert.object_of({key: shape for key, shape in JOB_KEYS.items() if key != "periodics"})


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
        main = CONVERTER.convert(document.value, config.Config, main_report)
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
        presets=presets,
        presubmits=tuple(reading.by_repo(parts.get("presubmits"), "presubmits", jobconfig.Presubmit)),
        postsubmits=tuple(reading.by_repo(parts.get("postsubmits"), "postsubmits", jobconfig.Postsubmit)),
        periodics=tuple(reading.jobs(parts.get("periodics"), ("periodics",), "", jobconfig.Periodic)),
        problems=reading.problems(reading.report.errors),
        warnings=(*document.problems, *reading.problems(reading.report.warnings)),
        unknown=reading.problems(reading.report.unknown),
        unchecked=reading.problems(reading.report.unchecked),
    )


def parse_supplemental(path: str, data: bytes) -> ParsedFile:
    """Read a file of supplemental Prow configuration: a part of the main one that only it may set.

    Never raises for bad input: what is wrong stands in `problems`, with lines. `main` holds what the file sets.
    """
    try:
        document = goyaml.load(data, path)
    except ConfigErrors as error:
        return ParsedFile(path=path, problems=error.problems)
    reading, report = _Reading(path, document), Report()
    main = CONVERTER.convert({} if document.value is None else document.value, config.Config, report)
    report.unknown = [finding for finding in report.unknown if len(finding.path) > 1 or not _is_known(finding)]
    reading.add(report)
    if isinstance(document.value, dict):
        reading.report.errors += _not_supplemental(document.value)
    return ParsedFile(
        path=path,
        main=main,
        problems=reading.problems(reading.report.errors),
        warnings=(*document.problems, *reading.problems(reading.report.warnings)),
        unknown=reading.problems(reading.report.unknown),
        unchecked=reading.problems(reading.report.unchecked),
    )


def parse_in_repo(path: str, data: bytes, repo: str) -> ParsedFile:
    """Read a file of in-repo configuration: presets, and flat lists of the jobs of `repo`.

    Never raises for bad input: what is wrong stands in `problems`, with lines.
    """
    try:
        document = goyaml.load(data, path)
    except ConfigErrors as error:
        return ParsedFile(path=path, problems=error.problems)
    reading, top = _Reading(path, document), Report()
    parts = _IN_REPO({} if document.value is None else document.value, top)
    reading.add(top)
    if parts is goconvert.DROP:
        parts = {}
    presets = reading.items(parts.get("presets"), ("presets",), jobconfig.Preset)
    return ParsedFile(
        path=path,
        presets=tuple(ParsedPreset(preset, path, document.line(at)) for preset, at in presets),
        presubmits=tuple(reading.jobs(parts.get("presubmits"), ("presubmits",), repo, jobconfig.Presubmit)),
        postsubmits=tuple(reading.jobs(parts.get("postsubmits"), ("postsubmits",), repo, jobconfig.Postsubmit)),
        problems=reading.problems(reading.report.errors),
        warnings=(*document.problems, *reading.problems(reading.report.warnings)),
        unknown=reading.problems(reading.report.unknown),
    )


def _is_known(finding: Finding) -> bool:
    return any(f'"{key}"' in finding.text for key in JOB_KEYS)


def _not_supplemental(value: dict[str, Any]) -> Iterator[Finding]:
    """Yield what a supplemental file sets and may not."""
    known = {*config.Config.__struct_encode_fields__, *JOB_KEYS} - {"prow_ignored"}
    text = "cannot be set in supplemental Prow configuration; it belongs into the main file"
    for key, part in value.items():
        name = key.lower()
        if name in known and name not in _PROW_PART and part:
            yield Finding((key,), text)
        elif name == "tide" and isinstance(part, dict):
            for inner, below in part.items():
                if (
                    inner.lower() in config_tide.Tide.__struct_encode_fields__
                    and inner.lower() not in _TIDE_PART
                    and below
                ):
                    yield Finding((key, inner), text)


def convert(value: Any, struct: type[S], report: Report) -> S | None:
    """Fit a value to a Struct of the configuration with all its special shapes."""
    return CONVERTER.convert(value, struct, report)


def place(path: Path) -> str:
    """Write a path as people do: `plank.report_templates`, `periodics[3].cron`."""
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else str(step)
    return out


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
        self.report.unchecked += report.unchecked

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
            built = CONVERTER.convert({} if item is None else item, struct, report)
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
