"""Reads: shared while in flight, remembered by their ETag, repeated after trouble."""

import copy
from collections.abc import Awaitable, Callable

import anyio
import structlog

from prow_async.adapters.github import paths
from prow_async.adapters.github.credentials import Credentials
from prow_async.adapters.github.etags import EtagCache, Key
from prow_async.adapters.github.wire import Ask, Options, Pass, Raw
from prow_async.api.errors import Missing, ProwError, Retry
from prow_async.ports import cause as causes
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
Send = Callable[[Ask, Pass, dict[str, str]], Awaitable[Raw]]
"""Sends one request on a pass, with further headers."""


VIEWS = 10_000


class _Flight:
    """A read on its way, and everybody waiting for the same."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        """Lower is more urgent."""
        self.landed = anyio.Event()
        self.answer: Raw | None = None
        self.error: ProwError | None = None


class Flights:
    """Identical reads in flight at once are made once; each who waits hears its answer or an error of its own.

    A read that begins after a write of ours has ended never shares the answer of one that began before; and none waits
    for a less urgent one, which lets others go first and gives up sooner when the budget runs short.
    """

    def __init__(self) -> None:
        self._flights: dict[tuple[Ask, str, int], _Flight] = {}
        self._writes_done = 0

    def wrote(self) -> None:
        self._writes_done += 1

    async def share(self, ask: Ask, view: str, read: Callable[[], Awaitable[Raw]]) -> tuple[Raw, bool]:
        """Read, or wait for who reads the same; say whether the answer is somebody else's."""
        key, rank = (ask, view, self._writes_done), causes.URGENCIES.index(causes.current().urgency)
        while (flight := self._flights.get(key)) is not None and flight.rank <= rank:
            await flight.landed.wait()
            if flight.answer is not None:
                return flight.answer, True
            if flight.error is not None:
                raise copy.copy(flight.error) from flight.error
        flight = self._flights[key] = _Flight(rank)
        try:
            flight.answer = await read()
            return flight.answer, False
        except ProwError as error:
            flight.error = error
            raise
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.landed.set()


class Memory:
    """Puts the ETag cache around a way to send; counts in upstream's words what came of it."""

    def __init__(self, cache: EtagCache, credentials: Credentials, metrics: Metrics, component: str) -> None:
        self._cache = cache
        self._credentials = credentials
        self._metrics = metrics
        self._component = component
        self._views: set[str] = set()

    def key(self, ask: Ask, travel: Pass) -> Key:
        return Key(travel.view, ask.accept, ask.path)

    async def send(self, ask: Ask, travel: Pass, send: Send) -> Raw:
        if ask.method != "GET":
            answer = await send(ask, travel, {})
            self.count("SKIP" if not ask.reads else "NO-STORE", ask, travel)
            return answer
        key = self.key(ask, travel)
        kept = await self._cache.get(key)
        status, headers, body = await send(ask, travel, {"if-none-match": kept.etag} if kept else {})
        if status == 304 and kept is not None:
            self.count("REVALIDATED", ask, travel)
            age_s = max(0.0, self._cache.now() - kept.stored_s)
            self._metrics.observe("ghcache_cache_entry_age_seconds", age_s, **self._labels(ask, travel))
            return 200, {**headers, **kept.headers}, kept.body
        mode = "ERROR" if status >= 400 else "NO-STORE"
        if status == 200 and await self._cache.put(key, headers, body):
            mode = "CHANGED" if kept else "MISS"
            self._seen(travel)
        self.count(mode, ask, travel)
        return status, headers, body

    async def forget(self, ask: Ask) -> None:
        """What was kept does not read: it shall not be taken for unchanged."""
        await self._cache.forget(self.key(ask, await self._credentials.travel(ask)))

    def count(self, mode: str, ask: Ask, travel: Pass) -> None:
        self._metrics.count("ghcache_responses", mode=mode, **self._labels(ask, travel))

    def _labels(self, ask: Ask, travel: Pass) -> dict[str, str]:
        path = paths.simplify(ask.path.partition("?")[0])
        return {"path": path, "user_agent": self._component, "token_hash": travel.who}

    def _seen(self, travel: Pass) -> None:
        if travel.view not in self._views:
            if len(self._views) >= VIEWS:
                self._views.clear()
            self._views.add(travel.view)
            self._metrics.count("ghcache_cache_partitions", token_hash=travel.who)


async def patiently(ask: Ask, options: Options, read: Callable[[], Awaitable[Raw]]) -> Raw:
    """Read, again and again while that may help and does not take too long. Raises what the last try raised."""
    failures = 0
    while True:
        try:
            return await read()
        except (Retry, Missing) as trouble:
            failures += 1
            wait_s = _wait_s(trouble, failures, ask, options)
            if wait_s is None:
                raise
            log.info("reading from GitHub again", request=ask.shown, wait_s=round(wait_s, 1), why=str(trouble))
        await anyio.sleep(wait_s)


def _wait_s(trouble: Retry | Missing, failures: int, ask: Ask, options: Options) -> float | None:
    """Return how long to wait before the next try; None: there is none."""
    wait_s = options.first_wait_s * 2.0 ** (failures - 1)
    if isinstance(trouble, Missing):
        budget, longest_s = 0 if ask.question else options.missing_retries, options.longest_wait_s
    else:
        limited = trouble.status in (403, 429)
        budget = options.read_retries
        longest_s = min(options.longest_wait_s, options.longest_limit_wait_s) if limited else options.longest_wait_s
        wait_s = wait_s if trouble.after_s is None else trouble.after_s
    return None if failures > budget or wait_s > longest_s else wait_s
