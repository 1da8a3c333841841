"""Object storage without blocking: each bucket's calls in threads of its own. Implements ports/blobs.Storage."""

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from prow_async.api.errors import Refused, Retry
from prow_async.ports import permit
from prow_async.ports.blobs import PLAIN, Attributes, Blobs

T = TypeVar("T")
AT_ONCE = 24
"""Calls to one bucket."""
KEPT = 64
"""Buckets that stay open."""
LONGEST_S = 60.0
"""A call that takes longer is given up; its thread ends when the library gives up too."""


class ThreadedStorage:
    """All buckets.

    Args:
        open_bucket: opens one. Raises Refused.
        may_open: says which buckets may be opened at all.
    """

    def __init__(self, open_bucket: Callable[[str], Blobs], may_open: Callable[[str], bool] = lambda _: True) -> None:
        self._open = open_bucket
        self._may_open = may_open
        self._buckets: OrderedDict[str, tuple[Blobs, anyio.CapacityLimiter]] = OrderedDict()

    async def get(self, bucket: str, path: str, most_bytes: int) -> bytes:
        return await self._call(bucket, path, lambda blobs: blobs.get(path, 0, most_bytes))

    async def put(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> None:
        await self._call(bucket, path, _permitted(lambda blobs: blobs.put(path, content, attributes)))

    async def put_new(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        return await self._call(bucket, path, _permitted(lambda blobs: blobs.put_new(path, content, attributes)))

    async def _call(self, bucket: str, path: str, work: Callable[[Blobs], T]) -> T:
        if not self._may_open(bucket):
            raise Refused(f"{bucket} is named nowhere in the configuration: it is not written to", reason="BadName")
        try:
            with anyio.fail_after(LONGEST_S):
                blobs, limiter = await self._bucket(bucket)
                return await anyio.to_thread.run_sync(
                    functools.partial(work, blobs), abandon_on_cancel=True, limiter=limiter
                )
        except TimeoutError as error:
            raise Retry(f"{path} in {bucket}: no answer in {LONGEST_S:.0f} s") from error

    async def _bucket(self, bucket: str) -> tuple[Blobs, anyio.CapacityLimiter]:
        """Open a bucket once. Looking for credentials may take a second, so that is done in a thread too."""
        if bucket not in self._buckets:
            opened = await anyio.to_thread.run_sync(self._open, bucket, abandon_on_cancel=True)
            self._buckets.setdefault(bucket, (opened, anyio.CapacityLimiter(AT_ONCE)))
            while len(self._buckets) > KEPT:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(bucket)
        return self._buckets[bucket]


def _permitted(work: Callable[[Blobs], T]) -> Callable[[Blobs], T]:
    """Let work that writes ask for its permit once it has a thread: it may have waited for one for long."""

    def begun(blobs: Blobs) -> T:
        permit.check()
        return work(blobs)

    return begun
