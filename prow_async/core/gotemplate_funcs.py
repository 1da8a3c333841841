"""The built-in functions of Go's text/template, and how Go prints and weighs values."""

import html
import json
import math
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from prow_async.core import goscalars

MAX_CHARACTERS = 1_000_000
"""Longer text is neither written nor made on the way. GitHub takes 65,536 characters in a comment."""

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d{0,4})(?:\.(?P<places>\d{0,4}))?(?P<verb>.|$)", re.DOTALL)


_WHOLE = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)
_FLOAT = re.compile(r"[+-]?(?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9]+)?")
_MOST_DIGITS = 70


class FunctionError(ValueError):
    """A function cannot work on its arguments; the caller adds the place."""


class _NoValue:
    """What looking up a missing map key gives."""


NO_VALUE = _NoValue()


def number(text: str) -> int | float:
    """Return a number constant's value. Raises FunctionError for what Go's parser takes for none."""
    plain = text.replace("_", "")
    if _WHOLE.fullmatch(text):
        digits = plain.lstrip("+-")
        octal = digits.isdigit() and len(digits) > 1 and digits[0] == "0"
        value = int(plain, base=8 if octal else 0) if len(plain) <= _MOST_DIGITS else 1 << 64
        if -(1 << 63) <= value < 1 << 63:
            return value
        raise FunctionError(f'integer overflow: "{text[:100]}"')
    if not text.lstrip("+-").isdigit() and _FLOAT.fullmatch(text) and math.isfinite(float(plain)):
        return float(plain)
    raise FunctionError(f'bad number syntax: "{text[:100]}"')


def truth(value: Any) -> bool:
    """Say whether Go holds a value true: anything but nil, zero, false and the empty."""
    if isinstance(value, msgspec.Struct):
        return True
    return value is not NO_VALUE and bool(value)


def go_text(value: Any) -> str:
    """Spell a value as Go's fmt with %v. Raises FunctionError for an object that has no plain form here."""
    if isinstance(value, str):
        return value
    if value is NO_VALUE:
        return "<no value>"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return goscalars.go_float(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, Sequence):
        return "[" + " ".join(go_text(item) for item in value) + "]"
    raise FunctionError(f"can't print a whole {type(value).__name__}; name one of its fields")


def call(name: str, arguments: list[Any]) -> Any:
    """Run a function of NAMES or FURTHER other than `and` and `or`. Raises FunctionError."""
    low, high, function = _TABLE[name]
    if len(arguments) < low or (high is not None and len(arguments) > high):
        wanted = f"at least {low}" if high is None else str(low) if low == high else f"{low} to {high}"
        raise FunctionError(f"wrong number of args for {name}: want {wanted} got {len(arguments)}")
    try:
        result = function(arguments)
        if isinstance(result, str):
            _bounded(len(result))
    except FunctionError as error:
        raise FunctionError(f"error calling {name}: {error}") from error
    return result


def _bounded(characters: int) -> None:
    if characters > MAX_CHARACTERS:
        raise FunctionError(f"the text would be longer than {MAX_CHARACTERS} characters")


def _kind(value: Any) -> str:
    for kind, types in (("bool", bool), ("int", int), ("float", float), ("string", str)):
        if isinstance(value, types):
            return kind
    return "other"


def _same(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    kinds = {_kind(left), _kind(right)}
    if "other" in kinds:
        raise FunctionError("non-comparable type")
    if len(kinds) > 1:
        raise FunctionError("incompatible types for comparison")
    return bool(left == right)


def _eq(arguments: list[Any]) -> bool:
    return any(_same(arguments[0], other) for other in arguments[1:])


def _less(left: Any, right: Any) -> bool:
    kinds = {_kind(left), _kind(right)}
    if kinds & {"other", "bool"}:
        raise FunctionError("invalid type for comparison")
    if len(kinds) > 1:
        raise FunctionError("incompatible types for comparison")
    return bool(left < right)


def _index(arguments: list[Any]) -> Any:
    value = arguments[0]
    for at in arguments[1:]:
        if value is None or value is NO_VALUE:
            raise FunctionError("index of untyped nil" if value is NO_VALUE else "index of nil pointer")
        if isinstance(value, Mapping):
            value = value.get(at, "")
            continue
        if not isinstance(value, Sequence):
            raise FunctionError(f"can't index item of {type(value).__name__}")
        if _kind(at) != "int":
            raise FunctionError("cannot index slice/array with this type")
        items = value.encode() if isinstance(value, str) else value
        if not 0 <= at < len(items):
            raise FunctionError(f"index out of range: {at}")
        value = items[at]
    return value


def _slice(arguments: list[Any]) -> Any:
    value, *bounds = arguments
    if not isinstance(value, Sequence):
        raise FunctionError("can't slice this value")
    items = value.encode() if isinstance(value, str) else value
    start = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else len(items)
    if _kind(start) != "int" or _kind(end) != "int" or not 0 <= start <= end <= len(items):
        raise FunctionError(f"index out of range: {start}:{end}")
    part = items[start:end]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _len(arguments: list[Any]) -> int:
    value = arguments[0]
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | Sequence):
        return len(value)
    raise FunctionError("len of a value that has no length")


def _print(arguments: list[Any]) -> str:
    """Join as Go's Sprint: a space between two values when neither is a string."""
    out: list[str] = []
    made = 0
    for i, value in enumerate(arguments):
        if i and not isinstance(value, str) and not isinstance(arguments[i - 1], str):
            out.append(" ")
        out.append(go_text(value))
        made += len(out[-1])
        _bounded(made)
    return "".join(out)


def _println(arguments: list[Any]) -> str:
    out: list[str] = []
    made = 0
    for value in arguments:
        out.append(go_text(value))
        made += len(out[-1])
        _bounded(made)
    return " ".join(out) + "\n"


def _printf(arguments: list[Any]) -> str:
    form, *values = arguments
    if not isinstance(form, str):
        raise FunctionError("the format is no string")
    left = list(reversed(values))
    made = len(form)

    def shown(found: re.Match[str]) -> str:
        nonlocal made
        text = filled(found)
        made += len(text)
        _bounded(made)
        return text

    def filled(found: re.Match[str]) -> str:
        verb = found["verb"]
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if not left:
            return f"%!{verb}(MISSING)"
        return _padded(_verb(verb, left.pop(), found), found["flags"], found["width"])

    text = _VERB.sub(shown, form)
    if left:
        text += "%!(EXTRA "
        for value in reversed(left):
            text += f"{_go_type(value)}={go_text(value)}, "
            _bounded(len(text))
        text = text.removesuffix(", ") + ")"
    return text


def _padded(text: str, flags: str, width: str) -> str:
    if "-" in flags:
        return text.ljust(int(width or 0))
    if "0" in flags:
        return text.zfill(int(width or 0))
    return text.rjust(int(width or 0))


def _go_type(value: Any) -> str:
    return {"bool": "bool", "int": "int", "float": "float64", "string": "string"}.get(_kind(value), "value")


def _verb(verb: str, value: Any, found: re.Match[str]) -> str:
    kind, places = _kind(value), found["places"]
    if verb == "T" and kind != "other":
        return _go_type(value)
    if verb == "v" or (verb == "s" and kind in ("string", "other") and value is not None):
        text = go_text(value)
        return text if places is None or kind != "string" else text[: int(places or 0)]
    if value is None:
        return f"%!{verb}(<nil>)"
    if kind == "int":
        shown = _whole(verb, value, found["flags"])
    elif kind == "float":
        shown = _fraction(verb, value, places)
    elif kind == "string":
        shown = _string(verb, value)
    else:
        shown = go_text(value) if verb == "t" and kind == "bool" else None
    return f"%!{verb}({_go_type(value)}={go_text(value)})" if shown is None else shown


def _whole(verb: str, value: int, flags: str) -> str | None:
    if verb in "dxXob":
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return f"{sign}{prefix}{abs(value):{verb}}"
    if verb not in "cqU":
        return None
    if not 0 <= value <= 0x10FFFF or 0xD800 <= value < 0xE000:
        value = 0xFFFD
    return f"U+{value:04X}" if verb == "U" else chr(value) if verb == "c" else f"'{chr(value)}'"


def _fraction(verb: str, value: float, places: str | None) -> str | None:
    if verb not in "feEgG":
        return None
    if verb in "gG" and places is None:
        return goscalars.go_float(value)
    return f"{value:.{6 if places is None else int(places or 0)}{verb}}"


def _string(verb: str, value: str) -> str | None:
    if verb == "q":
        return json.dumps(value, ensure_ascii=False)
    digits = value.encode().hex()
    return {"x": digits, "X": digits.upper()}.get(verb)


def _html(arguments: list[Any]) -> str:
    text = html.escape(_print(arguments), quote=False).replace("\0", "\ufffd")
    return text.replace('"', "&#34;").replace("'", "&#39;")


_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}


def _js(arguments: list[Any]) -> str:
    return "".join(
        _JS.get(c) or (f"\\u{ord(c):04X}" if ord(c) < 32 or c in "\u2028\u2029" else c) for c in _print(arguments)
    )


def _urlquery(arguments: list[Any]) -> str:
    return urllib.parse.quote_plus(_print(arguments), safe="")


def _at_most(arguments: list[Any]) -> bool:
    return _less(arguments[0], arguments[1]) or _same(arguments[0], arguments[1])


def _replace(arguments: list[Any]) -> str:
    old, new, text = arguments
    if not all(isinstance(part, str) for part in arguments):
        raise FunctionError("wants three strings: what, by what, in what")
    _bounded(len(text) + str(text).count(old) * (len(new) - len(old)))
    return str(text).replace(old, new)


_Entry = tuple[int, int | None, Callable[[list[Any]], Any]]
_TABLE: Mapping[str, _Entry] = {
    "not": (1, 1, lambda a: not truth(a[0])),
    "eq": (2, None, _eq),
    "ne": (2, 2, lambda a: not _same(a[0], a[1])),
    "lt": (2, 2, lambda a: _less(a[0], a[1])),
    "le": (2, 2, _at_most),
    "gt": (2, 2, lambda a: not _at_most(a)),
    "ge": (2, 2, lambda a: not _less(a[0], a[1])),
    "index": (1, None, _index),
    "slice": (1, 3, _slice),
    "len": (1, 1, _len),
    "print": (0, None, _print),
    "println": (0, None, _println),
    "printf": (1, None, _printf),
    "html": (0, None, _html),
    "js": (0, None, _js),
    "urlquery": (0, None, _urlquery),
    "replace": (3, 3, _replace),
}
FURTHER = frozenset({"replace"})
"""Functions that only some templates may name."""
NAMES = frozenset({"and", "or", *_TABLE}) - FURTHER
"""Every function that any template may name."""
