"""Server-side apply: merging what one manager wants into an object, and saying where others disagree.

Source: Kubernetes, "Server-Side Apply"; answers compared with kube-apiserver 1.34.
"""

from typing import Any

import msgspec

from prow_async.sandbox.kube import fieldsets, layouts, managers, status

Json = dict[str, Any]
Tree = fieldsets.Tree

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"


def apply(
    layout: layouts.Layout, live: Json | None, wanted: Json, who: managers.Manager, force: bool, now_s: float
) -> Json:
    """Return the object as the applier wants it, its managedFields among the metadata.

    Args:
        live: as it stands, None for an object that is not there yet.
        force: take over what others manage instead of refusing.

    Raises:
        Refusal: 409 with all conflicts.
    """
    tree = managers.owned(layout, wanted)
    if live is None:
        managed = managers.Managed({})
        merged = wanted
    else:
        managed = managers.Managed(live["metadata"])
        if not managed.sets:
            before = managers.Manager(managers.BEFORE, managers.UPDATE, live["apiVersion"])
            managed.put(before, managers.owned(layout, live), now_s)
        merged = _merge(layout, live, wanted)
        changed = fieldsets.Sets().changed(layout, live, merged) or {}
        conflicts = _conflicts(managed, fieldsets.common(tree, changed), who, live)
        if conflicts and not force:
            raise _refusal(conflicts)
        managed.take(changed, who, now_s)
        kept = fieldsets.with_parents(fieldsets.union(managed.others(who), tree))
        dropped = fieldsets.minus(managed.sets.get(who, {}), kept)
        merged = _without(layout, merged, dropped)
    managed.put(who, tree, now_s)
    managed.keep_existing(layout, merged, now_s)
    meta = dict(merged.get("metadata") or {})
    meta["managedFields"] = managed.entries()
    return merged | {"metadata": meta}


def _conflicts(managed: managers.Managed, changed: Tree, who: managers.Manager, live: Json) -> list[tuple[str, str]]:
    """Return manager and path of each field that somebody else manages and that would change."""
    if who.name == _KUBECTL:
        # What kubectl once applied by itself is its own, as kube-apiserver sees it too.
        changed = fieldsets.minus(changed, _last_applied(live))
    found: list[tuple[str, str]] = []
    for other, owned in managed.sets.items():
        if other != who:
            both = fieldsets.common(owned, changed)
            found.extend((other.told(), path) for path in fieldsets.paths(both))
    return found


def _last_applied(live: Json) -> Tree:
    text = live["metadata"].get("annotations", {}).get(LAST_APPLIED, "")
    try:
        content = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return managers.owned(layouts.ANY, content) if isinstance(content, dict) else {}


def _refusal(conflicts: list[tuple[str, str]]) -> status.Refusal:
    if len(conflicts) == 1:
        why = f"Apply failed with 1 conflict: conflict with {conflicts[0][0]}: {conflicts[0][1]}"
    else:
        listed: dict[str, list[str]] = {}
        for manager, path in conflicts:
            listed.setdefault(manager, []).append(path)
        lines = []
        for manager in sorted(listed):
            lines += [f"conflicts with {manager}:", *(f"- {path}" for path in listed[manager])]
        why = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
        for manager, path in conflicts
    ]
    return status.Refusal(409, "Conflict", why, {"causes": causes})


def _merge(layout: layouts.Layout, live: Any, wanted: Any) -> Any:
    if isinstance(live, dict) and isinstance(wanted, dict) and not layout.is_atomic:
        merged = dict(live)
        for name, value in wanted.items():
            merged[name] = _merge(layout.child(name), live[name], value) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(wanted, list) and layout.rule.keys:
        olds, news = fieldsets.items(layout, live), fieldsets.items(layout, wanted)
        kept = [_merge(layout.item(), one, news[key]) if key in news else one for key, one in olds.items()]
        return [*kept, *(one for key, one in news.items() if key not in olds)]
    return wanted


def _without(layout: layouts.Layout, value: Any, gone: Tree) -> Any:
    """Take places out of a value; what is left empty by that goes too."""
    if isinstance(value, dict):
        kept: Json = {}
        for name, one in value.items():
            tree = gone.get(f"f:{name}")
            if tree is None:
                kept[name] = one
            elif tree and (left := _without(layout.child(name), one, tree)):
                kept[name] = left
        return kept
    if isinstance(value, list) and layout.rule.keys:
        left = []
        for one in value:
            tree = gone.get(fieldsets.item_key(layout, one))
            if tree is None:
                left.append(one)
            elif tree and fieldsets.SELF not in tree:
                left.append(_without(layout.item(), one, tree))
        return left
    return value
