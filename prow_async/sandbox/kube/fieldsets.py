"""Sets of fields, as managedFields writes them (FieldsV1), and what they say of a value.

A set is the tree that stands in fieldsV1: `f:NAME` is a field, `k:{...}` an item of a keyed list, `v:VALUE` one of a
set; `{}` below it, or a `.` in it, says that the place itself is in the set.

Source: Kubernetes, "Server-Side Apply"; sigs.k8s.io/structured-merge-diff's serialization of sets.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from prow_async.sandbox.kube import layouts, status

Json = dict[str, Any]
Tree = dict[str, Any]
SELF = "."
_MAX_PLACES = 200_000
"""Bounds what one object may cost: each place is some hundred bytes for each manager."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Sets:
    """Builds sets of one object's fields, as many places as are allowed. Raises Refusal (413) beyond."""

    def __init__(self) -> None:
        self._left = _MAX_PLACES

    def of(self, layout: layouts.Layout, value: Any) -> Tree:
        """Return the set of what a value says: its leaves, items of keyed lists, and keys of free maps."""
        self._left -= 1
        if self._left < 0:
            raise status.Refusal(413, "RequestEntityTooLarge", f"more than {_MAX_PLACES} fields have managers")
        if isinstance(value, dict) and value and not layout.is_atomic:
            found: Tree = {}
            for name, one in value.items():
                below = self.of(layout.child(name), one)
                if below and not layout.is_struct and not isinstance(one, list):
                    below[SELF] = {}
                found[f"f:{name}"] = below
            return found
        if isinstance(value, list) and value and layout.rule.keys:
            return {key: self._item(layout.item(), one) for key, one in items(layout, value).items()}
        return {}

    def _item(self, layout: layouts.Layout, value: Any) -> Tree:
        below = self.of(layout, value)
        if below:
            below[SELF] = {}
        return below

    def changed(self, layout: layouts.Layout, old: Any, new: Any) -> Tree | None:
        """Return the set of what is new or other in `new`; None when nothing is."""
        if isinstance(old, dict) and isinstance(new, dict) and not layout.is_atomic:
            parts = {
                f"f:{name}": self.changed(layout.child(name), old[name], one)
                if name in old
                else self._added(layout, name, one)
                for name, one in new.items()
            }
        elif isinstance(old, list) and isinstance(new, list) and layout.rule.keys:
            olds = items(layout, old)
            parts = {
                key: self.changed(layout.item(), olds[key], one) if key in olds else self._item(layout.item(), one)
                for key, one in items(layout, new).items()
            }
        else:
            return None if old == new else self.of(layout, new)
        found = {key: below for key, below in parts.items() if below is not None}
        return found or None

    def _added(self, layout: layouts.Layout, name: str, value: Any) -> Tree:
        below = self.of(layout.child(name), value)
        if below and not layout.child(name).is_struct:
            below[SELF] = {}
        return below


def items(layout: layouts.Layout, values: list[Any]) -> dict[str, Any]:
    """Return a keyed list's or a set's items by what they are called in a set; of equal ones the first counts."""
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(item_key(layout, value), value)
    return found


def item_key(layout: layouts.Layout, value: Any) -> str:
    keys = layout.rule.keys
    if keys == layouts.SET:
        return f"v:{_encode(value).decode()}"
    named = {key: value[key] for key in keys if key in value} if isinstance(value, dict) else {}
    if "protocol" in keys:
        named.setdefault("protocol", "TCP")
    return f"k:{_encode(named).decode()}"


def is_member(tree: Tree) -> bool:
    """Tell whether the place a tree stands for is itself in the set."""
    return not tree or SELF in tree


def union(left: Tree, right: Tree) -> Tree:
    """Return what is in either."""
    merged = dict(left)
    for key, below in right.items():
        merged[key] = _joined(merged[key], below) if key in merged else below
    return merged


def _joined(left: Tree, right: Tree) -> Tree:
    both = union(left, right)
    if both and (is_member(left) or is_member(right)):
        both[SELF] = {}
    return both


def minus(left: Tree, right: Tree) -> Tree:
    """Return what is in the left one only."""
    found: Tree = {}
    for key, below in left.items():
        if key == SELF:
            if SELF not in right:
                found[SELF] = {}
        elif key not in right:
            found[key] = below
        elif (kept := _less(below, right[key])) is not None:
            found[key] = kept
    return found


def _less(left: Tree, right: Tree) -> Tree | None:
    stays = is_member(left) and not is_member(right)
    rest = minus({key: below for key, below in left.items() if key != SELF}, right)
    if rest and stays:
        rest[SELF] = {}
    return rest if rest or stays else None


def with_parents(tree: Tree) -> Tree:
    """Return a set with all that its places stand in, and the keys of the items they stand in."""
    found = {key: with_parents(below) for key, below in tree.items() if key != SELF}
    if found:
        found[SELF] = {}
    for key, below in found.items():
        if key.startswith("k:") and below:
            for name in msgspec.json.decode(key[2:]):
                below.setdefault(f"f:{name}", {})
    return found


def common(left: Tree, right: Tree) -> Tree:
    """Return what is in both."""
    found: Tree = {}
    for key, below in left.items():
        if key == SELF or key not in right:
            continue
        other = right[key]
        both = common(below, other)
        if is_member(below) and is_member(other):
            found[key] = both | {SELF: {}} if both else {}
        elif both:
            found[key] = both
    return found


def existing(layout: layouts.Layout, tree: Tree, value: Any) -> Tree:
    """Return those places of a set that a value still has."""
    found: Tree = {}
    keyed = items(layout, value) if isinstance(value, list) and layout.rule.keys else {}
    for key, below in tree.items():
        if key == SELF:
            found[SELF] = {}
            continue
        if key.startswith("f:"):
            name = key[2:]
            if not isinstance(value, dict) or name not in value:
                continue
            kept = existing(layout.child(name), below, value[name])
        elif key in keyed:
            kept = existing(layout.item(), below, keyed[key])
        else:
            continue
        if kept or is_member(below):
            found[key] = kept
    return found


def paths(tree: Tree, prefix: str = "") -> Iterator[str]:
    """Yield the places of a set as conflicts name them."""
    for key, below in tree.items():
        if key == SELF:
            continue
        at = prefix + _shown(key)
        if is_member(below):
            yield at
        yield from paths(below, at)


def _shown(key: str) -> str:
    form, text = key[:2], key[2:]
    if form == "f:":
        return f".{text}"
    if form == "v:":
        return f"[={text}]"
    named = msgspec.json.decode(text)
    return "[" + ",".join(f"{name}={_encode(value).decode()}" for name, value in named.items()) + "]"


def check(tree: Any, depth: int = 0) -> bool:
    """Tell whether something read is a set's tree."""
    if not isinstance(tree, dict) or depth > 500:
        return False
    return all(
        (key == SELF and below == {})
        or (key[:2] in {"f:", "i:"} and check(below, depth + 1))
        or (key[:2] in {"k:", "v:"} and _is_json(key[2:]) and check(below, depth + 1))
        for key, below in tree.items()
    )


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
