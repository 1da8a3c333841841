"""Structural schemas: compiled once from a definition's openAPIV3Schema; pruning and defaulting. Checking: validation.

Read: types, properties, additionalProperties, items, required, enum, bounds, lengths, pattern, format, nullable,
anyOf/oneOf/allOf/not, default, x-kubernetes-preserve-unknown-fields, x-kubernetes-int-or-string and
x-kubernetes-embedded-resource. Rules in CEL (x-kubernetes-validations) are carried but not evaluated.

Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

import copy
import re
from typing import Any

import msgspec

Json = dict[str, Any]


class BadSchema(Exception):
    """The schema cannot be used. Its text goes into a 422 answer for the definition."""


class Bounds(msgspec.Struct, frozen=True):
    """Numeric and length limits; None is no limit."""

    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool = False
    exclusive_maximum: bool = False
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    min_properties: int | None = None
    max_properties: int | None = None


class Node(msgspec.Struct):
    """One schema. `type` is empty where any value may stand (preserved unknown fields, parts of anyOf)."""

    type: str = ""
    nullable: bool = False
    preserve: bool = False
    properties: dict[str, "Node"] = {}
    additional: "Node | None" = None
    items: "Node | None" = None
    required: tuple[str, ...] = ()
    enum: tuple[Any, ...] | None = None
    pattern: re.Pattern[str] | None = None
    format: str = ""
    bounds: Bounds | None = None
    any_of: tuple["Node", ...] = ()
    one_of: tuple["Node", ...] = ()
    all_of: tuple["Node", ...] = ()
    none_of: "Node | None" = None
    default: Any = msgspec.UNSET
    has_defaults: bool = False
    """Whether this node or any below it has a default."""
    unsaid: bool = False
    """x-kubernetes-int-or-string: an integer or a string."""


_BOUNDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_items",
    "maxItems": "max_items",
    "minProperties": "min_properties",
    "maxProperties": "max_properties",
}
_TYPES = frozenset({"", "object", "array", "string", "integer", "number", "boolean"})


def compile_schema(source: Any, path: str = "openAPIV3Schema") -> Node:
    """Compile one schema object. Raises BadSchema, naming the place."""
    if not isinstance(source, dict):
        raise BadSchema(f"{path}: must be an object")
    kind = source.get("type", "")
    if kind not in _TYPES:
        raise BadSchema(f'{path}.type: Unsupported value: "{kind}"')
    node = Node(
        type=kind,
        nullable=bool(source.get("nullable")),
        preserve=bool(source.get("x-kubernetes-preserve-unknown-fields")),
        required=tuple(source.get("required", ())),
        enum=tuple(source["enum"]) if "enum" in source else None,
        format=source.get("format", ""),
        unsaid=bool(source.get("x-kubernetes-int-or-string")),
        default=source.get("default", msgspec.UNSET),
    )
    _parts(node, source, path)
    limits = {ours: source[theirs] for theirs, ours in _BOUNDS.items() if theirs in source}
    if limits:
        try:
            node.bounds = msgspec.convert(limits, Bounds)
        except msgspec.ValidationError as error:
            raise BadSchema(f"{path}: {error}") from error
    if "pattern" in source:
        try:
            node.pattern = re.compile(source["pattern"])
        except (re.error, TypeError) as error:
            raise BadSchema(f"{path}.pattern: Invalid value: {error}") from error
    below = [*node.properties.values(), *(child for child in (node.additional, node.items) if child)]
    node.has_defaults = node.default is not msgspec.UNSET or any(child.has_defaults for child in below)
    return node


def _parts(node: Node, source: Json, path: str) -> None:
    """Compile what stands below a schema."""
    properties = source.get("properties", {})
    if not isinstance(properties, dict):
        raise BadSchema(f"{path}.properties: must be an object")
    node.properties = {name: compile_schema(below, f"{path}.properties[{name}]") for name, below in properties.items()}
    additional = source.get("additionalProperties")
    if additional is True:
        node.preserve = True
    elif isinstance(additional, dict):
        node.additional = compile_schema(additional, f"{path}.additionalProperties")
    if "items" in source:
        node.items = compile_schema(source["items"], f"{path}.items")
    node.any_of = _each(source, "anyOf", path)
    node.one_of = _each(source, "oneOf", path)
    node.all_of = _each(source, "allOf", path)
    if "not" in source:
        node.none_of = compile_schema(source["not"], f"{path}.not")
    if source.get("x-kubernetes-embedded-resource"):
        for name in ("apiVersion", "kind"):
            node.properties.setdefault(name, Node(type="string"))
        node.properties.setdefault("metadata", Node(type="object", preserve=True))


def _each(source: Json, word: str, path: str) -> tuple[Node, ...]:
    listed = source.get(word, [])
    if not isinstance(listed, list):
        raise BadSchema(f"{path}.{word}: must be a list")
    return tuple(compile_schema(one, f"{path}.{word}[{index}]") for index, one in enumerate(listed))


def prune(node: Node, value: Any, path: str, dropped: list[str]) -> None:
    """Drop, in place, unknown fields (their paths go into `dropped`), and nulls where null may not stand."""
    if isinstance(value, dict):
        _prune_object(node, value, path, dropped)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            prune(node.items, item, f"{path}[{index}]", dropped)


def _prune_object(node: Node, value: Json, path: str, dropped: list[str]) -> None:
    for name in list(value):
        below = node.properties.get(name, node.additional)
        at = f"{path}.{name}" if path else name
        if below is None:
            if not node.preserve and node.type == "object":
                del value[name]
                dropped.append(at)
        elif value[name] is None:
            if not below.nullable and below.type:
                del value[name]
        else:
            prune(below, value[name], at, dropped)


def fill(node: Node, value: Any) -> None:
    """Put defaults where fields are missing, in place; a default's own fields get theirs too."""
    if not node.has_defaults:
        return
    if isinstance(value, dict):
        for name, below in node.properties.items():
            if name not in value and below.default is not msgspec.UNSET:
                value[name] = copy.deepcopy(below.default)
            if name in value:
                fill(below, value[name])
        if node.additional is not None:
            for name, item in value.items():
                if name not in node.properties:
                    fill(node.additional, item)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            fill(node.items, item)
