"""What the inbox's tests share: a clock they set, deliveries with distinct names, small segments."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import anyio

from prow_async.adapters.inbox import durable
from prow_async.adapters.inbox.store import Settings

SMALL = Settings(segment_bytes=64 << 10, spares=1, carry_above=2)
TIDY_S = 60.0
HEADERS = {"X-GitHub-Event": "push", "Content-Type": "application/json"}


class SetClock:
    def __init__(self, at_s: float = 1_700_000_000.0) -> None:
        self.at_s = at_s

    def now(self) -> float:
        return self.at_s


def guid(number: int) -> str:
    return str(UUID(int=number, version=4))


def body(number: int, size_bytes: int = 300) -> bytes:
    return (b'{"number":%d,"padding":"' % number).ljust(size_bytes - 2, b"x") + b'"}'


@asynccontextmanager
async def inbox(
    folder: Path, settings: Settings = SMALL, clock: SetClock | None = None
) -> AsyncIterator[durable.DurableInbox]:
    async with durable.opened(folder, clock or SetClock(), settings) as opened:
        yield opened


async def accept(box: durable.DurableInbox, number: int, size_bytes: int = 300) -> int:
    """Accept delivery `number`, for the first time; return its sequence number."""
    found = await box.accept(guid(number), "push", HEADERS, body(number, size_bytes))
    assert found.new
    return found.seq


async def pass_through(box: durable.DurableInbox, numbers: range, size_bytes: int) -> None:
    """Accept and finish deliveries, many at a time."""

    async def one(number: int) -> None:
        await box.finish(await accept(box, number, size_bytes))

    for first in numbers[::20]:
        async with anyio.create_task_group() as group:
            for number in range(first, min(first + 20, numbers.stop)):
                group.start_soon(one, number)


async def waiting(box: durable.DurableInbox) -> dict[str, bytes]:
    """Return the bodies of all deliveries that wait, by GUID."""
    found: dict[str, bytes] = {}
    last = 0
    while batch := await box.pending(last, 50):
        found |= {delivery.guid: delivery.body for delivery in batch}
        last = batch[-1].seq
    return found


async def tidied(folder: Path, most: int) -> None:
    """Wait until the folder holds so few log files: tidying goes on beside the writing, a busy disk makes it late."""
    with anyio.fail_after(TIDY_S):
        while len(log_files(folder)) > most:
            await anyio.sleep(0.05)


def log_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.log"))
