"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902). Both change the document they are given."""

import copy
from typing import Any

Document = Any


class PatchError(Exception):
    """The patch does not apply: a test failed, a path leads nowhere, an operation is unknown."""


def merge(target: Document, patch: Document) -> Document:
    """Apply a merge patch and return the result; `target` must not be used afterwards."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = merge(target.get(key), value)
        else:
            target[key] = value
    return target


def apply(document: Document, operations: list[Any]) -> Document:
    """Apply JSON patch operations in order and return the result; `document` must not be used afterwards.

    Raises:
        PatchError: nothing of the patch counts then; the caller drops the document.
    """
    holder = {"": document}
    for operation in operations:
        if not isinstance(operation, dict):
            raise PatchError("an operation is no object")
        _one(holder, operation)
    return holder.get("")


def _one(holder: dict[str, Any], operation: dict[str, Any]) -> None:
    verb = operation.get("op")
    path = _pointer(operation.get("path"))
    if verb in {"add", "replace", "test"} and "value" not in operation:
        raise PatchError(f"operation {verb} lacks its value")
    if verb == "add":
        _add(holder, path, operation["value"])
    elif verb == "remove":
        _remove(holder, path)
    elif verb == "replace":
        _replace(holder, path, operation["value"])
    elif verb == "test":
        if not _same(_get(holder, path), operation["value"]):
            raise PatchError(f"test of {operation['path']} failed")
    elif verb == "move":
        source = _pointer(operation.get("from"))
        if path[: len(source)] == source and path != source:
            raise PatchError("a value cannot move into itself")
        _add(holder, path, _remove(holder, source))
    elif verb == "copy":
        _add(holder, path, copy.deepcopy(_get(holder, _pointer(operation.get("from")))))
    else:
        raise PatchError(f"unknown operation {verb!r}")


def _pointer(text: Any) -> list[str]:
    """Split a JSON pointer (RFC 6901) into tokens; the first one is the holder's own empty key."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"no JSON pointer: {text!r}")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")]


def _index(items: list[Any], step: str, end: int) -> int:
    if not (step.isascii() and step.isdigit()) or (step[0] == "0" and step != "0") or len(step) > 9:
        raise PatchError(f"no list index: {step!r}")
    index = int(step)
    if index >= end:
        raise PatchError(f"list index {index} is out of range")
    return index


def _step(node: Any, step: str) -> Any:
    if isinstance(node, dict) and step in node:
        return node[step]
    if isinstance(node, list):
        return node[_index(node, step, len(node))]
    raise PatchError(f"nothing at {step!r}")


def _get(node: Any, path: list[str]) -> Any:
    for step in path:
        node = _step(node, step)
    return node


def _add(holder: dict[str, Any], path: list[str], value: Any) -> None:
    parent = _get(holder, path[:-1])
    last = path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, last, len(parent) + 1), value)
    else:
        raise PatchError(f"nothing can be added at {last!r}")


def _remove(holder: dict[str, Any], path: list[str]) -> Any:
    parent = _get(holder, path[:-1])
    _step(parent, path[-1])
    return parent.pop(path[-1]) if isinstance(parent, dict) else parent.pop(int(path[-1]))


def _replace(holder: dict[str, Any], path: list[str], value: Any) -> None:
    """Replace; a missing member of an object is added, as kube-apiserver does (RFC 6902 would refuse)."""
    parent = _get(holder, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        _step(parent, path[-1])
        parent[int(path[-1])] = value


def _same(left: Any, right: Any) -> bool:
    """Compare as JSON: unlike Python, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
