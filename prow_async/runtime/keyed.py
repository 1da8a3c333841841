"""Keyed actors: one owner, one mailbox and never two turns at once per key; a task runs only while there is mail.

A turn is told its key and its mail, looks at durable facts, acts, and says when it wants to be woken again. A turn
that raises is a failure: it is reported with its story, and the key is woken again after a growing wait.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio
import anyio.abc

from prow_async.runtime.backoff import Backoff
from prow_async.runtime.mailbox import Mailbox
from prow_async.runtime.timers import Timers

SHORTEST_WAIT_S = 0.001
"""A shorter wait is a rounding error: the clock may not move by it, and the turn would find nothing changed."""
IDLE_WORKERS = 32
"""So many wait for the next turn; more end. To start one costs as much as a small turn."""
K = TypeVar("K", bound=Hashable)
M = TypeVar("M")

Turn = Callable[[K, list[M]], Awaitable[float | None]]
"""Returns seconds until the key wants its next turn even without mail; None: only when mail comes."""
Failed = Callable[[K, Exception, int], None]
"""Told the key, the exception and how many times in a row it has failed. Drops what state it keeps for the key."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a family of actors, and who is told how long mail waits.

    `concurrency`: the most turns at once, over all keys. `mailbox`: distinct kinds of mail one key may hold.
    `waited`: told, at the begin of a turn, how many seconds its oldest mail has waited.
    `lane`: names what a key's turns may get stuck on; at most `in_lane` turns of one lane go on at once, so that one
    that is stuck takes no room from the others.
    `seed`: names every key that may have something to do, each time the family starts to run. With it, nothing is kept
    for a family that does not run: mail is dropped, and timers and failure counts end with the run.
    """

    concurrency: int = 256
    lane: Callable[[Any], Hashable] | None = None
    in_lane: int = 64
    mailbox: int = 16
    backoff: Backoff = field(default_factory=Backoff)
    waited: Callable[[float], None] = field(default=lambda _: None)
    seed: Callable[[], Iterable[Any]] | None = None


@dataclass
class _Lane(Generic[K]):
    running: int = 0
    waiting: deque[K] = field(default_factory=deque)


class KeyedActors(Generic[K, M]):
    """A family of actors.

    Args:
        name: for metrics and logs.
        turn: runs one turn of one key.
        failed: told of every turn that raised.
        wake: mail delivered when a timer or a failure's backoff wakes a key.
    """

    def __init__(
        self,
        name: str,
        turn: Turn[K, M],
        failed: Failed[K],
        wake: M,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self.name = name
        self._turn = turn
        self._failed = failed
        self._wake = wake
        self._concurrency = limits.concurrency
        self._mailbox_limit = limits.mailbox
        self._backoff = limits.backoff
        self._waited = limits.waited
        self._lane_of = limits.lane
        self._in_lane = limits.in_lane
        self._lanes: dict[Hashable, _Lane[K]] = {}
        self._seed = limits.seed
        self._boxes: dict[K, Mailbox[M]] = {}
        self._running: set[K] = set()
        self._failures: dict[K, int] = {}
        self._ready: deque[K] = deque()
        self._idle: list[anyio.Event] = []
        self._workers = 0
        self._timers = Timers()
        self._group: anyio.abc.TaskGroup | None = None
        self._turns = 0
        self._dropped = 0

    def post(self, key: K, mail: M, kind: object = None) -> None:
        """Wake a key. Never blocks; mail of the same kind (by default the mail itself) is coalesced."""
        if self._group is None and self._seed is not None:
            return
        box = self._boxes.get(key)
        if box is None:
            box = self._boxes[key] = Mailbox(self._mailbox_limit, anyio.current_time() if self._group else 0.0)
            if key not in self._running:
                self._ready.append(key)
                self._rouse()
        before = box.dropped
        box.put(mail if kind is None else kind, mail)
        self._dropped += box.dropped - before

    def forget(self, key: K) -> None:
        """Drop a key's timer and failure count; its mail, if any, still gets its turn."""
        self._timers.cancel(key)
        self._failures.pop(key, None)

    def statistics(self) -> dict[str, int]:
        """Return mails waiting, keys ready, turns under way, timers set, turns so far, mails dropped."""
        return {
            "depth": sum(len(box) for box in self._boxes.values()),
            "ready": len(self._ready),
            "running": len(self._running),
            "timers": len(self._timers),
            "turns": self._turns,
            "dropped": self._dropped,
        }

    @property
    def busy(self) -> bool:
        """True while any key has mail or a turn under way."""
        return bool(self._boxes or self._running)

    async def run(self) -> None:
        """Give turns until cancelled, first to what was posted before the start, or to what the seed names."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                group.start_soon(self._timers.run)
                try:
                    for _ in range(len(self._ready)):
                        self._rouse()
                    for key in self._seed() if self._seed is not None else ():
                        self.post(key, self._wake)
                    await anyio.sleep_forever()
                finally:
                    self._group = None
        finally:
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        """Put back whatever was under way, once no worker lives any more.

        Not sooner: a worker whose answer came in the same moment as the end of the run still goes on to its next wait.
        """
        self._workers = 0
        self._idle.clear()
        for key in self._running:
            box = self._boxes.setdefault(key, Mailbox(self._mailbox_limit, 0.0))
            box.put(self._wake, self._wake)
            self._ready.append(key)
        for lane in self._lanes.values():
            self._ready.extend(lane.waiting)
        self._running.clear()
        self._lanes.clear()
        if self._seed is not None:
            self._forget_all()

    def _forget_all(self) -> None:
        self._boxes.clear()
        self._ready.clear()
        self._failures.clear()
        self._timers.clear()

    def _rouse(self) -> None:
        if self._idle:
            self._idle.pop().set()
        elif self._group is not None and self._workers < self._concurrency:
            self._workers += 1
            self._group.start_soon(self._work)

    async def _work(self) -> None:
        while self._group is not None:
            if not self._ready:
                if len(self._idle) >= IDLE_WORKERS:
                    self._workers -= 1
                    return
                bell = anyio.Event()
                self._idle.append(bell)
                await bell.wait()
                continue
            key = self._ready.popleft()
            if self._lane_of is None:
                await self._one_turn(key)
            else:
                await self._turn_in_lane(key, self._lane_of(key))

    async def _turn_in_lane(self, key: K, name: Hashable) -> None:
        lane = self._lanes.setdefault(name, _Lane())
        if lane.running >= self._in_lane:
            lane.waiting.append(key)
            return
        lane.running += 1
        await self._one_turn(key)
        lane.running -= 1
        if lane.waiting:
            self._ready.append(lane.waiting.popleft())
        elif not lane.running:
            self._lanes.pop(name, None)

    async def _one_turn(self, key: K) -> None:
        box = self._boxes.pop(key, None)
        mails = box.take_all() if box is not None else [self._wake]
        if box is not None and box.since:
            self._waited(anyio.current_time() - box.since)
        self._running.add(key)
        self._timers.cancel(key)
        self._turns += 1
        again_s: float | None
        try:
            again_s = await self._turn(key, mails)
            self._failures.pop(key, None)
        except Exception as error:  # the one place where a turn's failure is met; told to `failed`, never swallowed
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            again_s = self._backoff.wait_s(failures)
            self._failed(key, error, failures)
        self._running.discard(key)
        if key in self._boxes:
            self._ready.append(key)
        elif again_s is not None:
            wait_s = max(again_s, SHORTEST_WAIT_S) if again_s > 0 else 0.0
            self._timers.after(key, wait_s, lambda: self.post(key, self._wake))
