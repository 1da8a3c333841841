"""Loads the whole configuration: a main file and its job files in, one immutable Config or every problem out.

core/config_parse reads single files, core/config_main and core/config_jobs fill in defaults, core/config_check* hold
the rules. A Loader remembers what it made of each file, so that a reload works on changed files only.

Source: upstream pkg/config/config.go (loadConfig, finalizeJobConfig, validateJobConfig).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from prow_async.api import config
from prow_async.api.errors import ConfigErrors, Problem
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Preset, Presubmit
from prow_async.core import config_check, config_check_all, config_jobs, config_main, config_parse, goyaml, patterns
from prow_async.core.config_jobs import Context
from prow_async.core.config_parse import Parsed, ParsedFile, ParsedPreset

J = TypeVar("J", bound=JobBase)
R = TypeVar("R", Presubmit, Postsubmit)


class SourceFile(msgspec.Struct, frozen=True):
    """A file's bytes and the path people know it by."""

    path: str
    data: bytes


class Loaded(msgspec.Struct, frozen=True):
    """A configuration without problems. `warnings` are worth a log line; `unknown` are keys that nobody reads."""

    config: config.Config
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()


class _Completed(msgspec.Struct, frozen=True):
    """A file's jobs as made for one Context."""

    parsed: ParsedFile
    context: Context
    presubmits: tuple[tuple[str, Presubmit], ...]
    postsubmits: tuple[tuple[str, Postsubmit], ...]
    periodics: tuple[Periodic, ...]
    problems: tuple[Problem, ...]


class _Repo(msgspec.Struct, frozen=True):
    """A repo's jobs of one kind and what checking them against one another found."""

    jobs: tuple[Any, ...]
    problems: tuple[Problem, ...]


def load(main: SourceFile, jobs: Sequence[SourceFile] = ()) -> Loaded:
    """Load a configuration once.

    Raises: ConfigErrors with every problem of every file.
    """
    loader = Loader()
    loader.update(main, is_main=True)
    for file in jobs:
        loader.update(file)
    return loader.load()


class Loader:
    """Loads again and again. Give it changed files with `update`, take away gone ones with `remove`, then `load`.

    Files stand in the order of their first `update`, or of the last `order`; a repo's jobs keep the order of files
    and of places in them.
    """

    def __init__(self) -> None:
        self._main = ""
        self._parsed: dict[str, ParsedFile] = {}
        self._fresh: dict[str, bytes] = {}
        self._completed: dict[str, _Completed] = {}
        self._context: Context | None = None
        self._main_parsed: ParsedFile | None = None
        self._main_problems: tuple[tuple[Problem, ...], tuple[Problem, ...]] = ((), ())
        self._repos: dict[tuple[str, str], _Repo] = {}

    def paths(self) -> tuple[str, ...]:
        """Return the files it knows, in order."""
        return tuple(self._parsed)

    def update(self, file: SourceFile, is_main: bool = False) -> None:
        """Read a new or changed file. Problems come out at `load`."""
        if is_main:
            self._main = file.path
        self._parsed[file.path] = config_parse.parse(file.path, file.data, is_main)
        self._fresh[file.path] = file.data

    def remove(self, path: str) -> None:
        """Forget a file that is gone."""
        for known in (self._parsed, self._fresh, self._completed):
            known.pop(path, None)

    def order(self, paths: Sequence[str]) -> None:
        """Put the files into this order, which must name all it knows."""
        self._parsed = {path: self._parsed[path] for path in paths}

    def load(self) -> Loaded:
        """Join what it knows into a configuration. A file that did not change costs next to nothing.

        Raises: ConfigErrors with every problem of every file; the Loader stays usable.
        """
        files = list(self._parsed.values())
        presets = [preset for file in files for preset in file.presets]
        problems = [problem for file in files for problem in file.problems]
        if len(files) > 1:  # as upstream: not looked at without job files
            problems += config_check_all.preset_problems(presets)
            problems += config_check_all.file_problems([path for path in self._parsed if path != self._main])
        context = self._context_for(self._parsed[self._main], presets)
        problems += self._main_problems[0]
        completed = [self._complete(file, context) for file in files]
        if self._parsed[self._main].main is not None:  # else each job would miss what the unread main file says
            problems += [problem for done in completed for problem in done.problems]
        presubmits, more = self._by_repo("presubmit", [pair for done in completed for pair in done.presubmits])
        problems += more
        postsubmits, more = self._by_repo("postsubmit", [pair for done in completed for pair in done.postsubmits])
        problems += more
        periodics = tuple(job for done in completed for job in done.periodics)
        problems += config_check_all.periodic_problems(periodics)
        self._fresh.clear()
        if problems:
            raise ConfigErrors(problems)
        whole = msgspec.structs.replace(
            context.main,
            presets=context.presets,
            presubmits=presubmits,
            postsubmits=postsubmits,
            periodics=periodics,
        )
        warnings = (*(warning for file in files for warning in file.warnings), *self._main_problems[1])
        return Loaded(whole, warnings, tuple(key for file in files for key in file.unknown))

    def _context_for(self, main: ParsedFile, presets: list[ParsedPreset]) -> Context:
        """Return the Context of the last load where nothing it depends on has changed, else a new one."""
        plain: tuple[Preset, ...] = tuple(parsed.preset for parsed in presets)
        if self._context is not None and self._main_parsed is main and _same(self._context.presets, plain):
            return self._context
        if self._main_parsed is not main:
            self._main_parsed = main
            done, errors, warnings = config_main.complete(main.main or config.Config(), main.main_keys)
            lines = self._lines(main.path)
            self._main_problems = (
                tuple(Problem(main.path, lines(f.path, 0), f"{config_parse.place(f.path)}: {f.text}") for f in errors),
                tuple(
                    Problem(main.path, lines(f.path, 0), f"{config_parse.place(f.path)}: {f.text}") for f in warnings
                ),
            )
        else:
            done = self._context.main if self._context is not None else config.Config()
        self._context = Context(done, plain)
        return self._context

    def _lines(self, path: str) -> Callable[[goyaml.Path, int], int]:
        """Return a finder of lines; it answers its second argument for a file whose bytes are not at hand."""
        documents: list[goyaml.Document] = []

        def line(at: goyaml.Path, otherwise: int) -> int:
            if path not in self._fresh:
                return otherwise
            if not documents:
                documents.append(goyaml.load(self._fresh[path], path))
            return documents[0].line(at)

        return line

    def _complete(self, file: ParsedFile, context: Context) -> _Completed:
        known = self._completed.get(file.path)
        if known is not None and known.parsed is file and known.context is context:
            return known
        problems: list[Problem] = []
        lines = self._lines(file.path)

        def finish(
            parsed: Parsed[J],
            complete: Callable[[J, str, Context], tuple[J, list[str]]],
            check: Callable[[J, config.Config], Iterator[str]],
        ) -> J:
            job, wrong = complete(parsed.job, parsed.repo, context)
            for text in [*wrong, *check(job, context.main)]:
                line = lines((*parsed.path, text.partition(":")[0]), job.source.line)
                problems.append(Problem(file.path, line, f'job "{job.name}": {text}'))
            return job

        pre = [
            (p.repo, finish(p, config_jobs.complete_presubmit, config_check.presubmit_problems))
            for p in file.presubmits
        ]
        post = [
            (p.repo, finish(p, config_jobs.complete_postsubmit, config_check.postsubmit_problems))
            for p in file.postsubmits
        ]
        timed = [finish(p, config_jobs.complete_periodic, config_check.periodic_problems) for p in file.periodics]
        done = _Completed(file, context, tuple(pre), tuple(post), tuple(timed), tuple(problems))
        self._completed[file.path] = done
        return done

    def _by_repo(self, kind: str, pairs: list[tuple[str, R]]) -> tuple[dict[str, tuple[R, ...]], list[Problem]]:
        """Group jobs by repo and check each group, or take the last check where the group is the same."""
        grouped: dict[str, list[R]] = {}
        for repo, job in pairs:
            grouped.setdefault(repo, []).append(job)
        out: dict[str, tuple[R, ...]] = {}
        problems: list[Problem] = []
        for repo, listed in grouped.items():
            jobs = tuple(listed)
            known = self._repos.get((kind, repo))
            if known is None or not _same(known.jobs, jobs):
                sound = [job for job in jobs if not any(_broken(job))]
                known = _Repo(jobs, tuple(config_check_all.repo_problems(kind, repo, sound)))
                self._repos[kind, repo] = known
            out[repo] = known.jobs
            problems += known.problems
        return out, problems


def _same(left: Sequence[object], right: Sequence[object]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))


def _broken(job: Presubmit | Postsubmit) -> Iterator[bool]:
    """Yield whether each branch list fails to compile; such jobs are reported elsewhere and compared with nobody."""
    for listed in (job.branches, job.skip_branches):
        yield bool(listed) and patterns.problem("|".join(listed)) is not None
