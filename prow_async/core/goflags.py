"""Command-line flags as Go's flag package reads them, since existing manifests are written for it.

`-x` and `--x` are the same; a boolean takes a value only as `--x=false`; other kinds take `--x=v` or `--x v`; the first
use of a repeatable flag replaces its default, later ones append; parsing stops at `--` or at the first word that is no
flag. Source: Go flag, upstream pkg/flagutil/strings.go.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from prow_async.api.errors import CannotStart
from prow_async.core import durations

Kind = Literal["bool", "int", "float", "str", "duration", "strings"]
Value = bool | int | float | str | tuple[str, ...]
BOOLS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
"""What Go's strconv.ParseBool reads."""


class Flag(msgspec.Struct, frozen=True):
    """One flag. Durations are Go durations on the command line and seconds as values.

    `lacking`: names the feature that this flag belongs to and that does not exist here; using it warns once.
    `older`: another name of the same flag, which manifests may still use; whichever comes last counts.
    """

    name: str
    kind: Kind
    default: Value
    help: str
    lacking: str = ""
    older: str = ""


class Help(Exception):
    """The person asked for help: print `text`, exit 0."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Flags(msgspec.Struct, frozen=True):
    """Parsed flags by name (as on the command line), what was set by hand, the words after them, and warnings."""

    values: Mapping[str, Any]
    given: frozenset[str]
    words: tuple[str, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def parse(program: str, flags: Sequence[Flag], argv: Sequence[str]) -> Flags:
    """Parse a command line. Raises CannotStart with one line for a person, Help when asked."""
    known = {name: flag for flag in flags for name in (flag.name, flag.older) if name}
    values: dict[str, Value] = {flag.name: flag.default for flag in flags}
    given: list[str] = []
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, has_value, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name in {"h", "help"} and name not in known:
            raise Help(usage(program, flags))
        flag = known.get(name)
        if flag is None:
            raise CannotStart(f"{program}: no such flag: {word.split('=')[0]} (see {program} --help)")
        if not has_value and flag.kind == "bool":
            value = "true"
        elif not has_value:
            if not rest:
                raise CannotStart(f"{program}: flag {word} needs a value")
            value = rest.pop(0)
        one = _convert(program, flag, value)
        if flag.kind == "strings" and flag.name in given:
            before = values[flag.name]
            assert isinstance(before, tuple)
            assert isinstance(one, tuple)
            one = before + one
        values[flag.name] = one
        given.append(flag.name)
    lacking = [known[name] for name in dict.fromkeys(given) if known[name].lacking]
    warnings = tuple(
        f"--{flag.name} is accepted but has no effect: {flag.lacking} is not there yet" for flag in lacking
    )
    return Flags(values, frozenset(given), tuple(rest), warnings)


def _convert(program: str, flag: Flag, text: str) -> Value:
    try:
        match flag.kind:
            case "bool":
                if text not in BOOLS:
                    raise ValueError("want true or false")
                return BOOLS[text]
            case "int":
                return int(text, 0)
            case "float":
                return float(text)
            case "str":
                return text
            case "duration":
                return durations.parse_s(text)
            case "strings":
                return (text,)
    except (ValueError, durations.DurationError) as error:
        raise CannotStart(f"{program}: --{flag.name}={text!r} is no {flag.kind}: {error}") from error


def usage(program: str, flags: Sequence[Flag]) -> str:
    """Render the list of flags with their defaults."""
    lines = [f"usage: {program} [flags]", ""]
    for flag in sorted(flags, key=lambda f: f.name):
        default = "" if flag.default in ("", ()) else f" (default {_shown(flag)})"
        note = f" [no effect: {flag.lacking} is not there yet]" if flag.lacking else ""
        lines.append(f"  --{flag.name} {flag.kind}\n        {flag.help}{default}{note}")
    return "\n".join(lines)


def _shown(flag: Flag) -> str:
    if isinstance(flag.default, bool):
        return str(flag.default).lower()
    if flag.kind == "duration" and isinstance(flag.default, float | int):
        return durations.format_s(float(flag.default))
    if isinstance(flag.default, tuple):
        return ",".join(flag.default)
    return str(flag.default)
