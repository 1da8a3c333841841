"""Turns by name: whoever holds a lane goes alone in it. A lane exists while somebody is in it or waits for it."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import anyio


class Lanes:
    def __init__(self) -> None:
        self._locks: dict[Hashable, anyio.Lock] = {}

    @asynccontextmanager
    async def hold(self, lane: Hashable) -> AsyncIterator[None]:
        """Wait for one's turn, first come first served. The lane None is free at all times."""
        if lane is None:
            yield
            return
        lock = self._locks.setdefault(lane, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting:
                self._locks.pop(lane, None)
