"""Garbage collection: what happens to objects whose owners go, at once after the write that calls for it.

Background: dependents without any other owner are deleted after their owner. Foreground: the owner stays until the
dependents that block it are gone. Orphan: dependents lose the reference and stay. An owner of a kind that is not served
here is taken to exist.

Source: Kubernetes, "Garbage Collection", "Use Cascading Deletion in a Cluster".
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from prow_async.sandbox.kube import exchange, resources, store, writes

Json = dict[str, Any]
_Place = tuple[str, str]
"""A table's name and a key in it."""


class Collector:
    """Watches one store for owners and dependents."""

    def __init__(self, objects: store.Store, writer: writes.Writer) -> None:
        self._store = objects
        self._writer = writer
        self._dependents: dict[str, dict[_Place, None]] = {}
        self._waiting: dict[str, _Place] = {}
        """UIDs of objects that wait for us, and where they stand."""
        self._checks: deque[_Place] = deque()
        self._due: dict[str, None] = {}
        """Those of the waiting that something has happened to."""
        self._kinds: dict[tuple[str, str], resources.Resource] = {}
        self._stored: dict[str, resources.Resource] = {}
        objects.observers.append(self._note)

    def serve(self, served: Iterable[resources.Resource]) -> None:
        """Learn which kinds there are."""
        self._kinds = {(one.api_version, one.kind): one.base for one in served}
        self._stored = {f"{one.base.plural}.{one.base.group}": one.base for one in served}

    def _note(self, table: store.Table, event: store.Event) -> None:
        old, new = event.old, event.new
        if event.type == "DELETED":
            if new.uid in self._dependents or old is None or old.owners or old.waits:
                self._note_gone(table, new)
            return
        if new.owners != (old.owners if old else ()):
            self._note_owners(table, old, new)
        if new.waits:
            self._waiting[new.uid] = (_name(table), new.key)
            self._due[new.uid] = None

    def restore(self, table: store.Table, entry: store.Entry) -> None:
        """Learn of an object that stood when the store was last used."""
        if entry.owners:
            self._note_owners(table, None, entry)
        if entry.waits:
            self._waiting[entry.uid] = (_name(table), entry.key)
            self._due[entry.uid] = None

    def _note_gone(self, table: store.Table, gone: store.Entry) -> None:
        place = (_name(table), gone.key)
        self._waiting.pop(gone.uid, None)
        self._checks.extend(self._dependents.get(gone.uid, ()))
        for owner in gone.owners:
            self._forget(owner, place)

    def _note_owners(self, table: store.Table, old: store.Entry | None, new: store.Entry) -> None:
        place = (_name(table), new.key)
        for owner in old.owners if old else ():
            if owner not in new.owners:
                self._forget(owner, place)
        for owner in new.owners:
            self._dependents.setdefault(owner, {})[place] = None
        if new.owners:
            self._checks.append(place)

    def _forget(self, owner: str, place: _Place) -> None:
        left = self._dependents.get(owner)
        if left is not None:
            left.pop(place, None)
            if not left:
                del self._dependents[owner]
        if owner in self._waiting:
            self._due[owner] = None

    def settle(self, now_s: float) -> None:
        """Do what the writes since the last time call for."""
        while self._checks or self._due:
            while self._checks:
                self._check(self._checks.popleft(), now_s)
            if self._due:
                uid = next(iter(self._due))
                del self._due[uid]
                self._finish(uid)

    def _find(self, place: _Place) -> tuple[resources.Resource, store.Entry] | None:
        resource = self._stored.get(place[0])
        entry = None if resource is None else self._writer.table(resource).entries.get(place[1])
        return None if resource is None or entry is None else (resource, entry)

    def _check(self, place: _Place, now_s: float) -> None:
        """Delete a dependent that has no owner left, or take the references to those that are gone."""
        found = self._find(place)
        if found is None:
            return
        resource, entry = found
        content = store.decode(entry.raw)
        meta = content["metadata"]
        references = meta.get("ownerReferences", [])
        states = {one["uid"]: self._state(entry, one) for one in references}
        gone = {uid for uid, state in states.items() if state == "gone"}
        if "stands" in states.values():
            going = {uid for uid, state in states.items() if state != "stands"}
            if going:
                self._drop_references(resource, content, going)
            return
        if not references or "deletionTimestamp" in meta:
            return
        # Dependents that are going already are not waited for: owners in a circle would wait for each other for ever.
        waits = any(not self._is_going(one) for one in self._dependents.get(entry.uid, ()))
        policy = "Foreground" if len(gone) < len(states) and waits else None
        self._writer.delete(resource, entry, exchange.DeleteOptions(propagation_policy=policy), now_s)

    def _state(self, entry: store.Entry, reference: Json) -> str:
        """Say of an owner that it stands, is gone, or is going and waits for its dependents."""
        kind = self._kinds.get((reference["apiVersion"], reference["kind"]))
        if kind is None or (kind.namespaced and not entry.namespace):
            return "stands"
        namespace = entry.namespace if kind.namespaced else ""
        owner = self._writer.table(kind).entries.get(f"{namespace}/{reference['name']}")
        if owner is None or owner.uid != reference["uid"]:
            return "gone"
        return "goes" if owner.waits == store.FOREGROUND else "stands"

    def _drop_references(self, resource: resources.Resource, content: Json, gone: set[str]) -> None:
        meta = content["metadata"]
        kept = [one for one in meta["ownerReferences"] if one["uid"] not in gone]
        if kept:
            meta["ownerReferences"] = kept
        else:
            del meta["ownerReferences"]
        self._writer.rewrite(resource, content)

    def _finish(self, uid: str) -> None:
        """Let a waiting object go if nothing keeps it; else see to its dependents."""
        found = self._find(self._waiting[uid]) if uid in self._waiting else None
        if found is None or found[1].uid != uid or not found[1].waits:
            self._waiting.pop(uid, None)
            return
        resource, entry = found
        dependents = list(self._dependents.get(uid, ()))
        if entry.waits == store.ORPHAN:
            for place in dependents:
                if (one := self._find(place)) is not None:
                    self._drop_references(one[0], store.decode(one[1].raw), {uid})
        elif any(self._blocks(uid, place) for place in dependents):
            self._checks.extend(place for place in dependents if not self._is_going(place))
            return
        content = store.decode(entry.raw)
        meta = content["metadata"]
        meta["finalizers"] = [one for one in meta["finalizers"] if one != entry.waits]
        if not meta["finalizers"]:
            del meta["finalizers"]
        self._waiting.pop(uid, None)
        self._writer.rewrite(resource, content)

    def _blocks(self, uid: str, place: _Place) -> bool:
        found = self._find(place)
        if found is None:
            return False
        references = store.decode(found[1].raw)["metadata"].get("ownerReferences", ())
        return any(one["uid"] == uid and one.get("blockOwnerDeletion") is True for one in references)

    def _is_going(self, place: _Place) -> bool:
        found = self._find(place)
        return found is None or "deletionTimestamp" in store.decode(found[1].raw)["metadata"]


def _name(table: store.Table) -> str:
    return f"{table.plural}.{table.group}"
