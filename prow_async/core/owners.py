"""OWNERS files: who approves and reviews what.

Source: upstream pkg/repoowners. A file that does not read does not count; whoever edits it is told elsewhere.
"""

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from prow_async.api.config_sections import OwnersDirDenylist
from prow_async.api.errors import ConfigErrors
from prow_async.core import goconvert, goyaml, patterns

DENIED = (r"\.git$", "_output$", "vendor/.*/.*")
"""Folders whose OWNERS never count, unless the configuration says so."""
_HEADER = "---\n"


class _People(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says of a folder, or of a pattern in it."""

    approvers: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    required_reviewers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def says_nothing(self) -> bool:
        return not (self.approvers or self.reviewers or self.required_reviewers or self.labels)


class _Options(msgspec.Struct, frozen=True):
    no_parent_owners: bool = False


class _Simple(_People, frozen=True, kw_only=True):
    options: _Options = _Options()


class _Full(msgspec.Struct, frozen=True, kw_only=True):
    options: _Options = _Options()
    filters: dict[str, _People] = {}


F = TypeVar("F", _Simple, _Full)
_CONVERTER = goconvert.Converter()


class Group(msgspec.Struct, frozen=True):
    """People by what they do, each login in lower case."""

    approvers: frozenset[str] = frozenset()
    reviewers: frozenset[str] = frozenset()


class File(msgspec.Struct, frozen=True):
    """One OWNERS file. `filters` are (pattern, group); "" is every path below its folder."""

    filters: tuple[tuple[str, Group], ...] = ()
    no_parent_owners: bool = False


class Owners(msgspec.Struct, frozen=True):
    """All of a repository's, by folder ("" is the root), or by file for Markdown with a header of its own."""

    files: Mapping[str, File] = {}

    def approvers(self, path: str) -> frozenset[str]:
        """Everybody who approves a path, from its folder up to the root."""
        return frozenset().union(*(group.approvers for group in self._groups(path, "approvers")))

    def reviewers(self, path: str) -> frozenset[str]:
        """Everybody who reviews a path, from its folder up to the root."""
        return frozenset().union(*(group.reviewers for group in self._groups(path, "reviewers")))

    def _groups(self, path: str, kind: str) -> Iterable[Group]:
        """Yield what the path's own entry and those of its folders say, nearest first.

        A folder without parents ends the way up only once somebody has been found.
        """
        found = False
        place = path
        while True:
            file = self.files.get(place)
            if file is not None:
                inside = posixpath.relpath(path, place or ".") if path != place else "."
                for pattern, group in file.filters:
                    if not pattern or patterns.compile(pattern).search(inside):
                        found = found or bool(getattr(group, kind))
                        yield group
                if file.no_parent_owners and found:
                    return
            if not place:
                return
            place = posixpath.dirname(place)


def of_files(files: Mapping[str, bytes], name: str, aliases_name: str) -> Owners:
    """Put together what a repository's files say, by their paths.

    Args:
        name: of OWNERS files; of the others, Markdown counts by its header and aliases at the root alone.
    """
    aliases = parse_aliases(files.get(aliases_name, b""))
    found: dict[str, File] = {}
    for path, data in files.items():
        folder, base = posixpath.split(path)
        if base != name and not path.endswith(".md"):
            continue
        file = parse(data, aliases, path)
        if file is not None:
            found[folder if base == name else path] = file
    return Owners(found)


def normal(login: str) -> str:
    """Compare people as upstream does: in lower case, without a leading `@`."""
    return login.lower().removeprefix("@")


def is_denied(path: str, denylist: OwnersDirDenylist | None, full_repo: str) -> bool:
    """True when a file stands in or below a folder whose OWNERS do not count."""
    denied: list[str] = []
    if denylist is None or not denylist.ignore_preconfigured_defaults:
        denied.extend(DENIED)
    if denylist is not None:
        org = full_repo.partition("/")[0]
        denied.extend((*denylist.default, *denylist.repos.get(org, ()), *denylist.repos.get(full_repo, ())))
    usable = [patterns.compile(one) for one in denied if patterns.problem(one) is None]
    parts = posixpath.dirname(path).split("/")
    folders = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    return any(pattern.search(folder) for pattern in usable for folder in folders if folder)


def parse_aliases(data: bytes) -> dict[str, frozenset[str]]:
    """Read OWNERS_ALIASES: `aliases: {name: [logins]}`; of a mapping its keys count. What does not read is empty."""
    value = _load(data)
    listed = value.get("aliases")
    if not isinstance(listed, dict):
        return {}
    return {
        normal(str(name)): _logins(list(people) if isinstance(people, dict) else people)
        for name, people in listed.items()
    }


def parse(data: bytes, aliases: Mapping[str, frozenset[str]], path: str = "OWNERS") -> File | None:
    """Read one file of either form; None where it says nothing that counts.

    The simple form hides filters as soon as it says anything. One value of the wrong kind spoils a form whole.

    Args:
        path: a Markdown file's header is read, in the simple form; of any other file all of it.
    """
    is_markdown = path.endswith(".md")
    if is_markdown:
        header = _header(data)
        if header is None:
            return None
        data = header
    value = _load(data)
    simple = _fitted(value, _Simple)
    if simple is not None and (is_markdown or not simple.says_nothing):
        return _file({"": simple}, simple.options, aliases)
    full = None if is_markdown else _fitted(value, _Full)
    if full is None:
        return None
    usable = {pattern: people for pattern, people in full.filters.items() if patterns.problem(pattern) is None}
    return _file(usable, full.options, aliases)


def _fitted(value: dict[str, Any], form: type[F]) -> F | None:
    report = goconvert.Report()
    fitted = _CONVERTER.convert(value, form, report)
    return None if report.errors else fitted


def _file(by_pattern: Mapping[str, _People], options: _Options, aliases: Mapping[str, frozenset[str]]) -> File | None:
    filters: list[tuple[str, Group]] = []
    for pattern, people in by_pattern.items():
        group = Group(_expanded(people.approvers, aliases), _expanded(people.reviewers, aliases))
        if group != Group():
            filters.append(("" if pattern == ".*" else pattern, group))
    alone = options.no_parent_owners
    return File(tuple(filters), alone) if filters or alone else None


def _load(data: bytes) -> dict[str, Any]:
    try:
        value = goyaml.load(data, "OWNERS").value
    except ConfigErrors:
        return {}
    return value if isinstance(value, dict) else {}


def counts(path: str, data: bytes) -> bytes:
    """Return what is to be kept of a file: all of it, or of Markdown the header."""
    if not path.endswith(".md"):
        return data
    header = _header(data)
    return b"" if header is None else _HEADER.encode() + header + b"\n---\n"


def _header(data: bytes) -> bytes | None:
    text = data.decode(errors="replace").replace("\r\n", "\n")
    if not text.startswith(_HEADER):
        return None
    header, ended, _ = text[len(_HEADER) :].partition("\n---")
    return header.encode() if ended else None


def _logins(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        return frozenset()
    return frozenset(normal(login) for login in value if isinstance(login, str) and login)


def _expanded(logins: Iterable[str], aliases: Mapping[str, frozenset[str]]) -> frozenset[str]:
    found = (aliases.get(login, frozenset({login})) for login in map(normal, logins) if login)
    return frozenset().union(*found)
