"""A process whose disk takes nothing for a while. Run as `python -m tests.contract.inbox_cramped FOLDER CASE`.

The limit on file sizes plays the disk: writes behind it fail, as they do on a full one, and go on when it is lifted.
It is a limit of a whole process, so this is not for the tests' own.
"""

import resource
import signal
import sys
from pathlib import Path

import anyio

from prow_async.adapters.inbox.store import Settings
from prow_async.api.errors import Retry
from tests.contract.inbox_parts import accept, body, guid, inbox, waiting

SIZES = Settings(segment_bytes=64 << 10, spares=0)


def limit(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


async def no_room(folder: Path) -> None:
    """No new file fits: deliveries are refused, words about accepted ones still go through, until there is room."""
    async with inbox(folder, SIZES) as box:
        limit(60 << 10)
        seqs: list[int] = []
        refused: list[str] = []
        for number in range(100):
            try:
                seqs.append(await accept(box, number, 1000))
            except Retry as error:
                refused.append(error.why)
        assert 20 < len(seqs) < 70, len(seqs)
        assert len(refused) == 100 - len(seqs)
        assert all("no room" in why for why in refused), refused
        await box.finish(seqs[0], "done on a full disk")
        limit(resource.RLIM_INFINITY)
        for number in range(len(seqs), 100):
            await accept(box, number, 1000)
    async with inbox(folder, SIZES) as box:
        assert set(await waiting(box)) == {guid(number) for number in range(1, 100)}


async def broken_write(folder: Path) -> None:
    """A write fails half-way: nobody in it is promised anything; the same deliveries are welcome afterwards."""
    async with inbox(folder, SIZES) as box:
        for number in range(5):
            await accept(box, number, 1000)
        limit(12_000)
        for number in (5, 5, 6):
            try:
                await accept(box, number, 9000)
            except Retry:
                continue
            raise AssertionError("a write behind the limit went through")
        limit(resource.RLIM_INFINITY)
        assert set(await waiting(box)) == {guid(number) for number in range(5)}
        for number in (5, 6, 7):
            await accept(box, number, 9000)
        assert not (await box.accept(guid(5), "push", {}, b"")).new
    async with inbox(folder, SIZES) as box:
        found = await box.pending(0, 100)
        assert [delivery.guid for delivery in found] == [guid(number) for number in range(8)]
        assert found[5].body == body(5, 9000)


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    anyio.run({"no_room": no_room, "broken_write": broken_write}[sys.argv[2]], Path(sys.argv[1]))
