"""The durable intake of webhooks and the journal of what was decided about each.

A delivery is accepted once, by its key: the delivery GUID where that is a UUID, else GUID and body digest together.
Its body is kept until it is handled, its key for 14 days.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from prow_async.api.actions import Decision
from prow_async.core.webhook_decode import Parsed

ActionState = Literal["planned", "sent", "done", "refused"]


class Delivery(msgspec.Struct, frozen=True):
    """One accepted webhook. `seq` orders by acceptance and never repeats."""

    seq: int
    guid: str
    event: str
    headers: dict[str, str]
    body: bytes
    received_s: float
    parsed: Parsed | None = None
    """What the body says, while that is still known from when it came."""


class Accepted(msgspec.Struct, frozen=True):
    seq: int
    new: bool
    """False when this key was accepted before: answer 200, handle nothing."""


class JournalEntry(msgspec.Struct, frozen=True):
    """What one plugin decided about one delivery, and how far each action has come (same order, same length)."""

    plugin: str
    decision: Decision
    states: tuple[ActionState, ...]


class Inbox(Protocol):
    async def accept(
        self, guid: str, event: str, headers: dict[str, str], body: bytes, parsed: Parsed | None = None
    ) -> Accepted:
        """Store durably, then return. Raises Retry when the disk does not take it (answer 503).

        Args:
            parsed: what the body says, if that is known: whoever handles it soon need not read it again.
        """

    async def pending(self, after_seq: int, limit: int) -> list[Delivery]:
        """Deliveries not finished, with seq > after_seq, oldest first."""

    async def wait_new(self, after_seq: int) -> None:
        """Return as soon as a delivery with seq > after_seq has been accepted."""

    def waits(self, seq: int) -> bool:
        """True while a delivery is not finished: somebody may have dropped it by hand."""

    async def journal(self, seq: int) -> list[JournalEntry]:
        """What has been decided about a delivery; empty when nothing has."""

    async def decide(self, seq: int, plugin: str, decision: Decision, states: tuple[ActionState, ...]) -> None:
        """Record a decision durably, before the first of its actions is performed."""

    async def mark(self, seq: int, plugin: str, states: tuple[ActionState, ...]) -> None:
        """Record how far a decision's actions have come, durably."""

    async def finish(self, seq: int, note: str = "") -> None:
        """The delivery is handled: drop its body and journal, keep its key. `note` is kept for people."""

    async def finish_all(self, notes: Mapping[int, str]) -> None:
        """Finish several at once; notes by number."""

    async def bury(self, delivery: Delivery, why: str) -> None:
        """Lay a delivery that nobody could handle aside, whole, for people; then it is finished with `why` as note."""
