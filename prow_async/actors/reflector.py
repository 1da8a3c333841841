"""Keeps a store equal to a collection: list (WatchList where served), then watch, for ever.

The moves are core/watch's; here is the I/O and the waiting. Gaps heal by relisting; nothing is ever concluded from an
event alone.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import msgspec
import structlog

from prow_async.actors.store import Store, Viewed
from prow_async.api.errors import Expired, Missing, Refused, Retry
from prow_async.api.views import Malformed
from prow_async.core import objects, watch
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics
from prow_async.runtime.backoff import Backoff

V = TypeVar("V", bound=Viewed)
log = structlog.get_logger()

SILENCE_S = 75.0
"""API servers send a bookmark about once a minute; a watch silent for longer is opened anew."""
PAGE = 500


class _Ended(Exception):
    """A watch ended. `position` says how to go on; `why` is empty when the server ended it in good order."""

    def __init__(self, position: watch.Position, why: str = "") -> None:
        super().__init__(why)
        self.position = position
        self.why = why


class Reflector(Generic[V]):
    """One collection, one store.

    Args:
        read: object JSON to view; raises objects.Unreadable.
        set_aside: told of each object that does not read, once per resource version. The others go on.
    """

    def __init__(
        self,
        kind: str,
        source: Collection,
        read: Callable[[msgspec.Raw], V],
        store: Store[V],
        metrics: Metrics,
        set_aside: Callable[[Malformed], None],
    ) -> None:
        self.kind = kind
        self.store = store
        self.backoff = Backoff(0.2, 30.0)
        self._source = source
        self._read = read
        self._metrics = metrics
        self._set_aside = set_aside
        self._aside: dict[str, str] = {}
        self._log = log.bind(cluster=source.cluster, kind=kind)
        self._last_version = ""
        self.healthy = False
        """True while a watch is open."""
        self.away = False
        """True while the last try to list or to open a watch met no server that answers."""
        self.trouble = ""
        """What the last such try met; empty while all is well."""
        self.on_flip: Callable[[], None] = lambda: None
        """Called whenever `away` has changed. Must not raise."""

    async def run(self) -> None:
        """Reflect until cancelled. Failures are waited out here: nothing but a bug ends it."""
        at, failures = watch.Position(), 0
        while True:
            before, started = at, anyio.current_time()
            try:
                at = await self._step(at)
                continue
            except _Ended as ended:
                at, why = ended.position, ended.why
                if at.resource_version != before.resource_version or anyio.current_time() - started > 2 * SILENCE_S:
                    failures = 0  # it brought news: cut again and again, a watch must not fall behind by its waits
            except Expired as error:
                at, why = watch.relist(at), error.why
            except (Retry, Refused, watch.Broken) as error:
                why = str(error)
                self._answers(why, isinstance(error, Retry) and error.status != 429)
                if isinstance(error, Refused) and at.move == "watchlist" and not isinstance(error, Missing):
                    at = watch.without_watchlist(at)
            self.healthy = False
            if not why and anyio.current_time() - started < 1.0:
                why = "the server ended the watch at once"
            if why:
                failures += 1
                wait_s = self.backoff.wait_s(failures)
                self._metrics.count(
                    "prow_async_watch_restarts_total",
                    cluster=self._source.cluster,
                    kind=self.kind,
                    reason=before.move,
                )
                self._log.warning("watch interrupted", why=why, next_try_s=round(wait_s, 2), then=at.move)
                await anyio.sleep(wait_s)

    async def _step(self, at: watch.Position) -> watch.Position:
        if at.move == "list":
            version = await self._list()
            self._answers("", away=False)
            return watch.synced(at, version)
        async with self._source.watch(at.resource_version, at.move == "watchlist") as chunks:
            self._answers("", away=False)
            return await self._follow(at, chunks.__aiter__().__anext__)

    def _answers(self, trouble: str, away: bool) -> None:
        """Note how the server met us last."""
        self.trouble = trouble
        if self.away is not away:
            self.away = away
            self.on_flip()

    async def _list(self) -> str:
        """Read all pages; return the resource version to watch from."""
        seen: set[str] = set()
        token = ""
        while True:
            page = await self._source.list_page(PAGE, token)
            for raw in page.items:
                name = self._put(raw)
                if name:
                    seen.add(name)
            token = page.continue_
            if not token:
                break
            await anyio.lowlevel.checkpoint()
        self.store.keep_only(seen)
        self.store.mark_synced()
        return page.resource_version

    async def _follow(self, at: watch.Position, next_chunk: Callable[[], Awaitable[bytes]]) -> watch.Position:
        lines = watch.Lines()
        seen: set[str] | None = set() if at.move == "watchlist" else None
        self.healthy = seen is None
        with anyio.CancelScope() as silence:
            while True:
                silence.deadline = anyio.current_time() + SILENCE_S
                try:
                    chunk = await next_chunk()
                except StopAsyncIteration:
                    if seen is not None:
                        raise _Ended(watch.relist(at), "the initial list ended before its end mark") from None
                    raise _Ended(at) from None
                except Retry as error:
                    raise _Ended(at if seen is None else watch.relist(at), error.why) from error
                try:
                    frames = lines.feed(chunk)
                except watch.Broken as error:
                    raise _Ended(at if seen is None else watch.relist(at), str(error)) from error
                for frame in frames:
                    at, seen = self._apply(at, seen, frame)
        raise _Ended(at if seen is None else watch.relist(at), f"silent for {SILENCE_S:.0f} s")

    def _apply(
        self, at: watch.Position, seen: set[str] | None, frame: watch.Frame
    ) -> tuple[watch.Position, set[str] | None]:
        """Take one frame in; return where we stand then."""
        if frame.type == "BOOKMARK":
            mark = watch.bookmark(frame)
            if seen is None:
                return watch.synced(at, mark.resource_version), None
            if mark.initial_end:
                self.store.keep_only(seen)
                self.store.mark_synced()
                self.healthy = True
                return watch.synced(at, mark.resource_version), None
            return at, seen
        if frame.type == "ERROR":
            error = watch.stream_error(frame)
            raise _Ended(watch.relist(at) if error.expired or seen is not None else at, error.message or error.reason)
        if frame.type == "DELETED":
            gone = objects.malformed(frame.object, "")
            if gone.name:
                self.store.remove(gone.name)
                self._aside.pop(gone.uid, None)
            return self._moved(at, seen, gone.resource_version), seen
        name, version = self._put(frame.object), self._last_version
        if seen is not None and name:
            seen.add(name)
        return self._moved(at, seen, version), seen

    @staticmethod
    def _moved(at: watch.Position, seen: set[str] | None, version: str) -> watch.Position:
        return watch.synced(at, version) if seen is None and version else at

    def _put(self, raw: msgspec.Raw) -> str:
        """Store one object; return its name, empty when it does not read."""
        try:
            view = self._read(raw)
        except objects.Unreadable as error:
            bad = objects.malformed(raw, error.why)
            self._last_version = bad.resource_version
            self.store.remove(bad.name)
            if self._aside.get(bad.uid) != bad.resource_version:
                self._aside[bad.uid] = bad.resource_version
                self._metrics.count("prow_async_malformed_objects_total", kind=self.kind)
                self._set_aside(bad)
            return ""
        self._last_version = view.resource_version
        self.store.put(view, raw)
        return view.name
