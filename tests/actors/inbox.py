"""The inbox's own store, without the threads it is written from: virtual time knows no threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel

from prow_async.adapters.inbox.durable import DurableInbox
from prow_async.adapters.inbox.store import Failure, Op, Outcome, Settings, Store
from prow_async.api.errors import Retry
from prow_async.ports.clock import Clock
from prow_async.ports.inbox import Accepted
from tests.actors.script import FOREVER

T = TypeVar("T")
SMALL = Settings(segment_bytes=256 << 10, spares=1)


class StoreInbox(DurableInbox):
    """A DurableInbox that writes on the spot.

    Attributes:
        words: what was written since it was opened, by the names of the records.
        full: the disk takes nothing while this is true.
        stop_at: the writer of a record of this name waits for ever; `stopped` is set then.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store, clock)
        self.words: list[str] = []
        self.full = False
        self.stop_at = ""
        self.stopped = anyio.Event()

    async def _write(self, *ops: Op) -> Outcome:
        await anyio.lowlevel.checkpoint()
        word = type(ops[-1].description).__name__
        if self.stop_at == word or self.stopped.is_set():
            self.stopped.set()
            await anyio.sleep(FOREVER.delay_s)
        if self.full:
            raise Retry("the disk is full")
        outcomes = self._store.commit(ops)
        self.words += [word for outcome in outcomes if not isinstance(outcome, Accepted) or outcome.new]
        self._statistics = self._store.statistics()
        self._news.set()
        self._news = anyio.Event()
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                raise Retry(outcome.why)
        return outcomes[-1]

    async def _aside(self, work: Callable[[], T]) -> T:
        await anyio.lowlevel.checkpoint()
        return work()

    async def _read(self, read: Callable[[], T]) -> T:
        await anyio.lowlevel.checkpoint()
        return read()


@contextmanager
def opened(folder: Path, clock: Clock) -> Iterator[StoreInbox]:
    """Open the inbox in a folder; leaving it is the death of its process: nothing is tidied up."""
    store = Store(folder, SMALL, clock.now())
    inbox = StoreInbox(store, clock)
    try:
        yield inbox
    finally:
        inbox.aside.close()
        store.close()
