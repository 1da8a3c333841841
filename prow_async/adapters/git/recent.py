"""A cache of what was used last."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")
Key = tuple[str, str]


class Recent(Generic[V]):
    """What was used last, bounded in entries and in bytes. Threads may share it."""

    def __init__(self, entries: int, size_bytes: int) -> None:
        self._entries = max(1, entries)
        self._bytes = size_bytes
        self._kept: OrderedDict[Key, tuple[V, int]] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> V | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: V, size_bytes: int = 0) -> list[Key]:
        """Keep a value; return the keys that had to go for it. The newest one stays, however large."""
        with self._lock:
            before = self._kept.pop(key, None)
            self._used += size_bytes - (before[1] if before else 0)
            self._kept[key] = (value, size_bytes)
            gone = []
            while len(self._kept) > 1 and (len(self._kept) > self._entries or self._used > self._bytes):
                oldest, (_, size) = self._kept.popitem(last=False)
                self._used -= size
                gone.append(oldest)
            return gone

    def count(self, name: str) -> int:
        """Return how many keys begin with a name."""
        with self._lock:
            return sum(key[0] == name for key in self._kept)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._used = 0
