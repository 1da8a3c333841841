"""Our own last writes, until the watch has shown them: so that nobody decides twice on one view."""

from typing import Generic, TypeVar

import msgspec

from prow_async.actors.store import Store, Viewed

V = TypeVar("V", bound=Viewed)


class _Write(msgspec.Struct, Generic[V], frozen=True):
    based_on: str
    view: V


class Overlay(Generic[V]):
    """A store seen through our last writes.

    A write that carried the resource version it was based on is followed, in the watch, by exactly its own result: as
    long as the store still shows the version written upon, our result is the newer truth; any other version is.
    """

    def __init__(self, store: Store[V]) -> None:
        self._store = store
        self._writes: dict[str, _Write[V]] = {}

    def get(self, name: str) -> V | None:
        stored = self._store.get(name)
        write = self._writes.get(name)
        if write is None:
            return stored
        shown = stored.resource_version if stored is not None else ""
        if shown == write.based_on:
            return write.view
        del self._writes[name]
        return stored

    def wrote(self, name: str, based_on: str, view: V) -> None:
        """Remember a write's result. `based_on` is the version it was conditional on, empty for a creation."""
        stored = self._store.get(name)
        chained = self._writes.get(name)
        if chained is not None and chained.view.resource_version == based_on:
            based_on = chained.based_on
        if (stored.resource_version if stored is not None else "") == based_on:
            self._writes[name] = _Write(based_on, view)

    def forget(self, name: str) -> None:
        self._writes.pop(name, None)

    def __len__(self) -> int:
        return len(self._writes)
