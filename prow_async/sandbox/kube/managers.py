"""Who manages which fields: metadata.managedFields, kept for objects that somebody has written under a name.

Unlike kube-apiserver, writers that name no fieldManager leave no entry on an object that has none: objects the engine
makes stay small. Such fields belong to `before-first-apply` once somebody applies.

Source: Kubernetes, "Server-Side Apply".
"""

from typing import Any

import msgspec

from prow_async.sandbox.kube import fieldsets, layouts, metadata, status

Json = dict[str, Any]
Tree = fieldsets.Tree

APPLY, UPDATE = "Apply", "Update"
BEFORE = "before-first-apply"
_MAX_UPDATERS = 10
"""Of more than so many updaters the oldest are joined into one, as kube-apiserver does."""
_JOINED = "ancient-changes"
_NEVER = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink")
_NEITHER = ("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName")


class Manager(msgspec.Struct, frozen=True):
    """One writer of an object."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def told(self) -> str:
        """Return how a conflict names it."""
        text = msgspec.json.encode(self.name).decode()
        if self.subresource:
            text += f" with subresource {msgspec.json.encode(self.subresource).decode()}"
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


class Managed:
    """The managers of one object, each with its fields and the time of its last change."""

    def __init__(self, meta: Json) -> None:
        self.sets: dict[Manager, Tree] = {}
        self._times: dict[Manager, str] = {}
        for entry in meta.get("managedFields") or ():
            who = Manager(
                entry.get("manager", ""),
                entry.get("operation", UPDATE),
                entry.get("apiVersion", ""),
                entry.get("subresource", ""),
            )
            self.sets[who] = entry.get("fieldsV1") or {}
            self._times[who] = entry.get("time", "")

    def put(self, who: Manager, tree: Tree, now_s: float) -> None:
        """Set what a manager has; without anything it is forgotten."""
        if not tree:
            self.sets.pop(who, None)
        elif self.sets.get(who) != tree:
            self.sets[who] = tree
            self._times[who] = metadata.timestamp(now_s)

    def take(self, tree: Tree, but: Manager, now_s: float) -> None:
        """Take fields from all managers but one."""
        for who, owned in list(self.sets.items()):
            if who != but:
                self.put(who, fieldsets.minus(owned, tree), now_s)

    def keep_existing(self, layout: layouts.Layout, content: Json, now_s: float) -> None:
        """Forget fields the object no longer has."""
        for who, owned in list(self.sets.items()):
            self.put(who, fieldsets.existing(layout, owned, content), now_s)

    def others(self, but: Manager) -> Tree:
        """Return what all managers but one have."""
        joined: Tree = {}
        for who, owned in self.sets.items():
            if who != but:
                joined = fieldsets.union(joined, owned)
        return joined

    def entries(self) -> list[Json]:
        """Return the metadata's form, appliers first."""
        self._join_old()
        found = []
        for who, owned in sorted(self.sets.items(), key=lambda one: (one[0].operation, self._times.get(one[0], ""))):
            entry = {
                "manager": who.name,
                "operation": who.operation,
                "apiVersion": who.api_version,
                "time": self._times.get(who, ""),
                "fieldsType": "FieldsV1",
                "fieldsV1": owned,
            }
            if who.subresource:
                entry["subresource"] = who.subresource
            found.append(entry)
        return found

    def _join_old(self) -> None:
        updaters = [who for who in self.sets if who.operation == UPDATE]
        updaters.sort(key=lambda who: self._times.get(who, ""))
        while len(updaters) > _MAX_UPDATERS:
            first, second, *rest = updaters
            joined = Manager(_JOINED, UPDATE, second.api_version, second.subresource)
            tree = fieldsets.union(self.sets.pop(first), self.sets.pop(second))
            self.sets[joined] = fieldsets.union(self.sets.get(joined, {}), tree)
            self._times[joined] = self._times.get(second, "")
            updaters = [joined, *(who for who in rest if who != joined)]


def read(raw: Any) -> list[Json] | None:
    """Check a metadata's managedFields. None says that they are to be forgotten. Raises Refusal (422)."""
    listed = raw if isinstance(raw, list) else [raw]
    if not listed or listed == [{}]:
        return None
    for index, entry in enumerate(listed):
        good = (
            isinstance(entry, dict)
            and entry.get("operation") in {APPLY, UPDATE}
            and all(isinstance(entry.get(key, ""), str) for key in ("manager", "apiVersion", "time", "subresource"))
            and fieldsets.check(entry.get("fieldsV1", {}))
        )
        if not good:
            field = f"metadata.managedFields[{index}]"
            cause = status.Cause("FieldValueInvalid", "Invalid value: no entry of managed fields", field)
            raise status.invalid("", "", "", [cause])
    return listed


def owned(layout: layouts.Layout, content: Json) -> Tree:
    """Return the set of what an object says, without what is nobody's."""
    return fieldsets.Sets().of(layout, _ownable(content))


def _ownable(content: Json) -> Json:
    meta = content.get("metadata") or {}
    kept = {name: value for name, value in meta.items() if name not in _NEVER and name not in _NEITHER}
    rest = {name: value for name, value in content.items() if name not in {"apiVersion", "kind", "metadata"}}
    return ({"metadata": kept} if kept else {}) | rest


def track(layout: layouts.Layout, old: Json | None, new: Json, who: Manager, now_s: float) -> None:
    """Write into a changed object's metadata who changed what. `old` is None for a new object."""
    meta = new["metadata"]
    managed = Managed(meta)
    if old is not None and not managed.sets:
        before = Manager(BEFORE, UPDATE, old["apiVersion"])
        managed.put(before, owned(layout, old), now_s)
    changed = fieldsets.Sets().changed(layout, {} if old is None else _ownable(old), _ownable(new)) or {}
    if changed:
        managed.take(changed, who, now_s)
        managed.put(who, fieldsets.union(managed.sets.get(who, {}), changed), now_s)
    managed.keep_existing(layout, new, now_s)
    meta["managedFields"] = managed.entries()
