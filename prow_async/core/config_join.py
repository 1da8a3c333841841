"""Joins parsed files into one configuration: defaults filled in, every rule applied, every problem found.

A Joiner remembers what it made of each file and each repo, so that joining again costs what changed since.

Source: upstream pkg/config/config.go (finalizeJobConfig, validateJobConfig).
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from prow_async.api import config
from prow_async.api.errors import Problem
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Preset, Presubmit
from prow_async.core import (
    config_check,
    config_check_all,
    config_jobs,
    config_main,
    config_parse,
    config_supplemental,
    goyaml,
    patterns,
)
from prow_async.core.config_jobs import Context
from prow_async.core.config_parse import Parsed, ParsedFile, ParsedPreset
from prow_async.core.goconvert import Finding

J = TypeVar("J", bound=JobBase)
R = TypeVar("R", Presubmit, Postsubmit)

_QUERIES = ("tide", "queries")

Bytes = Callable[[str], bytes | None]
"""Gives a file's content to look lines up in, or None when it is not at hand."""


class Files(msgspec.Struct, frozen=True):
    """What is to be joined. `jobs` are in order; the main file may hold jobs too and comes before them."""

    main: ParsedFile
    jobs: tuple[ParsedFile, ...] = ()
    supplementals: tuple[ParsedFile, ...] = ()


class Joined(msgspec.Struct, frozen=True):
    """The configuration; it must not be used while there are `problems`."""

    config: config.Config
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class _Main(msgspec.Struct, frozen=True):
    """The main configuration of certain files, completed."""

    files: tuple[ParsedFile, ...]
    config: config.Config
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class Completed(msgspec.Struct, frozen=True):
    """A file's jobs as made for one Context, each with its repo where it has one."""

    parsed: ParsedFile
    context: Context
    presubmits: tuple[tuple[str, Presubmit], ...]
    postsubmits: tuple[tuple[str, Postsubmit], ...]
    periodics: tuple[Periodic, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class _Repo(msgspec.Struct, frozen=True):
    """A repo's jobs of one kind and what checking them against one another found."""

    jobs: tuple[Any, ...]
    settled: frozenset[str]
    problems: tuple[Problem, ...]


Lines = Callable[[goyaml.Path, int], int]
"""Finds the line of a path, or answers its second argument where the document is not at hand."""


def lines_of(document: Callable[[], goyaml.Document | None]) -> Lines:
    """Return a finder of lines in a document that is read when the first line is asked for."""
    documents: list[goyaml.Document | None] = []

    def line(at: goyaml.Path, otherwise: int) -> int:
        if not documents:
            documents.append(document())
        return otherwise if documents[0] is None else documents[0].line(at)

    return line


def complete_file(file: ParsedFile, context: Context, lines: Lines) -> Completed:
    """Complete and check every job of a file by itself."""
    problems: list[Problem] = []
    warnings: list[Problem] = []

    def finish(
        parsed: Parsed[J],
        complete: Callable[[J, str, Context], tuple[J, list[str]]],
        check: Callable[[J, config.Config], Iterator[str]],
    ) -> J:
        job, wrong = complete(parsed.job, parsed.repo, context)
        for told, texts in ((problems, [*wrong, *check(job, context.main)]), (warnings, config_check.warnings(job))):
            for text in texts:
                line = lines((*parsed.path, text.partition(":")[0]), job.source.line)
                told.append(Problem(file.path, line, f'job "{job.name}": {text}'))
        return job

    pre = [
        (p.repo, finish(p, config_jobs.complete_presubmit, config_check.presubmit_problems)) for p in file.presubmits
    ]
    post = [
        (p.repo, finish(p, config_jobs.complete_postsubmit, config_check.postsubmit_problems)) for p in file.postsubmits
    ]
    timed = [finish(p, config_jobs.complete_periodic, config_check.periodic_problems) for p in file.periodics]
    return Completed(file, context, tuple(pre), tuple(post), tuple(timed), tuple(problems), tuple(warnings))


class Joiner:
    """Joins again and again.

    Args:
        content: gives the bytes of a file, for the lines of problems.
    """

    def __init__(self, content: Bytes) -> None:
        self._content = content
        self._main: _Main | None = None
        self._context: Context | None = None
        self._completed: dict[str, Completed] = {}
        self._repos: dict[tuple[str, str], _Repo] = {}

    def join(self, files: Files, settled: Collection[str] = (), now_s: float | None = None) -> Joined:
        """Join files into a configuration.

        Args:
            settled: files that are known to be good; where two files contradict each other, the other one is blamed.
            now_s: the time, for what must not be dated in the future; None asks nothing.
        """
        every = (files.main, *files.jobs)
        presets = [preset for file in every for preset in file.presets]
        problems = [problem for file in (*every, *files.supplementals) for problem in file.problems]
        if files.jobs:  # as upstream: not looked at without job files
            problems += config_check_all.preset_problems(presets, settled)
            problems += config_check_all.file_problems([file.path for file in files.jobs], settled)
        main = self._complete_main(files)
        problems += main.problems
        future = () if now_s is None else config_main.future_problems(main.config, now_s)
        problems += [self._at_main(finding, (files.main, *files.supplementals)) for finding in future]
        context = self._context_for(main.config, presets)
        completed = [self._complete(file, context) for file in every]
        if files.main.main is not None:  # else each job would miss what the unread main file says
            problems += [problem for done in completed for problem in done.problems]
        before = frozenset(settled)
        presubmits, more = self._by_repo("presubmit", [p for done in completed for p in done.presubmits], before)
        problems += more
        postsubmits, more = self._by_repo("postsubmit", [p for done in completed for p in done.postsubmits], before)
        problems += more
        periodics = tuple(job for done in completed for job in done.periodics)
        problems += config_check_all.periodic_problems(periodics, settled)
        self._forget(every)
        whole = msgspec.structs.replace(
            main.config,
            presets=context.presets,
            presubmits=presubmits,
            postsubmits=postsubmits,
            periodics=periodics,
        )
        warnings = (
            *(warning for file in (*every, *files.supplementals) for warning in file.warnings),
            *main.warnings,
            *(warning for done in completed for warning in done.warnings),
        )
        return Joined(whole, tuple(problems), warnings)

    def _forget(self, present: Sequence[ParsedFile]) -> None:
        gone = self._completed.keys() - {file.path for file in present}
        for path in gone:
            del self._completed[path]

    def _complete_main(self, files: Files) -> _Main:
        sources = (files.main, *files.supplementals)
        if self._main is not None and _same(self._main.files, sources):
            return self._main
        raw, doubled = config_supplemental.merge(files.main, files.supplementals)
        done, errors, warnings = config_main.complete(raw)
        twice = (
            Problem(path, self._lines(path)(f.path, 0), f"{config_parse.place(f.path)}: {f.text}")
            for path, f in doubled
        )
        self._main = _Main(
            sources,
            done,
            (*twice, *(self._at_main(finding, sources) for finding in errors)),
            tuple(self._at_main(finding, sources) for finding in warnings),
        )
        return self._main

    def _at_main(self, finding: Finding, sources: Sequence[ParsedFile]) -> Problem:
        """Place a finding in the file that holds most of its path; the main file where several do."""
        path = finding.path
        if path[:2] == _QUERIES and len(path) > len(_QUERIES):
            sources, path = _file_of_query(path, sources)
        best, line, depth = sources[0].path, 0, -1
        for file in sources:
            document = self._document(file.path)
            if document is None:
                continue
            reached = document.depth(path)
            if reached > depth:
                best, line, depth = file.path, document.line(path), reached
        return Problem(best, line, f"{config_parse.place(path)}: {finding.text}")

    def _context_for(self, main: config.Config, presets: list[ParsedPreset]) -> Context:
        """Return the Context of the last join where nothing it depends on has changed, else a new one."""
        plain: tuple[Preset, ...] = tuple(parsed.preset for parsed in presets)
        known = self._context
        if known is None or known.main is not main or not _same(known.presets, plain):
            self._context = known = Context(main, plain)
        return known

    def _document(self, path: str) -> goyaml.Document | None:
        data = self._content(path)
        return None if data is None else goyaml.load(data, path)

    def _lines(self, path: str) -> Lines:
        return lines_of(lambda: self._document(path))

    def _complete(self, file: ParsedFile, context: Context) -> Completed:
        known = self._completed.get(file.path)
        if known is not None and known.parsed is file and known.context is context:
            return known
        done = self._completed[file.path] = complete_file(file, context, self._lines(file.path))
        return done

    def _by_repo(
        self, kind: str, pairs: list[tuple[str, R]], settled: frozenset[str]
    ) -> tuple[dict[str, tuple[R, ...]], list[Problem]]:
        """Group jobs by repo and check each group, or take the last check where the group is the same."""
        grouped: dict[str, list[R]] = {}
        for repo, job in pairs:
            grouped.setdefault(repo, []).append(job)
        out: dict[str, tuple[R, ...]] = {}
        problems: list[Problem] = []
        for repo, listed in grouped.items():
            known = self._repos.get((kind, repo))
            fits = known is not None and _same(known.jobs, listed) and (not known.problems or known.settled == settled)
            if known is None or not fits:
                sound = [job for job in listed if comparable(job)]
                found = tuple(config_check_all.repo_problems(kind, repo, sound, settled))
                known = self._repos[kind, repo] = _Repo(tuple(listed), settled, found)
            out[repo] = known.jobs
            problems += known.problems
        for gone in [key for key in self._repos if key[0] == kind and key[1] not in grouped]:
            del self._repos[gone]
        return out, problems


def _file_of_query(path: goyaml.Path, sources: Sequence[ParsedFile]) -> tuple[Sequence[ParsedFile], goyaml.Path]:
    """Return the file that a query of the merged list came from, and its path in there."""
    number = int(path[2])
    for file in sources:
        own = 0 if file.main is None else len(file.main.tide.queries)
        if number < own:
            return (file,), (*_QUERIES, number, *path[3:])
        number -= own
    return sources, path


def _same(left: Sequence[object], right: Sequence[object]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))


def comparable(job: Presubmit | Postsubmit) -> bool:
    """Say whether a job's branch patterns compile; those of others are reported, and compared with nobody's."""
    listed = (job.branches, job.skip_branches)
    return all(not patterns_ or patterns.problem("|".join(patterns_)) is None for patterns_ in listed)
