"""The inbox for the event loop: requests gather while the disk works on those before them, one sync for all."""

import hashlib
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import msgspec
import structlog

from prow_async.adapters.inbox import records
from prow_async.adapters.inbox.store import Failure, Op, Outcome, Settings, Statistics, Store
from prow_async.api.actions import Decision
from prow_async.api.errors import Refused, Retry
from prow_async.ports.clock import Clock
from prow_async.ports.inbox import Accepted, ActionState, Delivery, JournalEntry
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
T = TypeVar("T")
QUEUED_BYTES = 64 << 20
"""Deliveries are refused while more than this waits for the disk."""
GROUP_OPS = 256
SPARE_RETRY_S = 30.0
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_decisions = msgspec.json.Decoder(Decision)


class _Group:
    """Ops that are written together."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.size_bytes = 0
        self.done = anyio.Event()
        self.outcomes: list[Outcome] | None = None


class DurableInbox:
    """Implements ports/inbox on a folder. Made by `opened`."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._disk = anyio.CapacityLimiter(1)
        """One file operation at a time."""
        self._beside = anyio.CapacityLimiter(1)
        """The same for preparing empty files, which goes on beside the others."""
        self._groups: deque[_Group] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._bell = anyio.Event()
        self._news = anyio.Event()
        self._spare_bell = anyio.Event()
        self._statistics = store.statistics()

    async def accept(self, guid: str, event: str, headers: dict[str, str], body: bytes) -> Accepted:
        settings, stats = self._store.settings, self._statistics
        if len(body) > settings.segment_bytes // 16 * 14:
            raise Refused(f"a body of {len(body)} bytes is too big for the inbox")
        if stats.waiting >= settings.max_waiting or stats.log_bytes > settings.max_bytes:
            raise Retry(f"the inbox is full: {stats.waiting} deliveries wait", after_s=60.0)
        if self._queued_bytes > QUEUED_BYTES:
            raise Retry("too many deliveries wait for the disk", after_s=5.0)
        described = records.Accepted(0, key_of(guid, body), guid, event, headers, self._clock.now())
        outcome = await self._write(Op(described, body))
        assert isinstance(outcome, Accepted)
        return outcome

    async def pending(self, after_seq: int, limit: int) -> list[Delivery]:
        return await self._read(lambda: self._store.pending(after_seq, limit))

    async def wait_new(self, after_seq: int) -> None:
        while self._statistics.newest_waiting_seq <= after_seq:
            await self._news.wait()

    async def journal(self, seq: int) -> list[JournalEntry]:
        """A decision written by a version that knew other actions raises Refused: it cannot be continued."""
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
        await self._write(Op(records.Finished(seq, self._clock.now(), note[:1000])))

    async def fate(self, guid: str, body: bytes = b"") -> str | None:
        """Say what became of a delivery of the last 14 days: `waiting`, its note, `handled`, or None if unknown.

        Args:
            body: needed only for a GUID that is no UUID.
        """
        return await self._read(lambda: self._store.fate(key_of(guid, body)))

    def statistics(self) -> Statistics:
        return self._statistics

    def report(self, metrics: Metrics) -> None:
        """Set the gauges; to be called before they are read."""
        oldest = self._statistics.oldest_received_s
        age_s = 0.0 if oldest is None else max(0.0, self._clock.now() - oldest)
        metrics.gauge("prow_async_inbox_pending", self._statistics.waiting)
        metrics.gauge("prow_async_inbox_oldest_age_seconds", age_s)

    async def _write(self, op: Op) -> Outcome:
        """Join the open group, wait until it is on the disk. Raises Retry when it is not."""
        if self._closing:
            raise Retry("the inbox is closing")
        size = len(op.body)
        group = self._groups[-1] if self._groups else None
        if (
            group is None
            or len(group.ops) >= GROUP_OPS
            or (group.ops and group.size_bytes + size > self._store.settings.segment_bytes // 4)
        ):
            group = _Group()
            self._groups.append(group)
        position = len(group.ops)
        group.ops.append(op)
        group.size_bytes += size
        self._queued_bytes += size
        self._bell.set()
        await group.done.wait()
        if group.outcomes is None:
            raise Retry("the inbox has closed")
        outcome = group.outcomes[position]
        if isinstance(outcome, Failure):
            raise Retry(outcome.why)
        return outcome

    async def _read(self, read: Callable[[], T]) -> T:
        try:
            return await anyio.to_thread.run_sync(read, limiter=self._disk)
        except OSError as error:
            raise Retry(f"the inbox cannot be read: {error}") from error

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
                group.outcomes = await anyio.to_thread.run_sync(self._store.commit, group.ops, limiter=self._disk)
            except Exception as error:  # nobody in this group is told 200; the next group may fare better
                log.error("a group of deliveries could not be written", exc_info=error)
                group.outcomes = [Failure("the inbox failed; its log says why")] * len(group.ops)
            finally:
                self._statistics = self._store.statistics()
                self._queued_bytes -= group.size_bytes
                group.done.set()
                self._news.set()
                self._news = anyio.Event()
            if self._store.untidy:
                await anyio.to_thread.run_sync(self._store.tidy, self._clock.now(), limiter=self._disk)
            if self._store.wants_spare:
                self._spare_bell.set()

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
        """Let go of everybody who still waits: they get Retry."""
        self._closing = True
        for group in _emptied(self._groups):
            group.done.set()


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
            async with anyio.create_task_group() as writers:
                writers.start_soon(inbox.write_groups)
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
            await anyio.to_thread.run_sync(store.close)


def key_of(guid: str, body: bytes) -> int:
    """Return what a delivery is known by: its GUID where that is a UUID, else GUID and body together, in 64 bits."""
    if _UUID.fullmatch(guid):
        data = guid.lower().encode()
    else:
        data = guid.encode(errors="surrogateescape") + b"\0" + hashlib.sha256(body).digest()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)


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
