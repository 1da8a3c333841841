"""Namespaces: those there from the start, what may be made in them, and how they go."""

from typing import Any

from prow_async.sandbox.kube import exchange, metadata, resources, status, store, writes

Json = dict[str, Any]
PLURAL = "namespaces"
FIRST = ("default", "kube-node-lease", "kube-public", "kube-system")
_KEPT = frozenset({"default", "kube-public", "kube-system"})
_RESOURCE = next(one for one in resources.built_in() if one.plural == PLURAL)
_AT_ONCE = exchange.DeleteOptions(grace_period_seconds=0)


class Namespaces:
    """Watches over one store's namespaces. There is no controller beside: what one would do later is done at once."""

    def __init__(self, objects: store.Store, writer: writes.Writer) -> None:
        self._store = objects
        self._writer = writer
        self._table = objects.table(PLURAL, "")
        self._ending: set[str] = set()

    def begin(self, now_s: float) -> None:
        """Make the namespaces every cluster has."""
        for name in FIRST:
            if f"/{name}" not in self._table.entries:
                self._writer.create(_RESOURCE, "", {"metadata": {"name": name}}, writes.Call(now_s))

    def restore(self) -> None:
        """Learn of the namespaces that stood when the store was last used."""
        for entry in self._table.all():
            if entry.fields.get("status.phase") == "Terminating":
                self._ending.add(entry.name)

    def check_open(self, resource: resources.Resource, namespace: str, content: Json) -> None:
        """Check that a namespace takes new objects. Raises Refusal (404, 403)."""
        if not resource.namespaced:
            return
        if f"/{namespace}" not in self._table.entries:
            raise status.not_found(_RESOURCE, namespace)
        if namespace in self._ending:
            cause = status.Cause(
                "NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace"
            )
            meta = content.get("metadata")
            name = meta.get("name", "") if isinstance(meta, dict) else ""
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise status.forbidden(resource, str(name), why, [cause])

    def delete(
        self,
        resource: resources.Resource,
        entry: store.Entry,
        options: exchange.DeleteOptions,
        now_s: float,
        served: list[resources.Resource],
    ) -> Json:
        """Delete a namespace with all that is in it; it stays, terminating, while finalizers hold something in it."""
        if entry.name in _KEPT:
            raise status.forbidden(resource, entry.name, "this namespace may not be deleted")
        content = store.decode(entry.raw)
        if entry.name in self._ending:
            return content
        writes.check_preconditions(resource, content["metadata"], options.preconditions or {})
        content["metadata"]["deletionTimestamp"] = metadata.timestamp(now_s)
        content["status"]["phase"] = "Terminating"
        if options.is_dry_run:
            return content
        self._store.write(self._table, content, resource.fields(content), is_own=True)
        self._ending.add(entry.name)
        for one in served:
            for inside in list(self._store.table(one.plural, one.group).all(entry.name)) if one.namespaced else ():
                self._writer.delete(one, inside, _AT_ONCE, now_s)
        return content

    def settle(self) -> None:
        """Remove terminating namespaces that have become empty."""
        for name in sorted(self._ending):
            if any(next(table.all(name), None) for table in self._store.tables() if table is not self._table):
                continue
            self._ending.discard(name)
            content = store.decode(self._table.entries[f"/{name}"].raw)
            self._store.remove(self._table, content, {"status.phase": "Terminating"})
