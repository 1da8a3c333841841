"""The inbox for the event loop: requests gather while the disk works on those before them, one sync for all."""

import asyncio
import functools
import hashlib
import itertools
import re
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.adapters.inbox import records
from prow_async.adapters.inbox.aside import Aside, Asked
from prow_async.adapters.inbox.store import Failure, Op, Outcome, Settings, Statistics, Store
from prow_async.api import names
from prow_async.api.actions import Decision
from prow_async.api.errors import Refused, Retry
from prow_async.core.webhook_decode import Parsed
from prow_async.ports.clock import Clock
from prow_async.ports.inbox import Accepted, ActionState, Delivery, JournalEntry
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
T = TypeVar("T")
QUEUED_BYTES = 64 << 20
"""Deliveries are refused while more than this waits for the disk."""
GROUP_OPS = 256
FRESH_BYTES = 32 << 20
"""So much of what was accepted last is kept in memory, for the reader who follows close behind."""
SPARE_RETRY_S = 30.0
TIDY_RETRY_S = 1.0
PEOPLE_EVERY_S = 1.0
NEW_HOOKS = 1000
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_decisions = msgspec.json.Decoder(Decision)


class _Group:
    """Ops that are written together."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.size_bytes = 0
        self.waiting: list[asyncio.Future[None]] = []
        """Who waits for it: one future each costs a tenth of what an event for all of them costs."""
        self.outcomes: list[Outcome] | None = None

    def done(self) -> None:
        for waiter in self.waiting:
            if not waiter.done():  # cancelled meanwhile
                waiter.set_result(None)


class Fresh:
    """The deliveries accepted last, for a reader that comes for them in order: the disk need not be asked.

    Args:
        room_bytes: bodies beyond this are let go, the oldest first; the reader finds them on the disk.
    """

    def __init__(self, room_bytes: int) -> None:
        self._deliveries: dict[int, Delivery] = {}
        self._room_bytes = room_bytes
        self._floor: int | None = None
        """Every delivery above this number that waits is here. None until the first comes."""

    def add(self, ops: Sequence[Op], outcomes: Sequence[Outcome]) -> None:
        """Take in what of a group has been accepted for the first time, in the order of its numbers."""
        for op, outcome in zip(ops, outcomes, strict=False):
            if isinstance(outcome, Accepted) and outcome.new and isinstance(op.description, records.Accepted):
                d = op.description
                if self._floor is None:
                    self._floor = outcome.seq - 1
                self._deliveries[outcome.seq] = Delivery(
                    outcome.seq, d.guid, d.event, d.headers, op.body, d.received_s, op.parsed
                )
                self._room_bytes -= len(op.body)
        while self._room_bytes < 0 and self._deliveries:
            self._floor = next(iter(self._deliveries))
            self.drop(self._floor)

    def drop(self, seq: int) -> None:
        delivery = self._deliveries.pop(seq, None)
        if delivery is not None:
            self._room_bytes += len(delivery.body)

    def after(self, seq: int, limit: int) -> list[Delivery] | None:
        """Return the oldest deliveries above a number and let go of those up to it; None: ask the disk."""
        if self._floor is None or seq < self._floor:
            return None
        for number in list(itertools.takewhile(lambda number: number <= seq, self._deliveries)):
            self.drop(number)
        self._floor = seq
        return list(itertools.islice(self._deliveries.values(), limit))


class DurableInbox:
    """Implements ports/inbox on a folder. Made by `opened`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._disk = ThreadPoolExecutor(1, "inbox")
        """One file operation at a time. Handing work over costs a third of what anyio's threads cost."""
        self._beside = anyio.CapacityLimiter(1)
        """The same for preparing empty files, which goes on beside the others."""
        self._groups: deque[_Group] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._bell = anyio.Event()
        self._news = anyio.Event()
        self._spare_bell = anyio.Event()
        self._tidy_bell = anyio.Event()
        self._statistics = store.statistics()
        self._fresh = Fresh(FRESH_BYTES)
        self.aside = Aside(store.path)
        self._letters = self.aside.count()
        self.last_before_start_s = store.last_before_start_s
        self.began_s = self.aside.fact("began", clock.now() if self.last_before_start_s is None else 0.0)
        self._hooks = self.aside.hooks()
        self._new_hooks: set[int] = set()

    async def accept(
        self, guid: str, event: str, headers: dict[str, str], body: bytes, parsed: Parsed | None = None
    ) -> Accepted:
        settings, stats = self._store.settings, self._statistics
        if len(body) > settings.segment_bytes // 16 * 14:
            raise Refused(f"a body of {len(body)} bytes is too big for the inbox")
        if stats.waiting >= settings.max_waiting or stats.log_bytes > settings.max_bytes:
            raise Retry(f"the inbox is full: {stats.waiting} deliveries wait", after_s=60.0)
        if self._queued_bytes > QUEUED_BYTES:
            raise Retry("too many deliveries wait for the disk", after_s=5.0)
        self._note_hook(headers)
        described = records.Accepted(0, key_of(guid, body), guid, event, headers, self._clock.now())
        outcome = await self._write(Op(described, body, parsed))
        assert isinstance(outcome, Accepted)
        return outcome

    async def pending(self, after_seq: int, limit: int) -> list[Delivery]:
        fresh = self._fresh.after(after_seq, limit)
        if fresh is not None:
            return fresh
        return await self._read(lambda: self._store.pending(after_seq, limit))

    async def wait_new(self, after_seq: int) -> None:
        while self._statistics.newest_waiting_seq <= after_seq:
            await self._news.wait()

    async def journal(self, seq: int) -> list[JournalEntry]:
        """A decision written by a version that knew other actions raises Refused: it cannot be continued."""
        if not self._store.decided(seq):
            return []
        entries = await self._read(lambda: self._store.journal(seq))
        try:
            return [JournalEntry(plugin, _decisions.decode(json), marked.states) for plugin, json, marked in entries]
        except msgspec.DecodeError as error:
            raise Refused(f"a recorded decision about delivery {seq} cannot be read: {error}") from error

    async def decide(self, seq: int, plugin: str, decision: Decision, states: tuple[ActionState, ...]) -> None:
        await self._write(Op(records.Decided(seq, plugin, states), msgspec.json.encode(decision)))

    async def mark(self, seq: int, plugin: str, states: tuple[ActionState, ...]) -> None:
        await self._write(Op(records.Marked(seq, plugin, states)))

    async def finish(self, seq: int, note: str = "") -> None:
        await self.finish_all({seq: note})

    async def finish_all(self, notes: Mapping[int, str]) -> None:
        now_s = self._clock.now()
        for seq in notes:
            self._fresh.drop(seq)
        ops = [Op(records.Finished(seq, now_s, _writable(note[:1000]))) for seq, note in notes.items()]
        for first in range(0, len(ops), GROUP_OPS // 2):
            await self._write(*ops[first : first + GROUP_OPS // 2])

    def _note_hook(self, headers: Mapping[str, str]) -> None:
        text = headers.get("X-GitHub-Hook-ID", "")
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            return
        if int(text) not in self._hooks and len(self._new_hooks) < NEW_HOOKS:
            self._new_hooks.add(int(text))

    def hooks_seen(self) -> frozenset[int]:
        """Return the ids of webhooks deliveries have come from."""
        return self._hooks | self._new_hooks

    async def known(self, guids: Sequence[str]) -> frozenset[str]:
        """Return those GUIDs that were accepted in the last 14 days. Only UUIDs are: others count with their body."""
        keys = {key_of(guid, b""): guid for guid in guids}
        found = await self._read(lambda: self._store.known([*keys]))
        return frozenset(keys[key] for key in found)

    def waits(self, seq: int) -> bool:
        return self._store.waits(seq)

    async def bury(self, delivery: Delivery, why: str) -> None:
        why = _writable(why)
        left = await self._aside(lambda: self.aside.bury(delivery, self._clock.now(), why))
        if left:
            log.warning("deliveries laid aside were dropped for newer ones", number=left)
        self._letters = await self._aside(self.aside.count)
        await self.finish(delivery.seq, why)

    async def serve_people(self) -> None:
        """Do what is asked for with `prow-async inbox`, until cancelled. Trouble is told and tried again."""
        while True:
            await self.serve_once()
            await anyio.sleep(PEOPLE_EVERY_S)

    async def serve_once(self) -> None:
        try:
            while asked := await self._aside(self.aside.asked):
                for one in asked:
                    await self._grant(one)
                    await self._aside(functools.partial(self.aside.done, one.id))
            if self._new_hooks:
                self._hooks, self._new_hooks = self.hooks_seen(), set()
                await self._aside(lambda: self.aside.add_hooks(self._hooks))
            self._letters = await self._aside(self.aside.count)
        except Retry as error:
            log.warning("what people asked of the inbox waits", why=error.why)

    async def _grant(self, asked: Asked) -> None:
        d = asked.delivery
        if asked.verb == "drop":
            if self.waits(d.seq):
                await self.finish(d.seq, "dropped by hand")
                log.info("delivery dropped by hand", seq=d.seq, **{names.EVENT_GUID: d.guid})
            return
        accepted = await self.accept(d.guid, d.event, d.headers, d.body)
        log.info("delivery replayed by hand", seq=accepted.seq, new=accepted.new, **{names.EVENT_GUID: d.guid})

    async def _aside(self, work: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._beside)
        except sqlite3.Error as error:
            raise Retry(f"what lies beside the inbox cannot be reached: {error}") from error

    async def fate(self, guid: str, body: bytes = b"") -> str | None:
        """Say what became of a delivery of the last 14 days: `waiting`, its note, `handled`, or None if unknown.

        Args:
            body: needed only for a GUID that is no UUID.
        """
        return await self._read(lambda: self._store.fate(key_of(guid, body)))

    def statistics(self) -> Statistics:
        return self._statistics

    def oldest_waiting_s(self) -> float | None:
        """Return when the delivery that has waited longest was accepted; None when none waits."""
        return self._statistics.oldest_received_s

    def report(self, metrics: Metrics) -> None:
        """Set the gauges; to be called before they are read."""
        oldest = self._statistics.oldest_received_s
        age_s = 0.0 if oldest is None else max(0.0, self._clock.now() - oldest)
        metrics.gauge("prow_async_inbox_pending", self._statistics.waiting)
        metrics.gauge("prow_async_inbox_oldest_age_seconds", age_s)
        metrics.gauge("prow_async_inbox_dead_letters", self._letters)

    async def _write(self, *ops: Op) -> Outcome:
        """Join the open group, wait until it is on the disk; return the last op's outcome.

        Raises Retry when one is not on the disk.
        """
        if self._closing:
            raise Retry("the inbox is closing")
        size = sum(len(op.body) for op in ops)
        group = self._groups[-1] if self._groups else None
        if (
            group is None
            or len(group.ops) + len(ops) > GROUP_OPS
            or (group.ops and group.size_bytes + size > self._store.settings.segment_bytes // 4)
        ):
            group = _Group()
            self._groups.append(group)
        begin, end = len(group.ops), len(group.ops) + len(ops)
        group.ops += ops
        group.size_bytes += size
        self._queued_bytes += size
        self._bell.set()
        waiter = asyncio.get_running_loop().create_future()
        group.waiting.append(waiter)
        await waiter
        if group.outcomes is None:
            raise Retry("the inbox has closed")
        for outcome in group.outcomes[begin:end]:
            if isinstance(outcome, Failure):
                raise Retry(outcome.why)
        return group.outcomes[end - 1]

    async def _read(self, read: Callable[[], T]) -> T:
        try:
            return await self._on_disk(read)
        except OSError as error:
            raise Retry(f"the inbox cannot be read: {error}") from error

    async def _on_disk(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)

    async def write_groups(self) -> None:
        """Write group after group until closed."""
        while True:
            while not self._groups:
                if self._closing:
                    return
                self._bell = anyio.Event()
                await self._bell.wait()
            group = self._groups.popleft()
            try:
                group.outcomes = await self._on_disk(self._store.commit, group.ops)
            except Exception as error:  # nobody in this group is told 200; the next group may fare better
                log.error("a group of deliveries could not be written", exc_info=error)
                group.outcomes = [Failure("the inbox failed; its log says why")] * len(group.ops)
            finally:
                self._statistics = self._store.statistics()
                self._queued_bytes -= group.size_bytes
                self._fresh.add(group.ops, group.outcomes or [])
                group.done()
                self._news.set()
                self._news = anyio.Event()
            if self._store.untidy:
                self._tidy_bell.set()
            if self._store.wants_spare:
                self._spare_bell.set()

    async def keep_tidy(self) -> None:
        """Let go of what nobody needs any more, until cancelled. What waits for the disk goes on beside the writing."""
        while True:
            if not self._store.untidy:
                self._tidy_bell = anyio.Event()
                await self._tidy_bell.wait()
            tidying = await self._on_disk(self._store.begin_tidy)
            done = False
            if tidying is not None:
                written = await self._aside(functools.partial(self._store.write_keys, tidying, self._clock.now()))
                done = await self._on_disk(self._store.end_tidy, tidying, written)
                self._statistics = self._store.statistics()
            if not done:
                await anyio.sleep(TIDY_RETRY_S)

    async def keep_spares(self) -> None:
        """Keep empty files ready, beside the writing, until cancelled."""
        while True:
            if not self._store.wants_spare:
                self._spare_bell = anyio.Event()
                await self._spare_bell.wait()
                continue
            try:
                await anyio.to_thread.run_sync(self._store.prepare, limiter=self._beside)
            except OSError as error:
                log.warning("no spare inbox segment", why=str(error), next_try_s=SPARE_RETRY_S)
                await anyio.sleep(SPARE_RETRY_S)

    async def reserve(self, size_bytes: int) -> None:
        """Make so many bytes of empty files ready before a rush, beside those that are kept anyway. Raises OSError."""
        for _ in range(-(-size_bytes // self._store.settings.segment_bytes)):
            await anyio.to_thread.run_sync(self._store.prepare, limiter=self._beside)

    def close(self) -> None:
        """Take nothing new; what waits for the disk is still written."""
        self._closing = True
        self._bell.set()

    def abandon(self) -> None:
        """Let go of everybody who still waits: they get Retry. Returns once the disk is left alone."""
        self._closing = True
        self._disk.shutdown(wait=True)
        for group in _emptied(self._groups):
            group.done()


@asynccontextmanager
async def opened(folder: Path, clock: Clock, settings: Settings | None = None) -> AsyncIterator[DurableInbox]:
    """Open the inbox in a folder, made if it is not there; leaving writes what waits and closes it.

    Raises CannotStart: the folder is in use, cannot be written, or was written by a newer version.
    """
    store = await anyio.to_thread.run_sync(Store, folder, settings or Settings(), clock.now())
    inbox = DurableInbox(store, clock)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(inbox.keep_spares)
            group.start_soon(inbox.keep_tidy)
            async with anyio.create_task_group() as writers:
                writers.start_soon(inbox.write_groups)
                await inbox.serve_once()
                group.start_soon(inbox.serve_people)
                try:
                    yield inbox
                finally:
                    inbox.close()
            group.cancel_scope.cancel()
    except BaseExceptionGroup as error:
        only = _alone(error)
        if only is None:
            raise
        raise only from only.__cause__
    finally:
        inbox.abandon()
        with anyio.CancelScope(shield=True):
            inbox.aside.close()
            await anyio.to_thread.run_sync(store.close)


def key_of(guid: str, body: bytes) -> int:
    """Return what a delivery is known by: its GUID where that is a UUID, else GUID and body together, in 64 bits."""
    if _UUID.fullmatch(guid):
        data = guid.lower().encode()
    else:
        data = guid.encode(errors="surrogateescape") + b"\0" + hashlib.sha256(body).digest()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)


def _writable(text: str) -> str:
    """Return a text that has a UTF-8 form: what failed may speak of a file whose name has none."""
    return text.encode(errors="replace").decode()


def _emptied(groups: deque[_Group]) -> Iterator[_Group]:
    while groups:
        yield groups.popleft()


def _alone(error: BaseException) -> BaseException | None:
    """Return the one exception in a nest of groups; None when there are several."""
    while isinstance(error, BaseExceptionGroup):
        if len(error.exceptions) != 1:
            return None
        error = error.exceptions[0]
    return error
