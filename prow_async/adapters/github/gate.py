"""So many requests at once and no more, the more urgent ones first: GitHub takes bursts for abuse."""

import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from prow_async.ports.cause import URGENCIES, Urgency


class Gate:
    """Lets `width` requests through at a time; among those that wait, by urgency, then in the order they came."""

    def __init__(self, width: int) -> None:
        self._free = width
        self._width = width
        self._waiting: list[tuple[int, int, anyio.Event]] = []
        self._count = 0

    @property
    def inside(self) -> int:
        return self._width - self._free

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._queue(urgency)
        try:
            yield
        finally:
            self._leave()

    async def _queue(self, urgency: Urgency) -> None:
        self._count += 1
        bell = anyio.Event()
        entry = (URGENCIES.index(urgency), self._count, bell)
        heapq.heappush(self._waiting, entry)
        try:
            await bell.wait()
        except BaseException:
            if bell.is_set():
                self._leave()
            else:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
            raise

    def _leave(self) -> None:
        """Hand the place on, or free it."""
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self._free += 1
