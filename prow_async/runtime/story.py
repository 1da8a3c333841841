"""Short rings of what happened last, one per actor: printed with any failure, shown to whoever asks."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable


class Stories:
    """The stories of the most recently active keys.

    Args:
        now: wall-clock seconds, written beside each line.
        lines: how many lines one story keeps.
        keys: how many stories are kept; the one untouched for longest goes first.
    """

    def __init__(self, now: Callable[[], float], lines: int = 32, keys: int = 2000) -> None:
        self._now = now
        self._lines = lines
        self._keys = keys
        self._rings: OrderedDict[Hashable, deque[tuple[float, str]]] = OrderedDict()

    def add(self, key: Hashable, line: str) -> None:
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = deque(maxlen=self._lines)
            if len(self._rings) > self._keys:
                self._rings.popitem(last=False)
        else:
            self._rings.move_to_end(key)
            if ring and ring[-1][1] == line:
                return
        ring.append((self._now(), line))

    def of(self, key: Hashable) -> list[tuple[float, str]]:
        """Return (wall-clock seconds, line) pairs, oldest first; empty when nothing is remembered."""
        return list(self._rings.get(key, ()))
