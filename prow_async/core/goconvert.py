"""Fits plain YAML values to msgspec Structs by the rules Go's JSON decoding gives upstream Prow.

Numbers and truth values become text where the field is text (in Go's spelling), null counts as absent, keys match
whatever their case (the exact one first), unknown keys are passed over. Everything that cannot be fitted is reported
with its path, and the rest goes on; what comes out is safe for msgspec.convert.

Source: sigs.k8s.io/yaml (convertToJSONableObject) and Go's encoding/json.
"""

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from prow_async.core import goscalars
from prow_async.core.goyaml import Path

T = TypeVar("T", bound=msgspec.Struct)


class Finding(msgspec.Struct, frozen=True):
    """Something to say about one place of a document."""

    path: Path
    text: str


class Report:
    """Where shapes put what they find. `path` is where they are just now."""

    __slots__ = ("errors", "path", "unchecked", "unknown", "warnings")

    def __init__(self, path: Path = ()) -> None:
        self.path: list[str | int] = list(path)
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []
        self.unknown: list[Finding] = []
        self.unchecked: list[Finding] = []

    def error(self, text: str) -> Any:
        """Note an error here; returns DROP for the caller to return."""
        self.errors.append(Finding(tuple(self.path), text))
        return DROP

    def warning(self, text: str) -> None:
        self.warnings.append(Finding(tuple(self.path), text))


class _Drop:
    """What a shape returns for a value that cannot be kept."""


DROP = _Drop()
Shape = Callable[[Any, Report], Any]
"""Takes a value (never None) and returns the fitted one, or DROP after reporting why."""


def kind(value: Any) -> str:
    """Name a YAML value's kind for people."""
    names: dict[type, str] = {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


def any_value(value: Any, report: Report) -> Any:
    """Take the value as it is."""
    return value


def raw_value(value: Any, report: Report) -> Any:
    """Take the value as it is, and note that nobody looked into it."""
    report.unchecked.append(Finding(tuple(report.path), "not checked"))
    return value


def string(value: Any, report: Report) -> Any:
    """Take text; spell numbers and truth values as Go does."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return goscalars.go_float(value)
    return report.error(f"expected text, found {kind(value)}")


def boolean(value: Any, report: Report) -> Any:
    if type(value) is bool:
        return value
    return report.error(f"expected true or false, found {kind(value)}{_shown(value)}")


def integer(value: Any, report: Report) -> Any:
    if type(value) is int:
        if -(1 << 63) <= value < 1 << 63:
            return value
        return report.error(f"{value} is too large a number")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 63:
        return int(value)
    return report.error(f"expected a whole number, found {kind(value)}{_shown(value)}")


def number(value: Any, report: Report) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return report.error(f"expected a number, found {kind(value)}{_shown(value)}")


def text_or_number(value: Any, report: Report) -> Any:
    """Take text and numbers as they are: Kubernetes' IntOrString and quantities, Prow's durations."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    return report.error(f"expected text or a number, found {kind(value)}")


def strict_text(value: Any, report: Report) -> Any:
    """Take text only: a type with its own decoding, such as a Kubernetes duration, which Go does not coerce to."""
    return value if type(value) is str else report.error(f"expected text in quotes, found {kind(value)}{_shown(value)}")


def _shown(value: Any) -> str:
    return "" if isinstance(value, dict | list) else f' "{goscalars.key_text(value)}"'


def list_of(item: Shape, empty: Callable[[], Any]) -> Shape:
    """Shape a list. A null item counts as the type's empty value, which `empty` makes."""

    def shape(value: Any, report: Report) -> Any:
        if type(value) is not list:
            return report.error(f"expected a list, found {kind(value)}{_shown(value)}")
        out = []
        path = report.path
        path.append(0)
        for i, part in enumerate(value):
            path[-1] = i
            fitted = empty() if part is None else item(part, report)
            if fitted is not DROP:
                out.append(fitted)
        path.pop()
        return out

    return shape


def map_of(item: Shape, empty: Callable[[], Any]) -> Shape:
    """Shape a mapping with free keys. A null value counts as the type's empty value."""

    def shape(value: Any, report: Report) -> Any:
        if type(value) is not dict:
            return report.error(f"expected a mapping, found {kind(value)}{_shown(value)}")
        out = {}
        path = report.path
        path.append("")
        for key, part in value.items():
            path[-1] = key
            fitted = empty() if part is None else item(part, report)
            if fitted is not DROP:
                out[key] = fitted
        path.pop()
        return out

    return shape


class _Folded:
    """Finds known keys in any case. Built at first use: `fields` of a Struct that contains itself are filled later."""

    def __init__(self, fields: Mapping[str, Shape]) -> None:
        self._fields = fields
        self._names: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        if not self._names:
            self._names = {name.casefold(): name for name in self._fields}
        return self._names.get(key.casefold())


def object_of(fields: Mapping[str, Shape], keep_unknown: bool = False) -> Shape:
    """Shape a mapping with known keys, matched in any case.

    Args:
        keep_unknown: carry unknown keys along (an object we do not know all of) instead of reporting them as unknown.
    """
    folded = _Folded(fields)

    def fold(key: str, value: dict[str, Any], report: Report) -> str | None:
        """Return the known name that `key` stands for, or None when it stands for none or the exact key is there."""
        name = folded.get(key)
        if name is None:
            report.unknown.append(Finding(tuple(report.path), f'unknown key "{key}"'))
            return None
        report.warning(f'key "{key}" is read as "{name}"; write it so')
        return None if name in value else name

    def shape(value: Any, report: Report) -> Any:
        if type(value) is not dict:
            return report.error(f"expected a mapping, found {kind(value)}{_shown(value)}")
        out: dict[str, Any] = {}
        path = report.path
        path.append("")
        for key, part in value.items():
            if part is None:
                continue
            path[-1] = name = key
            field = fields.get(key)
            if field is None:
                if keep_unknown and folded.get(key) is None:
                    out[key] = part
                    continue
                known = fold(key, value, report)
                if known is None:
                    continue
                name, field = known, fields[known]
            fitted = field(part, report)
            if fitted is not DROP:
                out[name] = fitted
        path.pop()
        return out

    return shape


class Converter:
    """Shapes for Struct types, built once from their annotations.

    Args:
        special: shapes for fields whose annotation says too little, by (Struct that declares the field, wire name).
        hidden: attribute names that are filled by the program; keys of that name are unknown keys.
    """

    def __init__(
        self, special: Mapping[tuple[type, str], Shape] | None = None, hidden: frozenset[str] = frozenset()
    ) -> None:
        self._special = dict(special or {})
        self._hidden = hidden
        self._shapes: dict[type[msgspec.Struct], Shape] = {}

    def convert(self, value: Any, struct: type[T], report: Report) -> T | None:
        """Fit and build one Struct. None when it cannot be built; `report` says why (and what else is amiss)."""
        before = len(report.errors)
        fitted = self.shape_of(struct)(value, report)
        if fitted is DROP:
            return None
        try:
            return msgspec.convert(fitted, struct)
        except msgspec.ValidationError as error:
            if len(report.errors) == before:
                report.error(str(error))
            return None

    def shape_of(self, struct: type[msgspec.Struct]) -> Shape:
        """Return the shape of a Struct type."""
        known = self._shapes.get(struct)
        if known is not None:
            return known
        fields: dict[str, Shape] = {}
        shape = self._shapes[struct] = object_of(fields)
        hints = typing.get_type_hints(struct)
        for attribute, name in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True):
            if attribute not in self._hidden:
                fields[name] = self._field(struct, name, hints[attribute])
        return shape

    def _field(self, struct: type[msgspec.Struct], name: str, hint: Any) -> Shape:
        for owner in struct.__mro__:
            if (owner, name) in self._special:
                return self._special[owner, name]
        return self._of_hint(hint)[0]

    def _of_hint(self, hint: Any) -> tuple[Shape, Callable[[], Any]]:
        """Return a type's shape and the maker of its empty value."""
        simple: dict[Any, tuple[Shape, Callable[[], Any]]] = {
            str: (string, str),
            bool: (boolean, bool),
            int: (integer, int),
            float: (number, float),
            Any: (any_value, lambda: None),
        }
        if hint in simple:
            return simple[hint]
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            kinds = [arg for arg in args if arg is not type(None)]
            return (self._of_hint(kinds[0])[0], lambda: None) if len(kinds) == 1 else (text_or_number, str)
        if origin in (tuple, list):
            return list_of(*self._of_hint(args[0])), list
        if origin is dict:
            return map_of(*self._of_hint(args[1])), dict
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return self.shape_of(hint), dict
        return string, str
