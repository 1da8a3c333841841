"""Bounded, coalescing mailboxes.

Mail only wakes: whoever reads it looks at durable facts afterwards. So two mails of one kind are one mail, and when a
box is full its oldest mail may go: its reader is awake anyway.
"""

from typing import Generic, TypeVar

M = TypeVar("M")


class Mailbox(Generic[M]):
    """Mail of one owner, at most one per kind, in order of first arrival. `since`: when the first arrived."""

    __slots__ = ("_box", "_limit", "dropped", "since")

    def __init__(self, limit: int, since: float = 0.0) -> None:
        self.since = since
        self._box: dict[object, M] = {}
        self._limit = limit
        self.dropped = 0

    def put(self, kind: object, mail: M) -> None:
        """Add mail; newer mail of the same kind takes the older one's place."""
        if kind not in self._box and len(self._box) >= self._limit:
            del self._box[next(iter(self._box))]
            self.dropped += 1
        self._box[kind] = mail

    def take_all(self) -> list[M]:
        mails = list(self._box.values())
        self._box.clear()
        return mails

    def __len__(self) -> int:
        return len(self._box)
