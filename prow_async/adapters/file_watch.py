"""Wakes who reads files when they may have changed: told by the kernel, and at intervals for what announces nothing."""

import contextlib
import math
from collections.abc import AsyncGenerator, Sequence

import anyio
import structlog
import watchfiles
from anyio.streams.memory import MemoryObjectSendStream

log = structlog.get_logger()
RESCAN_S = 10.0
_SETTLE_MS = 150

Folders = tuple[Sequence[str], bool]
"""Folders, and whether everything below them counts. Watch the folder of a file: mounts and editors replace files."""


@contextlib.asynccontextmanager
async def changes(folders: Sequence[Folders], rescan_s: float = RESCAN_S) -> AsyncGenerator[AsyncGenerator[None]]:
    """Hand out a stream that yields at once, whenever something in the folders may have changed, and every `rescan_s`.

    News that comes while nobody asks is one item.
    """
    wake, woken = anyio.create_memory_object_stream[None](1)
    stop = anyio.Event()

    async def items() -> AsyncGenerator[None]:
        async for _ in woken:
            yield

    async with wake, woken, anyio.create_task_group() as group:  # the streams outlive who writes to them
        group.start_soon(_set_when_cancelled, stop)
        for names, recursive in folders:
            group.start_soon(_notify, names, recursive, stop, wake)
        group.start_soon(_tick, rescan_s, wake)
        _nudge(wake)
        async with contextlib.aclosing(items()) as stream:
            yield stream
        group.cancel_scope.cancel()


async def _set_when_cancelled(stop: anyio.Event) -> None:
    """Tell watchfiles' threads to end: they do not see a cancellation themselves."""
    try:
        await anyio.sleep(math.inf)
    finally:
        stop.set()


async def _notify(
    folders: Sequence[str], recursive: bool, stop: anyio.Event, wake: MemoryObjectSendStream[None]
) -> None:
    try:
        async for _ in watchfiles.awatch(
            *folders, watch_filter=None, debounce=_SETTLE_MS, stop_event=stop, recursive=recursive
        ):
            _nudge(wake)
    except (OSError, RuntimeError) as error:
        log.warning("folders cannot be watched; looking at intervals", folders=list(folders), error=str(error))


async def _tick(every_s: float, wake: MemoryObjectSendStream[None]) -> None:
    while True:
        await anyio.sleep(every_s)
        _nudge(wake)


def _nudge(wake: MemoryObjectSendStream[None]) -> None:
    with contextlib.suppress(anyio.WouldBlock):
        wake.send_nowait(None)
