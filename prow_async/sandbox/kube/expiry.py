"""Events go an hour after they were last written, as on kube-apiserver; looked at whenever a request comes."""

from prow_async.sandbox.kube import resources, store, writes

TTL_S = 3600.0
_RESOURCE = next(one for one in resources.built_in() if one.kind == "Event" and one.of is None)


class Expiry:
    """Watches over one store's events."""

    def __init__(self, objects: store.Store, writer: writes.Writer) -> None:
        self._table = objects.table(_RESOURCE.plural, _RESOURCE.group)
        self._writer = writer
        self._now_s = 0.0
        self._due: dict[str, float] = {}
        """When each goes, by its key, the first to go first."""
        objects.observers.append(self._note)

    def _note(self, table: store.Table, event: store.Event) -> None:
        if table is self._table:
            self._due.pop(event.new.key, None)
            if event.type != "DELETED":
                self._due[event.new.key] = self._now_s + TTL_S

    def restore(self, now_s: float) -> None:
        """Give all events that stand a whole life from now on."""
        self._due = {entry.key: now_s + TTL_S for entry in self._table.all()}

    def settle(self, now_s: float) -> None:
        """Delete what is due."""
        self._now_s = now_s
        while self._due:
            key, due_s = next(iter(self._due.items()))
            if due_s > now_s:
                return
            self._writer.expire(_RESOURCE, self._table.entries[key])
