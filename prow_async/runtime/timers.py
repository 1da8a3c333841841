"""Many named deadlines, one sleeping task."""

import heapq
import itertools
from collections.abc import Callable, Hashable

import anyio

_SPARE = 64
"""So many entries without effect are left in the heap, and as many again as have one."""


class Timers:
    """Calls back when a deadline on the loop's monotonic clock (anyio.current_time) has passed.

    One deadline per key: setting it again replaces it. Callbacks are synchronous and must not raise.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Hashable]] = []
        self._set: dict[Hashable, tuple[float, int, Callable[[], None]]] = {}
        self._count = itertools.count()
        self._changed = anyio.Event()

    def after(self, key: Hashable, delay_s: float, call: Callable[[], None]) -> None:
        """Call back once `delay_s` seconds from now, unless cancelled or replaced before."""
        when, number = anyio.current_time() + max(delay_s, 0.0), next(self._count)
        earliest = self._heap[0][0] if self._heap else None
        self._set[key] = (when, number, call)
        heapq.heappush(self._heap, (when, number, key))
        if len(self._heap) > 2 * len(self._set) + _SPARE:  # far deadlines that were replaced would stay for days
            self._heap = [(when, number, key) for key, (when, number, _) in self._set.items()]
            heapq.heapify(self._heap)
        if earliest is None or when < earliest:
            self._changed.set()

    def cancel(self, key: Hashable) -> None:
        self._set.pop(key, None)

    def clear(self) -> None:
        self._set.clear()
        self._heap.clear()

    def __len__(self) -> int:
        return len(self._set)

    def _due(self, now: float) -> list[Callable[[], None]]:
        calls = []
        while self._heap and self._heap[0][0] <= now:
            _, number, key = heapq.heappop(self._heap)
            entry = self._set.get(key)
            if entry is not None and entry[1] == number:
                del self._set[key]
                calls.append(entry[2])
        return calls

    async def run(self) -> None:
        """Serve deadlines until cancelled."""
        while True:
            self._changed = anyio.Event()
            for call in self._due(anyio.current_time()):
                call()
            wait_s = self._heap[0][0] - anyio.current_time() if self._heap else float("inf")
            if wait_s > 0:
                with anyio.move_on_after(wait_s):
                    await self._changed.wait()
            else:
                await anyio.lowlevel.checkpoint()
