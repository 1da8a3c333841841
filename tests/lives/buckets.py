"""Object storage of a life: every object of every bucket, each state it ever had, and a door to it for each process."""

import anyio
import anyio.lowlevel

from prow_async.api.errors import Missing, Retry
from prow_async.ports.blobs import PLAIN, Attributes
from prow_async.sandbox.faults import Fault
from tests.lives.ice import Ice
from tests.lives.trouble import Trouble


class Buckets:
    """What is stored: for each bucket and path all contents there ever were, oldest first."""

    def __init__(self) -> None:
        self.contents: dict[tuple[str, str], list[bytes]] = {}


class Door:
    """Implements ports/blobs.Storage for one process."""

    def __init__(self, buckets: Buckets, trouble: Trouble, ice: Ice) -> None:
        self._buckets = buckets
        self._trouble = trouble
        self._ice = ice

    async def get(self, bucket: str, path: str, most_bytes: int) -> bytes:
        await self._before("GET", path)
        states = self._buckets.contents.get((bucket, path))
        await self._after("GET", path)
        if not states:
            raise Missing(f"there is no {path} in {bucket}")
        return states[-1][:most_bytes]

    async def put(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> None:
        await self._before("PUT", path)
        self._buckets.contents.setdefault((bucket, path), []).append(content)
        await self._after("PUT", path)

    async def put_new(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        await self._before("PUT", path)
        new = (bucket, path) not in self._buckets.contents
        if new:
            self._buckets.contents[bucket, path] = [content]
        await self._after("PUT", path)
        return new

    async def _before(self, method: str, path: str) -> None:
        await anyio.lowlevel.checkpoint()
        await self._ice.out.passing(method, path)
        await _play(self._trouble.before(method, path))

    async def _after(self, method: str, path: str) -> None:
        await _play(self._trouble.after(method, path, 200))
        await self._ice.back.passing(method, path)


async def _play(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.kind != "delay":
        raise Retry(f"storage: {fault.status or 'the connection broke'}", after_s=fault.retry_after_s)
    await anyio.sleep(fault.delay_s)
