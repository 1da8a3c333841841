"""Events go an hour after they were last written, as on kube-apiserver; looked at whenever a request comes."""

from collections import deque

from prow_async.sandbox.kube import resources, store, writes

TTL_S = 3600.0
_RESOURCE = next(one for one in resources.built_in() if one.kind == "Event" and one.of is None)


class Expiry:
    """Watches over one store's events."""

    def __init__(self, objects: store.Store, writer: writes.Writer) -> None:
        self._table = objects.table(_RESOURCE.plural, _RESOURCE.group)
        self._writer = writer
        self._now_s = 0.0
        self._due: deque[tuple[float, str, int]] = deque()
        """When, which key, and the version it then had: one written again since has a later entry."""
        objects.observers.append(self._note)

    def _note(self, table: store.Table, event: store.Event) -> None:
        if table is self._table and event.type != "DELETED":
            self._due.append((self._now_s + TTL_S, event.new.key, event.new.version))

    def restore(self, now_s: float) -> None:
        """Give all events that stand a whole life from now on."""
        self._due.extend((now_s + TTL_S, entry.key, entry.version) for entry in self._table.all())

    def settle(self, now_s: float) -> None:
        """Delete what is due."""
        self._now_s = now_s
        while self._due and self._due[0][0] <= now_s:
            _, key, version = self._due.popleft()
            entry = self._table.entries.get(key)
            if entry is not None and entry.version == version:
                self._writer.expire(_RESOURCE, entry)
