"""Which files of a repository are generated, by its `.generated_files` and `.gitattributes`.

Source: upstream pkg/genfiles and pkg/gitattributes; gitattributes(5).
"""

import re
from collections.abc import Iterable

import msgspec

from prow_async.core import patterns


class Generated(msgspec.Struct, frozen=True):
    """Rules of `.generated_files`: any one that holds makes a file generated."""

    path_prefixes: tuple[str, ...] = ()
    file_names: frozenset[str] = frozenset()
    file_prefixes: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    """Files of the repository that list further paths, one a line; `#` begins a comment line."""
    unknown: tuple[str, ...] = ()
    """Lines that are none of the format's; they are passed over."""
    paths: frozenset[str] = frozenset()

    def matches(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return (
            path in self.paths
            or name in self.file_names
            or path.startswith(self.path_prefixes)
            or (bool(self.file_prefixes) and name.startswith(self.file_prefixes))
        )


class AttributeMistake(ValueError):
    """A line of `.gitattributes` that git itself would not take; the message names it."""


def parse(text: str) -> Generated:
    """Read `.generated_files`: `KEYWORD VALUE` a line, `#` begins a comment line.

    A `path` is compared with files' names, as upstream does: one with a slash in it never fits.
    """
    path_prefixes, names, file_prefixes, listed, unknown = [], set[str](), [], [], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        match words:
            case ["path-prefix" | "prefix", value]:
                path_prefixes.append(value)
            case ["file-prefix", value]:
                file_prefixes.append(value)
            case ["file-name" | "path", value]:
                names.add(value)
            case ["paths-from-repo", value]:
                listed.append(value)
            case _:
                unknown.append(f"line {number}: {line.strip()[:200]}")
    return Generated(tuple(path_prefixes), frozenset(names), tuple(file_prefixes), tuple(listed), tuple(unknown))


def with_listed(rules: Generated, lists: Iterable[str]) -> Generated:
    """Add what `paths-from-repo` files list: whole paths, unlike `path` entries."""
    lines = (line.strip() for text in lists for line in text.splitlines())
    return msgspec.structs.replace(rules, paths=frozenset(line for line in lines if line and line[0] != "#"))


def linguist_generated(text: str) -> tuple[patterns.Pattern, ...]:
    """Return the patterns of a `.gitattributes` that say `linguist-generated=true`. Other lines do not matter.

    Raises:
        AttributeMistake: such a pattern begins with `!`, or ends in `/`: git forbids the one, and the other never fits.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        pattern, attributes = words[0], words[1:]
        if "linguist-generated=true" not in attributes:
            continue
        if pattern.startswith("!"):
            raise AttributeMistake(f".gitattributes line {number}: negative patterns are forbidden")
        if pattern.endswith("/"):
            raise AttributeMistake(f".gitattributes line {number}: a pattern that ends in / fits nothing")
        found.append(_glob(pattern))
    return tuple(found)


def _glob(glob: str) -> patterns.Pattern:
    """Translate a gitattributes pattern: without a slash it fits names in any folder, else whole paths."""
    body = glob.lstrip("/")
    text = "/".join("\0" if part == "**" else _TOKEN.sub(_translated, part) for part in body.split("/"))
    text = text.replace("\0/", "(?:.*/)?").replace("/\0", "/.*").replace("\0", ".*")
    return patterns.compile(rf"(?s)^{'' if '/' in glob else '(?:.*/)?'}{text}$")


_TOKEN = re.compile(r"\\(.)|\*+|\?|\[[!^]?\]?[^\]]*\]|(.)", re.DOTALL)


def _translated(token: re.Match[str]) -> str:
    text = token[0]
    if text.startswith("*"):
        return "[^/]*"
    if text == "?":
        return "[^/]"
    if len(text) > 2 and text.startswith("["):
        body = text[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]"
    return re.escape(token[1] or text)
