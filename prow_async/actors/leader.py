"""Campaigns for one component's Lease, and runs the component while it is held.

core/lease decides; here are the reads, the writes, the watch and the waiting. A standby follows the Lease by a watch,
so that a released one is taken at once. A leader that loses it stops the component and becomes a standby.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import msgspec
import structlog

from prow_async.actors.fence import Fence
from prow_async.api.errors import Exists, Expired, Missing, ProwError, Refused, Retry, Stale
from prow_async.core import lease, watch
from prow_async.ports.clock import Clock
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
Act = Callable[[], Coroutine[Any, Any, None]]
QUIET_S = 0.4
"""After SIGTERM writes under way have so long to end."""
RELEASE_S = 5.0
SHORTEST_S = 0.001
"""Less is lost between two clocks: the wait would end before the time it is for, and begin again, without end."""
RELEASE_TRIES = 3


class Candidacy(msgspec.Struct, frozen=True):
    """One replica's wish to act as one component. `leases` need serve nothing but the Lease `lock` names."""

    leases: Collection
    lock: lease.Lock


class Leader:
    """One component's way from standby to leader and back.

    Args:
        component: for logs and metrics.
    """

    def __init__(self, component: str, candidacy: Candidacy, clock: Clock, metrics: Metrics) -> None:
        self._component = component
        self._leases = candidacy.leases
        self._lock = candidacy.lock
        self._clock = clock
        self._metrics = metrics
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._said = ""
        self._resigned = False
        self.inherited = False
        """True while we lead after a term that did not end in good order: its last write may be under way still."""
        self.fence = Fence(lambda: lease.held(self._lock, self._clock.monotonic()))
        self._log = log.bind(lease=candidacy.lock.name)
        self._measure()

    @property
    def leading(self) -> bool:
        return self._lock.renewed_s is not None

    async def run(self, act: Act) -> None:
        """Campaign, and run `act` while we lead, until cancelled or `resign`; losing the lease cancels `act`."""
        self._lock = lease.stepped_down(self._lock)
        self._scope = anyio.CancelScope()
        with self._scope:
            while not self._resigned:
                await self._campaign()
                await self._term(act)
        self._ended.set()

    async def resign(self) -> None:
        """Stop acting for good and give the Lease up, so that a standby takes it at once. `run` returns."""
        self._resigned = True
        self.fence.park()
        with anyio.move_on_after(QUIET_S):
            await self.fence.quiet()
        self._scope.cancel()
        with anyio.move_on_after(RELEASE_S):
            await self._ended.wait()
            if lease.wrote_ever(self._lock):
                await self._release()

    def _decide(self) -> lease.Step:
        return lease.decide(self._lock, self._clock.monotonic(), self._clock.now())

    async def _campaign(self) -> None:
        """Return once we lead."""
        while not self.leading:
            step = self._decide()
            match step:
                case lease.Look():
                    if not await self._look():
                        await anyio.sleep(self._lock.timing.retry_s)
                case lease.Write():
                    await self._write(step)
                case lease.Wait():
                    self._say(step.why)
                    await self._listen(step.until_s)
                case lease.StepDown():
                    raise AssertionError("unreachable: a standby cannot step down")

    async def _term(self, act: Act) -> None:
        """Act until the lease is lost."""
        self._said = ""
        self._log.info("leading", inherited=self.inherited, identity=self._lock.identity)
        self._metrics.count("prow_async_terms_total", component=self._component)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(act)
                why = await self._keep()
                group.cancel_scope.cancel()
            self._log.warning("no longer leading: standing by", why=why)
        finally:
            self._lock = lease.stepped_down(self._lock)
            self._measure()

    async def _keep(self) -> str:
        """Renew until the lease is lost; say why it is."""
        while True:
            step = self._decide()
            match step:
                case lease.StepDown():
                    return step.why
                case lease.Wait():
                    await anyio.sleep(self._left_s(step.until_s))
                case lease.Look():
                    if not await self._look():
                        await anyio.sleep(self._lock.timing.again_s)
                case lease.Write():
                    await self._write(step)

    def _left_s(self, until_s: float) -> float:
        return max(SHORTEST_S, until_s - self._clock.monotonic())

    def _patience_s(self) -> float:
        """Return how long a request may take: an answer later than that would be of no use."""
        now_s, timing = self._clock.monotonic(), self._lock.timing
        since_s = now_s if self._lock.renewed_s is None else self._lock.renewed_s
        return max(0.0, since_s + timing.renew_deadline_s - now_s)

    async def _look(self) -> bool:
        """Read the Lease; False: that did not work."""
        try:
            with anyio.fail_after(self._patience_s()):
                found: lease.Json | None = _read(await self._leases.get(self._lock.name))
        except Missing:
            found = None
        except (ProwError, TimeoutError, msgspec.DecodeError) as error:
            self._say(f"the lease cannot be read: {_words(error)}")
            return False
        self._observe(found)
        return True

    def _observe(self, found: lease.Json | None) -> None:
        before = self._lock
        self._lock = lease.observe(before, found, self._clock.monotonic())
        if self._lock.claim_until_s > before.claim_until_s:
            self._renewed()

    async def _write(self, step: lease.Write) -> None:
        """Create or replace the Lease. Until the answer has come, and if none comes, it may stand either way."""
        sent_s, before = self._clock.monotonic(), self._lock
        self._lock = lease.tried(before, sent_s)
        body = msgspec.json.encode(step.body)
        try:
            with anyio.fail_after(self._patience_s()):
                if step.create:
                    stored = await self._leases.create(body)
                else:
                    stored = await self._leases.replace(before.name, body)
            found = _read(stored)
        except (Stale, Exists, Missing):
            return  # somebody was faster: look who
        except (ProwError, TimeoutError, msgspec.DecodeError) as error:
            self._say(f"the lease cannot be written: {_words(error)}")
            return
        if not self.leading:
            self.inherited = bool(before.holder)
        self._lock = lease.wrote(self._lock, found, sent_s)
        self._renewed()

    async def _listen(self, until_s: float) -> None:
        """Follow the Lease until there is something to do. Where watching is refused, look again and again."""
        timing = self._lock.timing
        pause_s = timing.again_s
        with anyio.move_on_after(self._left_s(until_s)) as scope:
            try:
                if self._lock.lease is not None and await self._follow(lease.version(self._lock.lease), scope):
                    return
            except Refused as error:
                self._say(f"the lease cannot be watched, so it is read again and again: {error.why}")
                pause_s = timing.retry_s
            except (Retry, Expired, watch.Broken) as error:
                self._say(f"the watch of the lease was interrupted: {error}")
            self._lock = msgspec.structs.replace(self._lock, known=False)
            await anyio.sleep(pause_s)

    async def _follow(self, at: str, scope: anyio.CancelScope) -> bool:
        """Take in what a watch tells; True when there is something to do, False when the watch has ended.

        Each renewal puts off the end of `scope`.
        """
        async with self._leases.watch(at, initial=False) as chunks:
            lines = watch.Lines()
            async for chunk in chunks:
                for frame in lines.feed(chunk):
                    self._told(frame)
                step = self._decide()
                if not isinstance(step, lease.Wait):
                    return True
                scope.deadline = anyio.current_time() + self._left_s(step.until_s)
        return False

    def _told(self, frame: watch.Frame) -> None:
        if frame.type == "ERROR":
            raise watch.Broken(watch.stream_error(frame).message)
        if frame.type == "BOOKMARK":
            return
        found = msgspec.json.decode(frame.object, type=lease.Json)
        if (found.get("metadata") or {}).get("name") == self._lock.name:
            self._observe(None if frame.type == "DELETED" else found)

    async def _release(self) -> None:
        for _ in range(RELEASE_TRIES):
            if not self._lock.known and not await self._look():
                continue
            body = lease.release(self._lock, self._clock.now())
            if body is None:
                return
            try:
                await self._leases.replace(self._lock.name, msgspec.json.encode(body))
            except ProwError as error:
                self._lock = lease.tried(self._lock, self._clock.monotonic())
                self._say(f"the lease cannot be released: {error}")
            else:
                self._log.info("lease released")
                return

    def _say(self, why: str) -> None:
        """Log what keeps us waiting, once."""
        if why != self._said:
            self._said = why
            self._log.info("standing by" if not self.leading else "leading, with trouble", why=why)

    def _renewed(self) -> None:
        now_s = self._clock.now()
        self._metrics.gauge("prow_async_lease_renewed_timestamp_seconds", now_s, component=self._component)
        self._measure()

    def _measure(self) -> None:
        metrics, lock, component = self._metrics, self._lock, self._component
        metrics.gauge("prow_async_leading", 1.0 if self.leading else 0.0, component=component)
        if lock.lease is not None:
            metrics.gauge("prow_async_lease_transitions", lease.transitions(lock.lease), component=component)


def _read(raw: bytes) -> lease.Json:
    return msgspec.json.decode(raw, type=lease.Json)


def _words(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)
