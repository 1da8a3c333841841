"""Merges supplemental plugin configuration into the main one, and knows afterwards where everything came from.

Lists are joined, tables too; what two files both set is an error, whichever values they give.

Source: upstream pkg/plugins/config.go (mergeFrom).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from prow_async.api.errors import Problem
from prow_async.api.plugin_bugzilla import Bugzilla, BugzillaOrg
from prow_async.api.plugin_config import PluginConfig
from prow_async.api.plugin_labels import Label, RestrictedLabel
from prow_async.core.goconvert import Finding
from prow_async.core.goyaml import Path
from prow_async.core.plugin_config_parse import ParsedPlugins

V = TypeVar("V")
_LISTS = ("approve", "lgtm", "triggers", "welcome")
_TABLES = ("plugins", "external_plugins")


class Places:
    """Finds the file and the line of what stands in the merged configuration."""

    def __init__(self, files: Sequence[ParsedPlugins]) -> None:
        self._files = files

    def problems(self, findings: Sequence[Finding]) -> Iterator[Problem]:
        """Turn findings into problems. A place in a list that could not be read whole is left for the next time."""
        for finding in findings:
            file, path = self._origin(finding.path)
            listed = any(isinstance(step, int) for step in path)
            if not (listed and path[0] in file.broken):
                yield file.problem(Finding(path, finding.text))

    def _origin(self, path: Path) -> tuple[ParsedPlugins, Path]:
        """Return the file that a place is in, and its path there."""
        if len(path) > 1 and path[0] in _LISTS and isinstance(path[1], int):
            number = path[1]
            for file in self._files:
                count = len(getattr(file.config, path[0]))
                if number < count:
                    return file, (path[0], number, *path[2:])
                number -= count
        return max(self._files, key=lambda file: file.depth(path)), path


def merge(files: Sequence[ParsedPlugins]) -> tuple[PluginConfig, list[Problem]]:
    """Return the merged configuration, the main file's first, and what is set in two files."""
    main, *further = files
    merging = _Merging(main)
    for file in further:
        merging.add(file)
    return merging.whole, merging.doubled


class _Merging:
    """The configuration so far."""

    def __init__(self, main: ParsedPlugins) -> None:
        self.whole = main.config
        self.doubled: list[Problem] = []
        self._files = [main]
        self._file = main

    def add(self, file: ParsedPlugins) -> None:
        self._file = file
        own, whole = file.config, self.whole
        self.whole = msgspec.structs.replace(
            whole,
            bugzilla=self._bugzilla(whole.bugzilla, own.bugzilla),
            label=self._label(whole.label, own.label),
            **{name: (*getattr(whole, name), *getattr(own, name)) for name in _LISTS},
            **{name: self._table(getattr(whole, name), getattr(own, name), (name,)) for name in _TABLES},
        )
        self._files.append(file)

    def _twice(self, path: Path) -> None:
        """Note something that an earlier file has too, and where."""
        there = max(self._files, key=lambda file: file.depth(path)).problem(Finding(path, ""))
        text = f"is set in two files; the other is {there.file}:{there.line}"
        self.doubled.append(self._file.problem(Finding(path, text)))

    def _table(self, there: Mapping[str, V], own: Mapping[str, V], path: Path) -> dict[str, V]:
        for key in own:
            if key in there:
                self._twice((*path, key))
        return {**own, **there}

    def _label(self, there: Label, own: Label) -> Label:
        if not own.restricted_labels:
            return there
        table = dict(there.restricted_labels)
        for scope, entries in own.restricted_labels.items():
            before = table.get(scope, ())
            known = {entry.label for entry in before}
            for number, entry in enumerate(entries):
                if entry.label in known:
                    self._label_twice(scope, number, entry)
            table[scope] = (*before, *entries)
        return Label(there.additional_labels, table)

    def _label_twice(self, scope: str, number: int, entry: RestrictedLabel) -> None:
        path = ("label", "restricted_labels", scope, number)
        for file in self._files:
            for place, known in enumerate(file.config.label.restricted_labels.get(scope, ())):
                if known.label == entry.label:
                    there = file.problem(Finding((*path[:3], place), ""))
                    text = f'"{entry.label}" is restricted in two files; the other is {there.file}:{there.line}'
                    self.doubled.append(self._file.problem(Finding(path, text)))
                    return

    def _bugzilla(self, there: Bugzilla, own: Bugzilla) -> Bugzilla:
        if own == Bugzilla():
            return there
        orgs = dict(there.orgs)
        for name, org in own.orgs.items():
            orgs[name] = self._bugzilla_org(orgs.get(name, BugzillaOrg()), org, ("bugzilla", "orgs", name))
        return Bugzilla(self._default(there.default, own.default, ("bugzilla", "default")), orgs)

    def _bugzilla_org(self, there: BugzillaOrg, own: BugzillaOrg, path: Path) -> BugzillaOrg:
        default = self._default(there.default, own.default, (*path, "default"))
        return BugzillaOrg(default, self._table(there.repos, own.repos, (*path, "repos")))

    def _default(self, there: V | None, own: V | None, path: Path) -> V | None:
        if there is not None and own is not None:
            self._twice(path)
        return own if there is None else there
