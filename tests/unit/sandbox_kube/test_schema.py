"""Structural schemas: pruning, defaults, checks."""

from typing import Any

import pytest

from prow_async.sandbox.kube import schema, validation

TEXT = {"type": "string"}


def pruned(source: dict[str, Any], value: Any) -> tuple[Any, list[str]]:
    dropped: list[str] = []
    schema.prune(schema.compile_schema(source), value, "", dropped)
    return value, dropped


def reasons(source: dict[str, Any], value: Any) -> list[tuple[str, str]]:
    found = validation.check(schema.compile_schema(source), value, "f")
    return [(cause.field, cause.reason) for cause in found]


def test_pruning_drops_what_no_schema_names() -> None:
    """Unknown fields go, at any depth; their paths are told; preserved objects keep theirs."""
    source = {
        "type": "object",
        "properties": {
            "a": TEXT,
            "list": {"type": "array", "items": {"type": "object", "properties": {"x": TEXT}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": TEXT}}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"o": TEXT}},
        },
    }
    value = {
        "a": "1",
        "b": 2,
        "list": [{"x": "1", "y": 1}],
        "map": {"k": {"y": 1}},
        "open": {"any": {"thing": None}, "o": None},
    }
    kept, dropped = pruned(source, value)
    assert kept == {"a": "1", "list": [{"x": "1"}], "map": {"k": {}}, "open": {"any": {"thing": None}}}
    assert dropped == ["b", "list[0].y", "map.k.y"]


def test_nulls() -> None:
    """Null goes where it may not stand, so that a default can take its place, and stays where it may."""
    source = {
        "type": "object",
        "properties": {"a": TEXT | {"default": "d"}, "b": TEXT | {"nullable": True}, "c": TEXT},
    }
    value, _ = pruned(source, {"a": None, "b": None, "c": None})
    schema.fill(schema.compile_schema(source), value)
    assert value == {"a": "d", "b": None}


def test_defaults() -> None:
    """Defaults fill what is missing, also inside defaults, list items and map values, and are never shared."""
    inner = {"type": "object", "properties": {"x": TEXT | {"default": "1"}}}
    source = {
        "type": "object",
        "properties": {
            "o": inner | {"default": {}},
            "plain": inner,
            "list": {"type": "array", "items": inner},
            "map": {"type": "object", "additionalProperties": inner},
            "l": {"type": "array", "items": TEXT, "default": []},
        },
    }
    node = schema.compile_schema(source)
    value: dict[str, Any] = {"list": [{}], "map": {"k": {}}}
    schema.fill(node, value)
    assert value == {"list": [{"x": "1"}], "map": {"k": {"x": "1"}}, "o": {"x": "1"}, "l": []}
    value["l"].append("changed")
    other: dict[str, Any] = {}
    schema.fill(node, other)
    assert other["l"] == []


CHECKS: list[tuple[dict[str, Any], Any, list[tuple[str, str]]]] = [
    (TEXT, "x", []),
    (TEXT, 1, [("f", "FieldValueTypeInvalid")]),
    ({"type": "integer"}, 1, []),
    ({"type": "integer"}, 1.0, []),
    ({"type": "integer"}, 1.5, [("f", "FieldValueTypeInvalid")]),
    ({"type": "integer"}, True, [("f", "FieldValueTypeInvalid")]),
    ({"type": "number"}, 1, []),
    ({"type": "boolean"}, 0, [("f", "FieldValueTypeInvalid")]),
    ({"type": "object"}, [], [("f", "FieldValueTypeInvalid")]),
    ({"type": "array", "items": TEXT}, ["a", None], [("f[1]", "FieldValueTypeInvalid")]),
    (TEXT, None, [("f", "FieldValueTypeInvalid")]),
    (TEXT | {"nullable": True}, None, []),
    ({"x-kubernetes-int-or-string": True}, "5", []),
    ({"x-kubernetes-int-or-string": True}, 5.5, [("f", "FieldValueTypeInvalid")]),
    (TEXT | {"enum": ["a"]}, "b", [("f", "FieldValueNotSupported")]),
    ({"type": "integer", "minimum": 0}, -1, [("f", "FieldValueInvalid")]),
    ({"type": "integer", "minimum": 0}, 0, []),
    ({"type": "integer", "minimum": 0, "exclusiveMinimum": True}, 0, [("f", "FieldValueInvalid")]),
    ({"type": "number", "maximum": 2}, 2.5, [("f", "FieldValueInvalid")]),
    (TEXT | {"minLength": 2}, "a", [("f", "FieldValueInvalid")]),
    (TEXT | {"maxLength": 2}, "abc", [("f", "FieldValueTooLong")]),
    ({"type": "array", "maxItems": 1}, [1, 2], [("f", "FieldValueTooLong")]),
    (TEXT | {"pattern": "^a+$"}, "b", [("f", "FieldValueInvalid")]),
    (TEXT | {"format": "date-time"}, "2024-01-02T03:04:05Z", []),
    (TEXT | {"format": "date-time"}, "2024-01-02T03:04:05.123456+01:00", []),
    (TEXT | {"format": "date-time"}, "2024-13-02T03:04:05Z", [("f", "FieldValueTypeInvalid")]),
    (TEXT | {"format": "date-time"}, "yesterday", [("f", "FieldValueTypeInvalid")]),
    (TEXT | {"format": "something-new"}, "x", []),
    ({"type": "object", "required": ["a", "b"]}, {"a": 1}, [("f.b", "FieldValueRequired")]),
    ({"oneOf": [{"enum": [1]}, {"enum": [2]}]}, 1, []),
    ({"oneOf": [{"enum": [1]}, {"enum": [1, 2]}]}, 1, [("<nil>", "FieldValueInvalid")]),
    ({"allOf": [{"enum": [1]}, {"enum": [2]}]}, 1, [("<nil>", "FieldValueInvalid")]),
    ({"not": {"enum": [1]}}, 1, [("<nil>", "FieldValueInvalid")]),
]


@pytest.mark.parametrize(("source", "value", "expected"), CHECKS)
def test_checks(source: dict[str, Any], value: Any, expected: list[tuple[str, str]]) -> None:
    """Each keyword refuses what it should, under the field and the reason kube-apiserver gives."""
    assert reasons(source, value) == expected


@pytest.mark.parametrize(
    "source",
    [
        [],
        {"type": "text"},
        {"properties": []},
        {"type": "string", "pattern": "("},
        {"type": "integer", "minimum": "0"},
        {"anyOf": {}},
        {"properties": {"a": {"items": 3}}},
    ],
)
def test_schemas_that_cannot_be_used(source: Any) -> None:
    """A broken schema is refused when it is compiled."""
    with pytest.raises(schema.BadSchema):
        schema.compile_schema(source)
