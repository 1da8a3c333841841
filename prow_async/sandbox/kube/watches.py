"""One open watch: lines to send, a bell for the door that sends them."""

from collections import deque
from collections.abc import Callable
from typing import Any

from prow_async.sandbox.kube import status, store

Json = dict[str, Any]
Render = Callable[[store.Entry], bytes]

MAX_BEHIND = 20_000
"""News a watcher may leave unread; then its watch is closed, and it goes on from the last version it has seen."""
MAX_BEHIND_BYTES = 128 * 1024 * 1024
"""The same, in bytes."""


class Watch:
    """A stream of lines, each with its newline. The door takes what is there and waits for `on_ready`.

    Attributes:
        timeout_s: the door closes the watch after so many seconds.
        bookmarks: the asker takes bookmarks: the door sends one now and then, and before it closes.
        closed: no lines will be added; those not yet taken are still to be sent.
    """

    def __init__(self, kind: tuple[str, str], table: store.Table, timeout_s: float | None, bookmarks: bool) -> None:
        self.timeout_s = timeout_s
        self.bookmarks = bookmarks
        self.closed = False
        self.on_ready: Callable[[], None] | None = None
        self._kind = kind
        self._table = table
        self._lines: deque[bytes] = deque()
        self._most = MAX_BEHIND
        self._bytes = 0
        self._most_bytes = MAX_BEHIND_BYTES
        self._after = 0
        self._admits: store.Admits | None = None
        self._render: Render | None = None

    def select(self, admits: store.Admits | None, render: Render | None) -> None:
        """Set what passes, and how it is shown where it is not shown as stored."""
        self._admits = admits
        self._render = render

    def start(self, after: int) -> None:
        """Follow the table: changes after version `after` are told. Raises TooOld."""
        missed = self._table.since(after)
        self._after = after
        self._most += len(missed)
        self._table.watchers[self] = None
        self._most_bytes += sum(len(event.new.raw) for event in missed)
        for event in missed:
            self.offer(event)

    def initial(self, entry: store.Entry) -> None:
        """Tell what exists."""
        raw = entry.raw if self._render is None else self._render(entry)
        self._lines.append(store.watch_line("ADDED", raw))
        self._most += 1

    def bookmark(self, version: int, end_of_initial: bool = False) -> None:
        """Tell that everything up to `version` has been told."""
        metadata: Json = {"resourceVersion": str(version)}
        if end_of_initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        content = {"apiVersion": self._kind[0], "kind": self._kind[1], "metadata": metadata}
        raw = store.encode(content)
        if self._render is not None:
            raw = self._render(store.Entry("", "", "", version, {}, {}, raw))
        self._lines.append(store.watch_line("BOOKMARK", raw))
        self._ring()

    def refuse(self, refusal: status.Refusal) -> None:
        """End the stream with an ERROR."""
        self._lines.append(store.watch_line("ERROR", store.encode(refusal.status())))
        self.close()

    def offer(self, event: store.Event) -> None:
        """Take news from the table, as far as it is selected and new."""
        if event.version <= self._after or self.closed:
            return
        kind: store.EventType | None = event.type
        if self._admits is not None:
            kind = self._kind_of(event, self._admits)
        if kind is None:
            return
        if self._render is None:
            line = event.line(kind)
        else:
            line = store.watch_line(kind, self._render(event.seen(kind)))
        self._lines.append(line)
        self._bytes += len(line)
        if len(self._lines) > self._most or self._bytes > self._most_bytes:
            self._lines.clear()
            self.close()
        self._ring()

    @staticmethod
    def _kind_of(event: store.Event, admits: store.Admits) -> store.EventType | None:
        was = event.old is not None and admits(event.old)
        is_ = event.type != "DELETED" and admits(event.new)
        if was and is_:
            return "MODIFIED"
        if is_:
            return "ADDED"
        return "DELETED" if was else None

    def take(self) -> list[bytes]:
        """Return the lines that wait, oldest first; they are the door's now."""
        lines = list(self._lines)
        self._lines.clear()
        self._bytes = 0
        return lines

    def close(self) -> None:
        """Stop following. The door does this when the asker is gone."""
        if not self.closed:
            self.closed = True
            self._table.watchers.pop(self, None)
            self._ring()

    def _ring(self) -> None:
        if self.on_ready is not None:
            self.on_ready()
