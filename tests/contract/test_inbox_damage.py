"""A log whose end is torn, or whose files are damaged or from a newer version."""

import random
import shutil
import sqlite3
import struct
import zlib
from pathlib import Path

import anyio
import pytest

from prow_async.adapters.inbox import durable, records, segment
from prow_async.api.errors import CannotStart
from tests.contract.inbox_parts import SMALL, accept, body, guid, inbox, log_files, pass_through, waiting

pytestmark = pytest.mark.anyio
COUNT = 30


def newest(folder: Path) -> Path:
    return max(folder.glob("0*.log"))


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("0*.log")}


async def filled(folder: Path) -> tuple[Path, int]:
    """Accept some deliveries; return the file they lie in, and the byte behind the last of them."""
    async with inbox(folder) as box:
        for number in range(COUNT):
            await accept(box, number)
        (current,) = box._store._index.segments.values()
        return current.path, current.end


@pytest.mark.parametrize("seed", range(8))
async def test_a_torn_end_is_cut_and_the_log_goes_on(tmp_path: Path, seed: int) -> None:
    """However the last write broke off, what lies before it is there, and no number is given twice."""
    rng = random.Random(seed)
    path, end = await filled(tmp_path / "origin")
    for turn in range(4):
        folder = tmp_path / str(turn)
        shutil.copytree(tmp_path / "origin", folder)
        torn = rng.randrange(segment.FIRST_RECORD, end)
        content = bytearray((folder / path.name).read_bytes())
        length = rng.randint(1, end - torn)
        kind = rng.choice(["zeros", "noise", "flipped"])
        if kind == "zeros":
            content[torn : torn + length] = bytes(length)
        elif kind == "noise":
            content[torn : torn + length] = rng.randbytes(length)
        else:
            content[torn] ^= 1 << rng.randrange(8)
        (folder / path.name).write_bytes(content)
        async with inbox(folder) as box:
            found = await waiting(box)
            assert found == {guid(number): body(number) for number in range(len(found))}
            last = max([delivery.seq for delivery in await box.pending(0, 100)], default=0)
            assert await accept(box, 500) > last
            # The senders were not answered, or are sent to again: what was cut off comes in anew.
            lost = [number for number in range(COUNT) if guid(number) not in found]
            async with anyio.create_task_group() as group:
                for number in lost:
                    group.start_soon(accept, box, number)
        async with inbox(folder) as box:
            assert set(await waiting(box)) == {guid(number) for number in [*range(COUNT), 500]}


async def test_old_records_in_a_file_used_again_are_not_read(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        await pass_through(box, range(600), 2000)
        assert not await waiting(box)
        await accept(box, 1000)
    for _ in range(3):
        async with inbox(tmp_path) as box:
            assert set(await waiting(box)) == {guid(1000)}


@pytest.mark.parametrize("at", ["header", "description"])
async def test_a_record_damaged_on_the_disk_is_left_out(tmp_path: Path, at: str) -> None:
    """The others are handled."""
    async with inbox(tmp_path) as box:
        box._fresh = durable.Fresh(0)  # nothing is read from memory
        seqs = [await accept(box, number) for number in range(3)]
        place = box._store._index.waiting[seqs[1]].place
        spoil(newest(tmp_path), place.offset + (0 if at == "header" else records.RECORD.size))
        assert set(await waiting(box)) == {guid(0), guid(2)}
        assert await accept(box, 3)


def spoil(path: Path, byte: int) -> None:
    with path.open("r+b") as file:
        file.seek(byte)
        file.write(b"\xff" * 8)


async def test_a_file_without_its_title_is_set_aside(tmp_path: Path) -> None:
    path, _ = await filled(tmp_path)
    with path.open("r+b") as file:
        file.write(bytes(64))
    async with inbox(tmp_path) as box:
        assert await waiting(box) == {}
        assert path.with_suffix(".damaged").exists()
        await accept(box, 500)


async def test_leftovers_of_preparing_are_cleared_away(tmp_path: Path) -> None:
    (tmp_path / "spare-new").write_bytes(b"half")
    (tmp_path / "spare-7.log").write_bytes(b"half")
    async with inbox(tmp_path) as box:
        await accept(box, 1)
        assert "spare-7.log" not in log_files(tmp_path) or (
            (tmp_path / "spare-7.log").stat().st_size == SMALL.segment_bytes
        )


def newer_segment(folder: Path) -> None:
    path = newest(folder)
    title = segment._TITLE.pack(segment._MAGIC, segment.FORMAT + 1, 1, 1)
    with path.open("r+b") as file:
        file.write(title + struct.pack("<I", zlib.crc32(title)))


def newer_keys(folder: Path) -> None:
    database = sqlite3.connect(folder / "keys.db")
    database.execute("pragma user_version = 2")
    database.close()


def no_keys(folder: Path) -> None:
    (folder / "keys.db").write_bytes(b"this is no database at all, but long enough to be looked at" * 100)
    for rest in folder.glob("keys.db-*"):
        rest.unlink()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (newer_segment, r"^inbox cannot be read: .*\.log has format 2, this version knows 1$"),
        (newer_keys, r"keys\.db has format 2, this version knows 1$"),
        (no_keys, r"file is not a database"),
    ],
)
async def test_what_cannot_be_used_is_one_clear_line(tmp_path: Path, change: object, line: str) -> None:
    """Nothing is changed, and the folder is free again."""
    await filled(tmp_path)
    assert callable(change)
    change(tmp_path)
    before = stamps(tmp_path)
    for _ in range(2):
        with pytest.raises(CannotStart, match=line) as told:
            async with inbox(tmp_path):
                pass
        assert "\n" not in str(told.value)
    assert stamps(tmp_path) == before
