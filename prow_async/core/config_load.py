"""Loads the whole configuration: a main file and its job files in, one immutable Config or every problem out.

core/config_parse reads single files, core/config_join completes, checks and joins them. A Loader remembers what it
made of each file, so that a reload works on changed files only.

Source: upstream pkg/config/config.go (loadConfig).
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from prow_async.api import config
from prow_async.api.errors import ConfigErrors, Problem
from prow_async.core import config_join, config_parse
from prow_async.core.config_parse import ParsedFile, ParsedPreset

Role = Literal["main", "jobs", "supplemental"]


class SourceFile(msgspec.Struct, frozen=True):
    """A file's bytes and the path people know it by."""

    path: str
    data: bytes


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that may be used.

    `warnings` are worth a log line; `unknown` are keys that nobody reads; `unchecked` are parts kept as they are;
    `quarantined` is what is wrong with the files whose jobs were left out.
    """

    config: config.Config
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()
    unchecked: tuple[Problem, ...] = ()
    quarantined: tuple[Problem, ...] = ()


def load(main: SourceFile, jobs: Sequence[SourceFile] = (), supplementals: Sequence[SourceFile] = ()) -> Loaded:
    """Load a configuration once.

    Raises: ConfigErrors with every problem of every file.
    """
    loader = Loader()
    loader.update(main, "main")
    for file in jobs:
        loader.update(file)
    for file in supplementals:
        loader.update(file, "supplemental")
    return loader.load()


def parse(file: SourceFile, role: Role) -> ParsedFile:
    """Read one file by its role. What is wrong with it stands in its `problems`."""
    if role == "supplemental":
        return config_parse.parse_supplemental(file.path, file.data)
    return config_parse.parse(file.path, file.data, is_main=role == "main")


class Loader:
    """Loads again and again. Give it changed files with `update`, take away gone ones with `remove`, then `load`.

    Files stand in the order of their first `update`, or of the last `order`; a repo's jobs keep the order of files
    and of places in them.
    """

    def __init__(self) -> None:
        self._roles: dict[str, Role] = {}
        self._parsed: dict[str, ParsedFile] = {}
        self._fresh: dict[str, bytes] = {}
        self._accepted: dict[str, ParsedFile] = {}
        """The files of the last load that succeeded, those that were set aside excepted."""
        self._presets: dict[str, tuple[ParsedPreset, ...]] = {}
        """The presets each file had when it could last be read."""
        self._joiner = config_join.Joiner(self._fresh.get)
        self.version = ""
        """The content of the file `VERSION` beside the main file, "" without one."""

    def paths(self) -> tuple[str, ...]:
        """Return the files it knows, in order."""
        return tuple(self._parsed)

    def update(self, file: SourceFile, role: Role = "jobs", parsed: ParsedFile | None = None) -> ParsedFile:
        """Read a new or changed file, or take it as `parsed` before. Problems come out at `load`."""
        found = parse(file, role) if parsed is None else parsed
        self._roles[file.path] = role
        self._parsed[file.path] = found
        self._fresh[file.path] = file.data
        return found

    def remove(self, path: str) -> None:
        """Forget a file that is gone."""
        for known in (self._roles, self._parsed, self._fresh, self._accepted, self._presets):
            known.pop(path, None)

    def order(self, paths: Sequence[str]) -> None:
        """Put the files into this order, which must name all it knows."""
        self._parsed = {path: self._parsed[path] for path in paths}

    def load(self, quarantine: bool = False, now_s: float | None = None) -> Loaded:
        """Join what it knows into a configuration. A file that did not change costs next to nothing.

        Args:
            quarantine: leave out the jobs of files with problems instead of failing. Their presets stay, as they
                were when the file could last be read: other files' jobs mean what they meant. Of two files that
                contradict each other, one that was in force before stays. The main and supplemental files must
                be sound.
            now_s: the time, for what must not be dated in the future; None asks nothing.

        Raises: ConfigErrors with every problem of every file; the Loader stays usable.
        """
        settled = {path for path, file in self._accepted.items() if self._parsed.get(path) is file}
        aside: dict[str, tuple[Problem, ...]] = {}
        bare: set[str] = set()
        while True:
            files = self._files(aside, bare)
            joined = self._joiner.join(files, settled if quarantine else (), now_s)
            if not joined.problems:
                break
            blamed = {problem.file for problem in joined.problems}
            if not quarantine or any(self._roles.get(path) != "jobs" for path in blamed):
                raise ConfigErrors(joined.problems)
            bare |= blamed & aside.keys()
            for path in blamed - aside.keys():
                aside[path] = tuple(problem for problem in joined.problems if problem.file == path)
        return self._accept(joined, aside)

    def _files(self, aside: dict[str, tuple[Problem, ...]], bare: set[str]) -> config_join.Files:
        def of(path: str, file: ParsedFile) -> ParsedFile:
            if path not in aside:
                return file
            kept = () if path in bare else file.presets or self._presets.get(path, ())
            return ParsedFile(path=path, presets=kept)

        def with_role(role: Role) -> tuple[ParsedFile, ...]:
            return tuple(of(path, file) for path, file in self._parsed.items() if self._roles[path] == role)

        return config_join.Files(with_role("main")[0], with_role("jobs"), with_role("supplemental"))

    def _accept(self, joined: config_join.Joined, aside: dict[str, tuple[Problem, ...]]) -> Loaded:
        self._fresh.clear()
        self._accepted = {path: file for path, file in self._parsed.items() if path not in aside}
        self._presets.update((path, file.presets) for path, file in self._accepted.items())
        whole = joined.config
        if self.version:
            whole = msgspec.structs.replace(whole, config_version_sha=self.version)
        return Loaded(
            whole,
            joined.warnings,
            tuple(key for file in self._parsed.values() for key in file.unknown),
            tuple(part for file in self._parsed.values() for part in file.unchecked),
            tuple(sorted(problem for problems in aside.values() for problem in problems)),
        )
