"""Stands between a component's decisions and its writes: open while the component's lease is held.

The executor asks before each try, and adapters ask once more where a write has to wait before it leaves (ports/permit).
What has left may still be under way when the lease runs out; what then makes it harmless are its names and conditions
(docs/decisions/0003-leases-and-fences.md).
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from prow_async.api.errors import Retry


class Fenced(Retry):
    """Nothing was sent. The component's actors are about to be stopped; whoever leads then decides anew."""


class Fence:
    """One component's fence.

    Args:
        held: asked before each write.
    """

    def __init__(self, held: Callable[[], bool]) -> None:
        self._held = held
        self._parking = False
        self._under_way = 0
        self._quiet = anyio.Event()

    async def enter(self) -> None:
        """Return if a write may be sent now. Raises Fenced when the lease is not held."""
        if self._parking:
            await anyio.sleep_forever()
        self.check()

    def check(self) -> None:
        """As `enter`, for a write that has passed and waited since: it may have waited for longer than the lease."""
        if not self._held():
            raise Fenced("not written: the lease of this component is not held here any more")

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Send a write within; see `enter`."""
        await self.enter()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    def park(self) -> None:
        """From now on let writers wait: they are about to be cancelled."""
        self._parking = True

    async def quiet(self) -> None:
        """Return once no write is under way."""
        while self._under_way:
            self._quiet = anyio.Event()
            await self._quiet.wait()


OPEN = Fence(lambda: True)
"""Of what needs no lease."""
