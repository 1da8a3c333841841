"""What is to be looked at when, by wall-clock time: one entry a name, the earliest of all that were asked for."""

import heapq

_SPARE = 64
"""So many entries without effect are left in the heap, and as many again as have one."""


class Agenda:
    """A heap of names and times. Times are seconds since the epoch; an entry goes when it is taken."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._at: dict[str, float] = {}

    def now(self, name: str) -> None:
        """Put a name first, whatever the clock says."""
        self.at(name, float("-inf"))

    def at(self, name: str, when_s: float) -> None:
        """Put a name in for a time, unless it is in for an earlier one."""
        known = self._at.get(name)
        if known is None or when_s < known:
            self._at[name] = when_s
            heapq.heappush(self._heap, (when_s, name))
            if len(self._heap) > 2 * len(self._at) + _SPARE:  # far times that gave way to nearer ones stay for months
                self._heap = [(at_s, one) for one, at_s in self._at.items()]
                heapq.heapify(self._heap)

    def take(self, now_s: float) -> list[str]:
        """Take out all whose time has come, the earliest first."""
        taken = []
        while self._heap and self._heap[0][0] <= now_s:
            when_s, name = heapq.heappop(self._heap)
            if self._at.get(name) == when_s:
                del self._at[name]
                taken.append(name)
        return taken

    def __len__(self) -> int:
        return len(self._at)

    @property
    def size(self) -> int:
        """How many entries are kept, those without effect included."""
        return len(self._heap)
