"""Answers kept for their ETag: asking again costs no budget when nothing changed. Bounded in bytes.

Each answer is kept for one view (a token's, an installation's) and never shown to another; and it is never used before
GitHub has said, to that very asker, that it still holds.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

import msgspec

from prow_async.ports.clock import WallClock

_KEPT_HEADERS = ("content-type", "link", "etag")


class Kept(msgspec.Struct, frozen=True, gc=False):
    etag: str
    headers: dict[str, str]
    body: bytes
    stored_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        return len(self.body) + 512


class Key(msgspec.Struct, frozen=True):
    """What an answer belongs to: who asked, for what kind of answer, and the path with its query."""

    view: str
    accept: str
    path: str


class Shelf(Protocol):
    """Where answers outlive the process. Trouble with it is logged there, and means that nothing is found."""

    async def get(self, key: Key) -> Kept | None: ...

    async def put(self, key: Key, kept: Kept) -> None: ...

    async def forget(self, key: Key) -> None: ...


class EtagCache:
    """The most recently used answers, at most `limit_bytes` of them; one answer over a quarter of that is not kept.

    Args:
        shelf: asked for what is not in memory, and given everything that is kept.
    """

    def __init__(self, limit_bytes: int, clock: WallClock, shelf: Shelf | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._shelf = shelf
        self._entries: OrderedDict[Key, Kept] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def now(self) -> float:
        return self._clock.now()

    async def get(self, key: Key) -> Kept | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        elif self._shelf is not None and (found := await self._shelf.get(key)) is not None:
            self._hold(key, found)
        return found

    async def put(self, key: Key, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep an answer that has an ETag; say whether it has."""
        etag = headers.get("etag")
        if not etag:
            await self.forget(key)
            return False
        chosen = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        kept = Kept(etag, chosen, body, self._clock.now())
        self._hold(key, kept)
        if self._shelf is not None:
            await self._shelf.put(key, kept)
        return True

    async def forget(self, key: Key) -> None:
        self._drop(key)
        if self._shelf is not None:
            await self._shelf.forget(key)

    def _hold(self, key: Key, kept: Kept) -> None:
        self._drop(key)
        if kept.size_bytes > self._limit_bytes // 4:
            return
        self._entries[key] = kept
        self.size_bytes += kept.size_bytes
        while self.size_bytes > self._limit_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.size_bytes -= oldest.size_bytes

    def _drop(self, key: Key) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.size_bytes -= old.size_bytes
