"""Strategic merge patches: merge patches that know which lists are keyed, and take directives.

Directives read: `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/NAME`,
`$setElementOrder/NAME`. Every kind but custom ones takes such patches; kubectl sends them.

Source: Kubernetes, "Update API Objects in Place Using kubectl patch"; answers compared with kube-apiserver 1.34.
"""

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
    orders = {name.removeprefix(_ORDER): value for name, value in patch.items() if name.startswith(_ORDER)}
    for name, value in patch.items():
        if name.startswith(_DELETE_FROM):
            _delete_from(target, name.removeprefix(_DELETE_FROM), value)
        elif not name.startswith("$"):
            _field(layout.child(name), target, name, value)
    for name, order in orders.items():
        if isinstance(target.get(name), list) and isinstance(order, list):
            target[name] = _ordered(layout.child(name), target[name], order)
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
        return old + [one for one in dict.fromkeys(_scalars(patch)) if one not in there]
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
    return [one for index, one in enumerate(merged) if index not in gone]


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


def _ordered(layout: layouts.Layout, items: list[Any], order: list[Any]) -> list[Any]:
    """Put the listed items in the order asked for, into the places they hold now; all others stay where they are."""
    key = layout.rule.patch_key
    wanted = [_key(one, key) if key else one for one in order]
    ranks = {one: rank for rank, one in enumerate(wanted) if isinstance(one, str | int | float)}

    def rank_of(item: Any) -> int | None:
        known = _key(item, key) if key else item
        return ranks.get(known) if isinstance(known, str | int | float) else None

    places = [index for index, one in enumerate(items) if rank_of(one) is not None]
    listed = sorted((items[index] for index in places), key=lambda one: rank_of(one) or 0)
    merged = list(items)
    for index, one in zip(places, listed, strict=True):
        merged[index] = one
    return merged
