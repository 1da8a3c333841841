"""Everything that goes wrong on the way to a world, by dice; and the sudden death after an effective write."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio

from prow_async.adapters.kube import answers
from prow_async.api.errors import Retry
from prow_async.ports.clock import Clock
from prow_async.ports.transport import Reply, Transport
from prow_async.sandbox.faults import Fault
from tests.lives.plan import FAIR, Weather

FOREVER_S = 1e9
_FOREVER = Fault("delay", delay_s=FOREVER_S)
_LONG_S = 45.0
Died = Callable[[str], bool]
"""Told of each effective write, in words; true when the writer dies of it."""


class Trouble:
    """Implements sandbox/faults.Faults for one process at one door.

    Args:
        statuses: errors that this server answers with, before and after the work.
        died: see `Died`.
    """

    def __init__(
        self, weather: Weather, dice: random.Random, clock: Clock, statuses: tuple[tuple[int, ...], ...], died: Died
    ) -> None:
        self.weather = weather
        self.dice = dice
        self._clock = clock
        self._before, self._after = statuses
        self._died = died

    def clear_up(self) -> None:
        """From now on nothing goes wrong, but what has gone wrong stays so."""
        self.weather = FAIR

    @property
    def away(self) -> bool:
        now_s = anyio.current_time()
        return any(since_s <= now_s < until_s for since_s, until_s in self.weather.outages)

    def before(self, method: str, path: str) -> Fault | None:
        weather, dice = self.weather, self.dice
        if self.away:
            return Fault("drop")
        roll = dice.random()
        if roll < weather.before:
            return self._error(self._before)
        if method in {"POST", "PATCH"} and 409 in self._before and dice.random() < weather.conflict:
            return Fault("answer", 409)
        return self._delay()

    def after(self, method: str, path: str, status: int) -> Fault | None:
        if method != "GET" and status < 300 and self._died(f"{method} {path.partition('?')[0]}"):
            return _FOREVER
        if self.dice.random() < self.weather.after:
            return self._error(self._after)
        return self._delay()

    def line(self, line: bytes) -> list[bytes] | None:
        weather, dice = self.weather, self.dice
        if self.away or dice.random() < weather.cut:
            return None
        lines = [line]
        if dice.random() < weather.double:
            lines.append(line)
        return lines

    def _error(self, statuses: tuple[int, ...]) -> Fault:
        status = self.dice.choice((0, *statuses))
        if status in {0, 409}:
            return Fault("drop")
        asked = status in {403, 429} or self.dice.random() < 0.2
        return Fault("answer", status, float(self.dice.choice([1, 4, 20])) if asked else None)

    def _delay(self) -> Fault | None:
        dice = self.dice
        if dice.random() < self.weather.delay:
            return Fault("delay", delay_s=_LONG_S if dice.random() < 0.02 else dice.expovariate(2.0))
        return None


class Wire:
    """A Transport whose watches are late or fall silent; all else passes."""

    def __init__(self, inner: Transport, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[Reply]:
        async with self._inner.send(method, path, headers, body) as reply:
            yield _Slow(reply, self._trouble) if "watch=true" in path and reply.status == 200 else reply


class _Slow:
    """A watch's answer. Its outage is noticed at once: the connection breaks."""

    def __init__(self, inner: Reply, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble

    @property
    def status(self) -> int:
        return self._inner.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        trouble = self._trouble
        async with answers.pieces(self._inner) as pieces:
            async for piece in pieces:
                await self._delayed(trouble)
                yield piece

    async def _delayed(self, trouble: Trouble) -> None:
        if trouble.away:
            raise Retry("the connection broke")
        if trouble.dice.random() < trouble.weather.late:
            await anyio.sleep(trouble.dice.expovariate(0.5))
        if trouble.dice.random() < trouble.weather.silent:
            await anyio.sleep(FOREVER_S)
