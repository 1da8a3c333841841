"""What the watches have told us, as views by name. One writer (the reflector), many readers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

import anyio
import msgspec


class Viewed(Protocol):
    """What a view must tell of itself to be stored."""

    @property
    def name(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def resource_version(self) -> str: ...


V = TypeVar("V", bound=Viewed)


class Change(msgspec.Struct, Generic[V], frozen=True):
    """`old` is None for news of a new object, `new` is None for a deletion; never both."""

    name: str
    old: V | None
    new: V | None


class Store(Generic[V]):
    """Views of one collection.

    `synced` turns true once everything that exists has been seen, and stays true: later gaps are healed in place.
    """

    def __init__(self, keep_raw: Callable[[V], bool] | None = None) -> None:
        self._views: dict[str, V] = {}
        self._raw: dict[str, bytes] = {}
        self._keep_raw = keep_raw
        self._subscribers: list[Callable[[Change[V]], None]] = []
        self._on_synced: list[Callable[[], None]] = []
        self.synced = False

    def get(self, name: str) -> V | None:
        return self._views.get(name)

    def raw(self, name: str) -> bytes | None:
        """Return the whole object's JSON while it is kept (see `keep_raw`), else None: read it from the server."""
        return self._raw.get(name)

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[V]:
        """Iterate over a snapshot: changes meanwhile do not disturb it."""
        return iter(list(self._views.values()))

    def names(self) -> set[str]:
        return set(self._views)

    def subscribe(self, changed: Callable[[Change[V]], None]) -> None:
        """Be told of every change: synchronously, must not raise. What is known already is told at once."""
        self._subscribers.append(changed)
        for view in self:
            changed(Change(view.name, None, view))

    def on_synced(self, call: Callable[[], None]) -> None:
        """Be called once, at the first sync; at once when it has been."""
        if self.synced:
            call()
        else:
            self._on_synced.append(call)

    async def wait_synced(self) -> None:
        if not self.synced:
            bell = anyio.Event()
            self._on_synced.append(bell.set)
            await bell.wait()

    # The writer's side, for the reflector alone.

    def put(self, view: V, raw: bytes | msgspec.Raw) -> None:
        old = self._views.get(view.name)
        if old is not None and old.resource_version == view.resource_version and old.uid == view.uid:
            return
        self._views[view.name] = view
        if self._keep_raw is not None and self._keep_raw(view):
            self._raw[view.name] = bytes(raw)
        else:
            self._raw.pop(view.name, None)
        if old is not None and old.uid != view.uid:
            self._tell(Change(view.name, old, None))
            old = None
        self._tell(Change(view.name, old, view))

    def remove(self, name: str) -> None:
        old = self._views.pop(name, None)
        self._raw.pop(name, None)
        if old is not None:
            self._tell(Change(name, old, None))

    def keep_only(self, names: Iterable[str]) -> None:
        """Drop what a complete listing did not show."""
        kept = set(names)
        for gone in [name for name in self._views if name not in kept]:
            self.remove(gone)

    def mark_synced(self) -> None:
        if not self.synced:
            self.synced = True
            for call in self._on_synced:
                call()

    def _tell(self, change: Change[V]) -> None:
        for subscriber in self._subscribers:
            subscriber(change)
