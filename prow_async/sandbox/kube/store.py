"""The objects, one row of changing versions, and a bounded memory of what changed.

An object is encoded once, when it is written; lists and watches share these bytes.
"""

import bisect
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import msgspec

Json = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Json).decode


class Entry(msgspec.Struct, frozen=True):
    """One stored state of one object; `raw` is its JSON."""

    namespace: str
    name: str
    uid: str
    version: int
    labels: dict[str, str]
    fields: dict[str, str]
    """What field selectors may ask for."""
    raw: bytes
    owners: tuple[str, ...] = ()
    """UIDs of the owners it names."""
    waits: str = ""
    """The garbage collector's finalizer that keeps it while it is being deleted."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


Admits = Callable[[Entry], bool]


class Event(msgspec.Struct):
    """One change. A deletion's `new` is the last state under the version of the deletion."""

    type: EventType
    version: int
    old: Entry | None
    new: Entry
    _lines: dict[str, bytes] = {}

    def line(self, kind: EventType) -> bytes:
        """Return the watch line that tells `entry` as an event of this kind; encoded once for all watchers."""
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = watch_line(kind, self.seen(kind).raw)
        return line

    def seen(self, kind: EventType) -> Entry:
        """Return the state a watcher is told: an object that left a selection is told as it was."""
        if kind != "DELETED" or self.type == "DELETED" or self.old is None:
            return self.new
        return reversion(self.old, self.version)


def watch_line(kind: str, raw: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)


def reversion(entry: Entry, version: int) -> Entry:
    """Return the same state under another version."""
    content = decode(entry.raw)
    content["metadata"]["resourceVersion"] = str(version)
    return msgspec.structs.replace(entry, version=version, raw=encode(content))


class Watcher(Protocol):
    """Who is told of one table's changes."""

    def offer(self, event: Event) -> None: ...

    def close(self) -> None: ...


Observer = Callable[["Table", Event], None]
"""Who is told of every table's changes, before anybody else is."""

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
"""The garbage collector's finalizers."""

HISTORY_BYTES = 128 * 1024 * 1024
"""Bounds what the memory of one table's changes may hold, beside their number."""


class TooOld(Exception):
    """The memory does not reach back to `version`; its oldest is `floor`."""

    def __init__(self, version: int, floor: int) -> None:
        super().__init__(f"too old resource version: {version} ({floor})")
        self.version = version
        self.floor = floor


class Page(msgspec.Struct, frozen=True):
    """Part of a list. `next_start` is empty on the last page; `remaining` counts what follows, filtered or not."""

    entries: list[Entry]
    next_start: str
    remaining: int


class Table:
    """The objects of one resource, in the order of their keys `namespace/name`."""

    def __init__(self, plural: str, group: str, floor: int, history_limit: int) -> None:
        self.plural = plural
        self.group = group
        self.entries: dict[str, Entry] = {}
        self.watchers: dict[Watcher, None] = {}
        self._order: list[str] = []
        self._history: deque[Event] = deque()
        self._history_bytes = 0
        self._limit = history_limit
        self.floor = floor
        """Changes up to this version are forgotten."""

    def record(self, event: Event) -> None:
        """Take a change in and tell the watchers."""
        key = event.new.key
        if event.type == "DELETED":
            del self.entries[key]
            self._order.pop(bisect.bisect_left(self._order, key))
        else:
            if key not in self.entries:
                bisect.insort(self._order, key)
            self.entries[key] = event.new
        self._history.append(event)
        self._history_bytes += len(event.new.raw)
        while len(self._history) > self._limit or self._history_bytes > HISTORY_BYTES:
            oldest = self._history.popleft()
            self._history_bytes -= len(oldest.new.raw)
            self.floor = oldest.version
        for watcher in list(self.watchers):
            watcher.offer(event)

    def restore(self, entry: Entry) -> None:
        """Put in what stood before."""
        bisect.insort(self._order, entry.key)
        self.entries[entry.key] = entry

    def forget(self, version: int) -> None:
        self._history.clear()
        self._history_bytes = 0
        self.floor = version

    def since(self, version: int) -> list[Event]:
        """Return the changes after `version`, oldest first. Raises TooOld."""
        if version < self.floor:
            raise TooOld(version, self.floor)
        newer: list[Event] = []
        for event in reversed(self._history):
            if event.version <= version:
                break
            newer.append(event)
        newer.reverse()
        return newer

    def all(self, namespace: str = "") -> Iterator[Entry]:
        """Iterate in order over a namespace, or over everything."""
        low, high = self._span(namespace)
        for key in self._order[low:high]:
            yield self.entries[key]

    def _span(self, namespace: str) -> tuple[int, int]:
        if not namespace:
            return 0, len(self._order)
        return bisect.bisect_left(self._order, f"{namespace}/"), bisect.bisect_left(self._order, f"{namespace}0")

    def page(self, namespace: str, version: int, start: str, limit: int, admits: Admits | None) -> Page:
        """Read a page of the state as of `version`. Raises TooOld.

        Args:
            start: the first key that may be part of the page; empty for all.
            limit: 0 is no limit.
        """
        undone = {event.new.key: event.old for event in reversed(self.since(version))}
        low, high = self._span(namespace)
        if start:
            low = max(low, bisect.bisect_left(self._order, start))
        keys = self._order[low:high]
        if undone:
            prefix = f"{namespace}/" if namespace else ""
            back = {key for key in undone if key >= start and key.startswith(prefix)}
            keys = sorted(back.union(keys))
        found: list[Entry] = []
        for index, key in enumerate(keys):
            entry = undone[key] if key in undone else self.entries[key]
            if entry is None or (admits is not None and not admits(entry)):
                continue
            if limit and len(found) == limit:
                remaining = sum(1 for left in keys[index:] if left not in undone or undone[left] is not None)
                return Page(found, found[-1].key + "\0", remaining)
            found.append(entry)
        return Page(found, "", 0)


ENTRY_BYTES = 1024
"""What an object costs beside its JSON, about."""


class Full(Exception):
    """There is no room for what is to be stored; nothing was."""


class Store:
    """All tables of a world under one version counter.

    Attributes:
        observers: told of every change, before watchers are.
        size_bytes: of all objects that stand, about.
    """

    def __init__(self, history_limit: int, max_bytes: int) -> None:
        self.version = 0
        self.size_bytes = 0
        self.observers: list[Observer] = []
        self._max_bytes = max_bytes
        self._limit = history_limit
        self._floor = 0
        self._tables: dict[str, Table] = {}

    def table(self, plural: str, group: str) -> Table:
        """Return a resource's table, made on first use."""
        key = f"{plural}.{group}"
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = Table(plural, group, self._floor, self._limit)
        return table

    def tables(self) -> list[Table]:
        return list(self._tables.values())

    def write(self, table: Table, content: Json, fields: dict[str, str], is_own: bool = False) -> Entry:
        """Store a new state under the next version; the version is written into `content`. Raises Full.

        Args:
            is_own: the server's own doing, on the way to a deletion: there is room for that.
        """
        entry = self._entry(content, fields)
        old = table.entries.get(entry.key)
        growth = len(entry.raw) - len(old.raw) if old else len(entry.raw) + ENTRY_BYTES
        if growth > 0 and not is_own and self.size_bytes + growth > self._max_bytes:
            raise Full(f"the server keeps {self._max_bytes} bytes of objects at most")
        self.size_bytes += growth
        self.version = entry.version
        self._record(table, Event("MODIFIED" if old else "ADDED", entry.version, old, entry, {}))
        return entry

    def remove(self, table: Table, content: Json, fields: dict[str, str]) -> Entry:
        """Delete an object whose last state is `content`; the version is written into it."""
        entry = self._entry(content, fields)
        old = table.entries[entry.key]
        self.size_bytes -= len(old.raw) + ENTRY_BYTES
        self.version = entry.version
        self._record(table, Event("DELETED", entry.version, old, entry, {}))
        return entry

    def _record(self, table: Table, event: Event) -> None:
        for observer in self.observers:
            observer(table, event)
        table.record(event)

    def _entry(self, content: Json, fields: dict[str, str]) -> Entry:
        version = self.version + 1
        content["metadata"]["resourceVersion"] = str(version)
        return entry_of(content, encode(content), version, fields)

    def restore(self, table: Table, entry: Entry) -> None:
        """Put back what stood when this store was last used: no news to anybody."""
        self.size_bytes += len(entry.raw) + ENTRY_BYTES
        table.restore(entry)

    def begin_at(self, version: int) -> None:
        """Go on from a version; changes up to it are forgotten."""
        self.version = max(self.version, version)
        self.compact()

    def drop(self, table: Table) -> None:
        """Delete a whole table and end the watches on it."""
        for entry in list(table.all()):
            self.remove(table, decode(entry.raw), entry.fields)
        for watcher in list(table.watchers):
            watcher.close()
        del self._tables[f"{table.plural}.{table.group}"]

    def compact(self) -> None:
        """Forget all history."""
        self._floor = self.version
        for table in self.tables():
            table.forget(self.version)


def entry_of(content: Json, raw: bytes, version: int, fields: dict[str, str]) -> Entry:
    """Make the entry of an object whose JSON is `raw`."""
    metadata = content["metadata"]
    references = metadata.get("ownerReferences")
    owners = tuple(str(one.get("uid", "")) for one in references) if references else ()
    waits = ""
    if "deletionTimestamp" in metadata:
        waits = next((one for one in metadata.get("finalizers", ()) if one in {FOREGROUND, ORPHAN}), "")
    return Entry(
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
        version,
        metadata.get("labels") or {},
        fields,
        raw,
        owners,
        waits,
    )
