"""Structural schemas: compiled once from a definition's openAPIV3Schema; pruning and defaulting. Checking: validation.

Read: types, properties, additionalProperties, items, required, enum, bounds, lengths, pattern, format, nullable,
anyOf/oneOf/allOf/not, default, x-kubernetes-preserve-unknown-fields, x-kubernetes-int-or-string and
x-kubernetes-embedded-resource. Rules in CEL (x-kubernetes-validations) are carried but not evaluated.

Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

import copy
import re
from typing import Any, Literal

import msgspec

Json = dict[str, Any]


class BadSchema(Exception):
    """The schema cannot be used. Its text goes into a 422 answer for the definition."""


class Bounds(msgspec.Struct, frozen=True, rename="camel"):
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


NO_BOUNDS = Bounds()


class _Keywords(msgspec.Struct, rename="camel"):
    """One schema object as written, its lower ones not yet read."""

    type: Literal["", "object", "array", "string", "integer", "number", "boolean"] = ""
    nullable: bool = False
    properties: dict[str, Any] = {}
    additional_properties: Any = None
    items: Any = None
    required: list[str] = []
    enum: list[Any] | None = None
    pattern: str | None = None
    format: str = ""
    any_of: list[Any] = []
    one_of: list[Any] = []
    all_of: list[Any] = []
    none_of: Any = msgspec.field(default=None, name="not")
    default: Any = msgspec.UNSET
    preserve: bool = msgspec.field(default=False, name="x-kubernetes-preserve-unknown-fields")
    int_or_string: bool = msgspec.field(default=False, name="x-kubernetes-int-or-string")
    embedded: bool = msgspec.field(default=False, name="x-kubernetes-embedded-resource")
    list_type: Literal["", "atomic", "set", "map"] = msgspec.field(default="", name="x-kubernetes-list-type")
    list_keys: list[str] = msgspec.field(default=[], name="x-kubernetes-list-map-keys")
    map_type: Literal["", "atomic", "granular"] = msgspec.field(default="", name="x-kubernetes-map-type")


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
    int_or_string: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""


def compile_schema(source: Any, path: str = "openAPIV3Schema") -> Node:
    """Compile one schema object. Raises BadSchema, naming the place."""
    try:
        words = msgspec.convert(source, _Keywords)
        bounds = msgspec.convert(source, Bounds)
        pattern = re.compile(words.pattern) if words.pattern is not None else None
    except (msgspec.ValidationError, re.error) as error:
        raise BadSchema(f"{path}: {error}") from error
    node = Node(
        type=words.type,
        nullable=words.nullable,
        preserve=words.preserve or words.additional_properties is True,
        required=tuple(words.required),
        enum=None if words.enum is None else tuple(words.enum),
        pattern=pattern,
        format=words.format,
        bounds=None if bounds == NO_BOUNDS else bounds,
        default=words.default,
        int_or_string=words.int_or_string,
        list_type=words.list_type,
        list_keys=tuple(words.list_keys),
        map_type=words.map_type,
    )
    _parts(node, words, path)
    below = [*node.properties.values(), *(child for child in (node.additional, node.items) if child)]
    node.has_defaults = node.default is not msgspec.UNSET or any(child.has_defaults for child in below)
    return node


def _parts(node: Node, words: _Keywords, path: str) -> None:
    """Compile what stands below a schema."""
    node.properties = {
        name: compile_schema(below, f"{path}.properties[{name}]") for name, below in words.properties.items()
    }
    if words.additional_properties is not None and not isinstance(words.additional_properties, bool):
        node.additional = compile_schema(words.additional_properties, f"{path}.additionalProperties")
    if words.items is not None:
        node.items = compile_schema(words.items, f"{path}.items")
    node.any_of = _each(words.any_of, f"{path}.anyOf")
    node.one_of = _each(words.one_of, f"{path}.oneOf")
    node.all_of = _each(words.all_of, f"{path}.allOf")
    if words.none_of is not None:
        node.none_of = compile_schema(words.none_of, f"{path}.not")
    if words.embedded:
        for name in ("apiVersion", "kind"):
            node.properties.setdefault(name, Node(type="string"))
        node.properties.setdefault("metadata", Node(type="object", preserve=True))


def _each(listed: list[Any], path: str) -> tuple[Node, ...]:
    return tuple(compile_schema(one, f"{path}[{index}]") for index, one in enumerate(listed))


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
