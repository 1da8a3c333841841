"""Checking a value against a compiled schema; every problem at once, worded as kube-apiserver words them."""

import datetime
import re
from collections.abc import Callable
from typing import Any

import msgspec

from prow_async.sandbox.kube import status
from prow_async.sandbox.kube.schema import Bounds, Node

Causes = list[status.Cause]

NOWHERE = "<nil>"
"""The field kube-apiserver names for anyOf, oneOf, allOf and not."""


def check(node: Node, value: Any, path: str = "") -> Causes:
    """Return what is wrong with `value`; empty when nothing is."""
    causes: Causes = []
    _check(node, value, path, causes)
    return causes


def _check(node: Node, value: Any, path: str, causes: Causes) -> None:
    if value is None:
        if not node.nullable and node.type:
            causes.append(_wrong_type(path, node.type, value))
        return
    if not _fits(node, value):
        causes.append(_wrong_type(path, node.type or "integer,string", value))
        return
    if node.enum is not None and not any(value == one and type(value) is type(one) for one in node.enum):
        causes.append(status.not_supported(path, value, node.enum))
    if isinstance(value, str):
        _check_text(node, value, path, causes)
    elif isinstance(value, dict):
        _check_object(node, value, path, causes)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            _check(node.items, item, f"{path}[{index}]", causes)
        if node.list_type in {"map", "set"}:
            _check_doubles(node, value, path, causes)
    if node.bounds is not None:
        _check_bounds(node.bounds, value, path, causes)
    if node.any_of or node.one_of or node.all_of or node.none_of:
        _check_logic(node, value, path, causes)


def _check_doubles(node: Node, items: list[Any], path: str, causes: Causes) -> None:
    """Each item of a set, and each key of a keyed list, stands there once."""
    seen: set[bytes] = set()
    for index, item in enumerate(items):
        known = item
        if node.list_type == "map":
            known = {key: item[key] for key in node.list_keys if key in item} if isinstance(item, dict) else item
        shown = msgspec.json.encode(known, order="deterministic")
        if shown in seen:
            causes.append(status.Cause("FieldValueDuplicate", f"Duplicate value: {shown.decode()}", f"{path}[{index}]"))
        seen.add(shown)


def _fits(node: Node, value: Any) -> bool:
    if node.int_or_string:
        return isinstance(value, int | str) and not isinstance(value, bool)
    test = _TESTS.get(node.type)
    return test is None or test(value)


def _is_integer(value: Any) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


_TESTS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def _type_of(value: Any) -> str:
    for name in ("boolean", "integer", "number", "string", "array", "object"):
        if _TESTS[name](value):
            return name
    return "null"


def _wrong_type(path: str, wanted: str, value: Any) -> status.Cause:
    found = _type_of(value)
    why = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return status.Cause("FieldValueTypeInvalid", why, path)


def _check_object(node: Node, value: dict[str, Any], path: str, causes: Causes) -> None:
    prefix = f"{path}." if path else ""
    for name, item in value.items():
        below = node.properties.get(name, node.additional)
        if below is not None:
            _check(below, item, prefix + name, causes)
    causes.extend(status.required(prefix + name) for name in node.required if name not in value)


def _check_text(node: Node, value: str, path: str, causes: Causes) -> None:
    if node.pattern is not None and node.pattern.search(value) is None:
        why = f"{path} in body should match '{node.pattern.pattern}'"
        causes.append(status.bad_value(path, value, why))
    if node.format and not is_format(node.format, value):
        why = f'Invalid value: "{value}": {path} in body must be of type {node.format}: "{value}"'
        causes.append(status.Cause("FieldValueTypeInvalid", why, path))


_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def is_format(name: str, value: str) -> bool:
    """Check a string format; formats not known here are taken as they come, as the real server does."""
    if name == "date-time":
        if _DATE_TIME.fullmatch(value) is None:
            return False
        try:
            datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", value).upper())
        except ValueError:
            return False
        return True
    if name == "date":
        try:
            datetime.date.fromisoformat(value)
        except ValueError:
            return False
        return len(value) == 10
    return True


def _check_bounds(bounds: Bounds, value: Any, path: str, causes: Causes) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        low, high = bounds.minimum, bounds.maximum
        if low is not None and (value < low or (bounds.exclusive_minimum and value == low)):
            than = "greater than" if bounds.exclusive_minimum else "greater than or equal to"
            causes.append(status.bad_value(path, value, f"{path} in body should be {than} {low:g}"))
        if high is not None and (value > high or (bounds.exclusive_maximum and value == high)):
            than = "less than" if bounds.exclusive_maximum else "less than or equal to"
            causes.append(status.bad_value(path, value, f"{path} in body should be {than} {high:g}"))
        return
    least, most, unit = _length_bounds(bounds, value)
    if least is not None and len(value) < least:
        causes.append(status.bad_value(path, value, f"{path} in body should {unit.format('at least', least)}"))
    if most is not None and len(value) > most:
        causes.append(status.Cause("FieldValueTooLong", f"Too long: may not be {unit.format('more than', most)}", path))


def _length_bounds(bounds: Bounds, value: Any) -> tuple[int | None, int | None, str]:
    if isinstance(value, str):
        return bounds.min_length, bounds.max_length, "be {} {} chars long"
    if isinstance(value, list):
        return bounds.min_items, bounds.max_items, "have {} {} items"
    return bounds.min_properties, bounds.max_properties, "have {} {} properties"


def _check_logic(node: Node, value: Any, path: str, causes: Causes) -> None:
    if node.any_of and all(check(one, value, path) for one in node.any_of):
        causes.append(_logic(path, "must validate at least one schema (anyOf)"))
        for one in node.any_of:
            causes.extend(cause for cause in check(one, value, path) if cause.field == NOWHERE)
    if node.one_of and sum(not check(one, value, path) for one in node.one_of) != 1:
        causes.append(_logic(path, "must validate one and only one schema (oneOf)"))
    if any(check(one, value, path) for one in node.all_of):
        causes.append(_logic(path, "must validate all the schemas (allOf)"))
    if node.none_of is not None and not check(node.none_of, value, path):
        causes.append(_logic(path, "must not validate the schema (not)"))


def _logic(path: str, why: str) -> status.Cause:
    return status.Cause("FieldValueInvalid", f'Invalid value: "": "{path}" {why}', NOWHERE)
