"""Answers kept for their ETag: asking again costs no budget when nothing changed. Bounded in bytes."""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

_KEPT_HEADERS = ("content-type", "link", "etag")


class Kept(msgspec.Struct, frozen=True, gc=False):
    etag: str
    headers: dict[str, str]
    body: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.body) + 512


class EtagCache:
    """The most recently used answers, at most `limit_bytes` of them; one answer over a quarter of that is not kept."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._entries: OrderedDict[str, Kept] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Kept | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: str, headers: Mapping[str, str], body: bytes) -> None:
        """Keep an answer that has an ETag."""
        self.forget(key)
        etag = headers.get("etag")
        if not etag:
            return
        kept = Kept(etag, {name: headers[name] for name in _KEPT_HEADERS if name in headers}, body)
        if kept.size_bytes > self._limit_bytes // 4:
            return
        self._entries[key] = kept
        self.size_bytes += kept.size_bytes
        while self.size_bytes > self._limit_bytes:
            _, oldest = self._entries.popitem(last=False)
            self.size_bytes -= oldest.size_bytes

    def forget(self, key: str) -> None:
        old = self._entries.pop(key, None)
        if old is not None:
            self.size_bytes -= old.size_bytes

    def clear(self) -> None:
        self._entries.clear()
        self.size_bytes = 0
