"""A process that stands still: its clock stops, and nothing leaves it and nothing reaches it until it is thawed.

What it was about to send when it froze is sent then, whoever leads by that time: as when a process is stopped between
the look at its fence and its write. The moment is chosen by the plan, as a number among the requests of all replicas.

A process that stands still does not run; here its timers go off all the same. Whatever it does so belongs to the time
when it has thawed, and that is the time at which it looks at its fences: see `Ice.fence_s`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from prow_async.ports.clock import Clock
from prow_async.ports.transport import Reply, Transport
from tests.lives.plan import Freeze

Told = Callable[[str], None]
Sent = Callable[[str, str], None]
"""Told of each write that leaves a process which is not frozen."""
Late = Callable[[str, str, bytes], None]
"""Told of each request, with its body, that the process had sent before it froze and that leaves it only now."""


class Gate:
    """One way, out or back."""

    def __init__(self, ice: "Ice", strikes: Callable[[str, str], None]) -> None:
        self._ice = ice
        self._strikes = strikes

    async def passing(self, method: str, path: str) -> bool:
        """Return once this request, or its answer, may go on; True when it had to wait for that."""
        if not self._ice.frozen:
            self._strikes(method, path)
        waits = self._ice.frozen
        await self._ice.thawed()
        return waits


class Freezes:
    """Counts the requests of all replicas (Leases and watches aside) and says at which of them somebody freezes."""

    def __init__(self, freezes: tuple[Freeze, ...], told: Told) -> None:
        self._left = list(freezes)
        self._told = told
        self.tasks: anyio.abc.TaskGroup | None = None
        self._asked = 0
        self.happened = 0

    def none(self) -> None:
        """Nobody freezes from now on."""
        self._left = []

    def strikes(self, ice: "Ice", method: str, path: str, answered: bool) -> None:
        if not self._left or "/leases" in path or "watch=true" in path:
            return
        self._asked += not answered
        first = self._left[0]
        if self._asked < first.request or first.answered != answered:
            return
        self._left.pop(0)
        assert self.tasks is not None
        self.happened += 1
        self._told(f"FROZEN for {first.for_s:.0f} s at {'the answer to' * answered} {method} {path}")
        ice.freeze(first.for_s)
        self.tasks.start_soon(self._thaw, ice, first.for_s)

    async def _thaw(self, ice: "Ice", after_s: float) -> None:
        await anyio.sleep(after_s)
        if ice.frozen:
            self._told("thawed")
            ice.thaw()


class Ice:
    """One process's clock, and the gates its requests pass.

    Args:
        freezes: None for a process that never freezes.
    """

    def __init__(
        self,
        clock: Clock,
        freezes: Freezes | None = None,
        sent: Sent = lambda method, path: None,
        late: Late = lambda method, path, body: None,
    ) -> None:
        self._clock = clock
        self.late = late
        self._freezes = freezes
        self._sent = sent
        self._stands_s: float | None = None
        self._thaws_s = 0.0
        self._thawed = anyio.Event()
        self.out, self.back = Gate(self, self._leaving), Gate(self, self._arriving)

    @property
    def frozen(self) -> bool:
        return self._stands_s is not None

    def freeze(self, for_s: float) -> None:
        self._stands_s, self._thawed = self._clock.monotonic(), anyio.Event()
        self._thaws_s = self._stands_s + for_s

    def thaw(self) -> None:
        self._stands_s = None
        self._thawed.set()

    async def thawed(self) -> None:
        while self.frozen:
            await self._thawed.wait()

    def now(self) -> float:
        return self._clock.now() - self._behind_s

    def monotonic(self) -> float:
        return self._clock.monotonic() - self._behind_s

    def fence_s(self) -> float:
        """Return the monotonic time by which a fence is looked at. Who gets there in the very moment of the freeze has
        looked before it, and waits, say, for a connection.
        """
        return self._thaws_s if self.frozen and self._behind_s > 0 else self.monotonic()

    @property
    def _behind_s(self) -> float:
        return 0.0 if self._stands_s is None else self._clock.monotonic() - self._stands_s

    def _leaving(self, method: str, path: str) -> None:
        if method != "GET":
            self._sent(method, path)
        if self._freezes is not None:
            self._freezes.strikes(self, method, path, False)

    def _arriving(self, method: str, path: str) -> None:
        if self._freezes is not None:
            self._freezes.strikes(self, method, path, True)


class Wire:
    """A Transport through the gates."""

    def __init__(self, inner: Transport, ice: Ice) -> None:
        self._inner = inner
        self._ice = ice

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[Reply]:
        if await self._ice.out.passing(method, path):
            self._ice.late(method, path, body)
        async with self._inner.send(method, path, headers, body) as reply:
            await self._ice.back.passing(method, path)
            yield _Followed(reply, self._ice) if "watch=true" in path else reply


class _Followed:
    """A watch's answer, whose lines wait while the process stands still."""

    def __init__(self, inner: Reply, ice: Ice) -> None:
        self._inner, self._ice = inner, ice
        self.status, self.headers = inner.status, inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            await self._ice.thawed()
            yield chunk
