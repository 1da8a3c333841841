"""An inbox without a disk. It belongs to the harness and not to the engine, so it outlives every kill."""

import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio
import anyio.lowlevel
import msgspec

from prow_async.api.actions import Decision
from prow_async.api.errors import Retry
from prow_async.core.webhook_decode import Parsed
from prow_async.ports.clock import Clock
from prow_async.ports.inbox import Accepted, ActionState, Delivery, JournalEntry

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_decisions = msgspec.json.Decoder(Decision)
T = TypeVar("T")
Disk = Callable[[str], str]
"""Asked before each write, with its name. Empty: it works; `full`: it fails; `doubt`: it works, but seems to fail."""
Tap = Callable[[str], Awaitable[None]]


class Handled(msgspec.Struct):
    """What became of one delivery, for whoever checks."""

    delivery: Delivery
    decided_s: float | None = None
    """When the first decision about it was recorded."""
    finished_s: float | None = None
    finished: int = 0
    """How often it was called finished while it was still waiting; 1 in the end."""
    note: str = ""
    decisions: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each plugin's decision was recorded; never more than once."""
    refused: list[str] = []


class MemoryInbox:
    """Implements ports/inbox.

    Args:
        disk: decides what goes wrong with each write.
        written: awaited after each write that works, before its caller goes on.
    """

    def __init__(self, clock: Clock, disk: Disk | None = None, written: Tap | None = None) -> None:
        self._clock = clock
        self._disk = disk
        self._written = written
        self._keys: dict[bytes, int] = {}
        self._waiting: dict[int, Delivery] = {}
        self._journal: dict[int, dict[str, tuple[bytes, tuple[ActionState, ...]]]] = {}
        self._news = anyio.Event()
        self.handled: dict[int, Handled] = {}
        """Every delivery ever accepted, by its number."""

    @property
    def waiting(self) -> list[Delivery]:
        """Deliveries not finished, oldest first."""
        return [self._waiting[seq] for seq in sorted(self._waiting)]

    async def accept(
        self, guid: str, event: str, headers: dict[str, str], body: bytes, parsed: Parsed | None = None
    ) -> Accepted:
        def write() -> Accepted:
            key = self.key_of(guid, body)
            seq = self._keys.get(key)
            if seq is not None:
                return Accepted(seq, False)
            seq = self._keys[key] = len(self.handled) + 1
            delivery = Delivery(seq, guid, event, dict(headers), body, self._clock.now())
            self._waiting[seq] = delivery
            self.handled[seq] = Handled(delivery)
            self._news.set()
            self._news = anyio.Event()
            return Accepted(seq, True)

        return await self._write("accept", write)

    @staticmethod
    def key_of(guid: str, body: bytes) -> bytes:
        """Return what a delivery is known by."""
        if _UUID.fullmatch(guid):
            return guid.lower().encode()
        return guid.encode() + hashlib.sha256(body).digest()

    async def pending(self, after_seq: int, limit: int) -> list[Delivery]:
        await anyio.lowlevel.checkpoint()
        return [delivery for delivery in self.waiting if delivery.seq > after_seq][:limit]

    async def wait_new(self, after_seq: int) -> None:
        await anyio.lowlevel.checkpoint()
        while not any(seq > after_seq for seq in self._waiting):
            await self._news.wait()

    async def journal(self, seq: int) -> list[JournalEntry]:
        await anyio.lowlevel.checkpoint()
        entries = self._journal.get(seq, {})
        return [JournalEntry(plugin, _decisions.decode(json), states) for plugin, (json, states) in entries.items()]

    async def decide(self, seq: int, plugin: str, decision: Decision, states: tuple[ActionState, ...]) -> None:
        def write() -> None:
            if seq not in self._waiting:
                return
            self._journal.setdefault(seq, {})[plugin] = (msgspec.json.encode(decision), states)
            handled = self.handled[seq]
            handled.decisions[plugin] += 1
            if handled.decided_s is None:
                handled.decided_s = self._clock.now()

        await self._write("decide", write)

    async def mark(self, seq: int, plugin: str, states: tuple[ActionState, ...]) -> None:
        def write() -> None:
            entry = self._journal.get(seq, {}).get(plugin)
            if entry is not None:
                self._journal[seq][plugin] = (entry[0], states)
                self._note_refusals(seq, plugin)

        await self._write("mark", write)

    def waits(self, seq: int) -> bool:
        return seq in self._waiting

    async def finish(self, seq: int, note: str = "") -> None:
        await self.finish_all({seq: note})

    async def finish_all(self, notes: Mapping[int, str]) -> None:
        def write() -> None:
            for seq, note in notes.items():
                if self._waiting.pop(seq, None) is None:
                    continue
                self._journal.pop(seq, None)
                handled = self.handled[seq]
                handled.finished += 1
                handled.finished_s, handled.note = self._clock.now(), note

        await self._write("finish", write)

    async def bury(self, delivery: Delivery, why: str) -> None:
        await self.finish(delivery.seq, why)

    def _note_refusals(self, seq: int, plugin: str) -> None:
        json, states = self._journal[seq][plugin]
        decision = _decisions.decode(json)
        for action, state in zip(decision.actions, states, strict=True):
            if state == "refused":
                self.handled[seq].refused.append(f"{plugin}: {type(action).__name__} ({action.why})")

    async def _write(self, name: str, write: Callable[[], T]) -> T:
        await anyio.lowlevel.checkpoint()
        trouble = self._disk(name) if self._disk is not None else ""
        if trouble == "full":
            raise Retry("the disk is full")
        result = write()
        if self._written is not None:
            await self._written(f"inbox {name}")
        if trouble:
            raise Retry("the disk did not say whether it has written")
        return result
