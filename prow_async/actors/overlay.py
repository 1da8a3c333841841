"""Our own last writes, until the watch has shown them: so that nobody decides twice on one view."""

from typing import Generic, TypeVar

import msgspec

from prow_async.actors.store import Change, Store, Viewed

V = TypeVar("V", bound=Viewed)


class _Write(msgspec.Struct, Generic[V], frozen=True):
    before: tuple[str, ...]
    """The version that was written upon first, and those of our writes since, but the last."""
    view: V


class Overlay(Generic[V]):
    """A store seen through our last writes: for all parts of a process that write to the same things.

    A write that carried the resource version it was based on is followed, in the watch, by exactly its own result: as
    long as the store still shows a version written upon, our last result is the newer truth; any other version is.
    """

    def __init__(self, store: Store[V]) -> None:
        self._store = store
        self._writes: dict[str, _Write[V]] = {}
        store.subscribe(self._changed)

    def get(self, name: str) -> V | None:
        write = self._writes.get(name)
        return self._store.get(name) if write is None else write.view

    def wrote(self, name: str, based_on: str, view: V) -> None:
        """Remember a write's result. `based_on` is the version it was conditional on, empty for a creation."""
        chained = self._writes.get(name)
        before: tuple[str, ...] = (based_on,)
        if chained is not None and chained.view.resource_version == based_on:
            before = (*chained.before, based_on)
        if _version(self._store.get(name)) in before:
            self._writes[name] = _Write(before, view)

    def forget(self, name: str) -> None:
        self._writes.pop(name, None)

    def _changed(self, change: Change[V]) -> None:
        write = self._writes.get(change.name)
        if write is not None and _version(change.new) not in write.before:
            del self._writes[change.name]

    def __len__(self) -> int:
        return len(self._writes)


def _version(view: Viewed | None) -> str:
    return view.resource_version if view is not None else ""
