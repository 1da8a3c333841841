"""Strategic merge patches: merge patches that know which lists are keyed, and take directives.

Directives read: `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/NAME`,
`$setElementOrder/NAME`. Every kind but custom ones takes such patches; kubectl sends them.

Source: Kubernetes, "Update API Objects in Place Using kubectl patch"; answers compared with kube-apiserver 1.34.
"""

from collections import deque
from typing import Any

from prow_async.sandbox.kube import layouts, patches

Json = dict[str, Any]

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply(layout: layouts.Layout, target: Any, patch: Json) -> Any:
    """Apply a patch to an object and return the result; `target` must not be used afterwards. Raises PatchError."""
    return _object(layout, target if isinstance(target, dict) else {}, patch)


def _object(layout: layouts.Layout, target: Json, patch: Json) -> Json:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {name: value for name, value in patch.items() if name != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        raise patches.PatchError(f"unknown directive $patch: {directive!r}")
    if _RETAIN in patch:
        kept = _texts(patch[_RETAIN], _RETAIN)
        target = {name: value for name, value in target.items() if name in kept}
    before = dict(target)
    orders = {name.removeprefix(_ORDER): value for name, value in patch.items() if name.startswith(_ORDER)}
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM):
            _delete_from(target, name.removeprefix(_DELETE_FROM), value)
        elif not name.startswith("$"):
            _field(layout.child(name), target, name, value)
    for name, order in orders.items():
        if isinstance(target.get(name), list) and isinstance(order, list):
            original = before.get(name)
            known = original if isinstance(original, list) else []
            target[name] = _arranged(layout.child(name).rule.patch_key, target[name], order, known)
    return target


def _field(layout: layouts.Layout, target: Json, name: str, value: Any) -> None:
    old = target.get(name)
    if value is None:
        target.pop(name, None)
    elif isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            target.pop(name, None)
        else:
            target[name] = _object(layout, old if isinstance(old, dict) else {}, value)
    elif isinstance(value, list):
        target[name] = _list(layout, old if isinstance(old, list) else [], value)
    else:
        target[name] = value


def _list(layout: layouts.Layout, old: list[Any], patch: list[Any]) -> list[Any]:
    rule = layout.rule
    if rule.patch_set:
        there = set(_scalars(old))
        joined = old + [one for one in dict.fromkeys(_scalars(patch)) if one not in there]
        return _arranged("", joined, patch, old)
    if not rule.patch_key:
        return [_clean(one) for one in patch]
    if any(isinstance(one, dict) and one.get(_DIRECTIVE) == "replace" for one in patch):
        return [one for one in patch if not (isinstance(one, dict) and _DIRECTIVE in one)]
    merged = list(old)
    places = {_key(one, rule.patch_key): index for index, one in enumerate(merged)}
    gone: set[int] = set()
    for one in patch:
        if not isinstance(one, dict):
            raise patches.PatchError("an item of a keyed list is no object")
        key = _key(one, rule.patch_key)
        if key is None:
            raise patches.PatchError(f"an item lacks its merge key {rule.patch_key}")
        index = places.get(key)
        if one.get(_DIRECTIVE) == "delete":
            if index is not None:
                gone.add(index)
        elif index is None:
            places[key] = len(merged)
            merged.append(_object(layout.item(), {}, one))
        else:
            merged[index] = _object(layout.item(), merged[index], one)
    left = [one for index, one in enumerate(merged) if index not in gone]
    return _arranged(rule.patch_key, left, patch, old)


def _key(item: Any, key: str) -> Any:
    """Return the text, number or truth an item is known by; None when it has none."""
    value = item.get(key) if isinstance(item, dict) else None
    return value if isinstance(value, str | int | float) else None


def _clean(value: Any) -> Any:
    """Drop nulls and directives from what replaces a list."""
    if isinstance(value, dict):
        return {name: _clean(one) for name, one in value.items() if one is not None and not name.startswith("$")}
    return value


def _scalars(items: list[Any]) -> list[Any]:
    return [one for one in items if isinstance(one, str | int | float)]


def _texts(value: Any, name: str) -> set[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise patches.PatchError(f"{name} is no list of names")
    return set(value)


def _delete_from(target: Json, name: str, listed: Any) -> None:
    if not isinstance(listed, list):
        raise patches.PatchError(f"{_DELETE_FROM}{name} is no list")
    if isinstance(target.get(name), list):
        gone = set(_scalars(listed))
        target[name] = [one for one in target[name] if not isinstance(one, str | int | float) or one not in gone]


def _arranged(key: str, items: list[Any], order: list[Any], original: list[Any]) -> list[Any]:
    """Put items that `order` names in that order, and the others among them as the original list had them.

    A named item that is new comes before the first of the others that is not placed yet.
    """
    asked, were = _ranks(key, order), _ranks(key, original)
    named = [one for one in items if _known(key, one) in asked]
    named.sort(key=lambda one: asked[_known(key, one)])
    others = deque(one for one in items if _known(key, one) not in asked)
    arranged: list[Any] = []
    for one in named:
        rank = were.get(_known(key, one))
        while others and rank is not None and were.get(_known(key, others[0]), rank) < rank:
            arranged.append(others.popleft())
        arranged.append(one)
    return [*arranged, *others]


def _known(key: str, item: Any) -> Any:
    """Return what an item is known by, None when by nothing."""
    if key:
        return _key(item, key)
    return item if isinstance(item, str | int | float) else None


def _ranks(key: str, items: list[Any]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for rank, one in enumerate(items):
        known = _known(key, one)
        if known is not None:
            found.setdefault(known, rank)
    return found
