"""One file of the intake log: a fixed size on disk from the start, filled from its front, then used again.

Space that is on disk already makes it cheap to wait for the disk: nothing but the bytes themselves has to be written.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from prow_async.adapters.inbox import records

FORMAT = 1
FIRST_RECORD = 4096
_MAGIC = b"PROWINBX"
_TITLE = struct.Struct("<8sIxxxxQQ")
"""Magic, format, segment number, and the first sequence number not used before this segment."""
_ZEROS = bytes(1 << 20)

_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC
"""A write returns once it is on the disk: one call in place of two, after each of which this thread has to get the
interpreter back from the event loop."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a record lies."""

    segment: int
    offset: int
    description_bytes: int
    body_bytes: int

    @property
    def size_bytes(self) -> int:
        return records.RECORD.size + self.description_bytes + self.body_bytes


class Found(msgspec.Struct, frozen=True, gc=False):
    """One record met by a scan."""

    place: Place
    description: records.Description


class Damaged(OSError):
    """A record is not what was written."""


class Newer(Exception):
    """The file was written by a newer version of this program."""


class Segment:
    """An open segment file. `end` is where the next record goes; a scan finds it."""

    def __init__(self, path: Path, descriptor: int, number: int, first_seq: int, size_bytes: int) -> None:
        self.path = path
        self.number = number
        self.first_seq = first_seq
        self.size_bytes = size_bytes
        self.end = FIRST_RECORD
        self.live_bytes = 0
        """Bytes of records that are still needed."""
        self.torn = False
        """True when a scan met a group of this segment that is not whole."""
        self._descriptor = descriptor

    @classmethod
    def title(cls, spare: Path, path: Path, number: int, first_seq: int) -> "Segment":
        """Make a spare file the segment `number`, durably. Raises OSError and leaves the spare behind."""
        descriptor = os.open(spare, _OPEN)
        try:
            title = _TITLE.pack(_MAGIC, FORMAT, number, first_seq)
            _write_all(descriptor, [title + struct.pack("<I", zlib.crc32(title))], 0)
            spare.rename(path)
            sync_folder(path.parent)
            return cls(path, descriptor, number, first_seq, os.fstat(descriptor).st_size)
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def title_of(cls, head: bytes | memoryview) -> tuple[int, int] | None:
        """Read a title: number and first sequence number; None when it is torn, or no segment's. Raises Newer."""
        head = bytes(head[: _TITLE.size + 4])
        if len(head) < _TITLE.size + 4 or zlib.crc32(head[:-4]) != int.from_bytes(head[-4:], "little"):
            return None
        magic, version, number, first_seq = _TITLE.unpack(head[:-4])
        if magic == _MAGIC and version > FORMAT:
            raise Newer(f"has format {version}, this version knows {FORMAT}")
        return (number, first_seq) if magic == _MAGIC else None

    @classmethod
    def open(cls, path: Path) -> "Segment | None":
        """Open an existing segment; None when its title is torn (no record can have followed). Raises Newer."""
        descriptor = os.open(path, _OPEN)
        try:
            title = cls.title_of(os.pread(descriptor, _TITLE.size + 4, 0))
        except Newer as error:
            os.close(descriptor)
            raise Newer(f"{path} {error}") from error
        if title is None:
            os.close(descriptor)
            return None
        return cls(path, descriptor, *title, os.fstat(descriptor).st_size)

    def scan(self) -> Iterator[Found]:
        """Yield the records from the front up to the first group that is not whole, and set `end` there."""
        self.end = FIRST_RECORD
        while self.end + records.GROUP.size <= self.size_bytes:
            raw = os.pread(self._descriptor, records.GROUP.size, self.end)
            if len(raw) < records.GROUP.size:
                return
            head = records.GroupHead.read(raw)
            start = self.end + records.GROUP.size
            if head.segment != self.number or start + head.size_bytes > self.size_bytes:
                return
            joined = os.pread(self._descriptor, head.size_bytes, start)
            if not head.fits(joined):
                self.torn = True
                return
            self.end = start + head.size_bytes
            for offset, kind, description_bytes, body_bytes in records.split(joined):
                described = offset + records.RECORD.size
                description = records.read_description(kind, joined[described : described + description_bytes])
                yield Found(Place(self.number, start + offset, description_bytes, body_bytes), description)

    def room_bytes(self) -> int:
        """How many bytes of records one more group can hold."""
        return self.size_bytes - self.end - records.GROUP.size

    def append(self, pieces: Sequence[bytes]) -> int:
        """Write a group at the end and wait until it is on the disk; return where its first record begins.

        Raises OSError; then nothing counts as written.
        """
        head, joined = records.group(self.number, pieces)
        _write_all(self._descriptor, [head, joined], self.end)
        start = self.end + len(head)
        self.end = start + len(joined)
        return start

    def read(self, place: Place) -> tuple[bytes, bytes]:
        """Return a record's description and body. Raises Damaged, or OSError when the disk does not give it."""
        record = os.pread(self._descriptor, place.size_bytes, place.offset)
        start = records.RECORD.size
        if len(record) != place.size_bytes or records.RECORD.unpack_from(record)[1:] != (
            place.description_bytes,
            place.body_bytes,
        ):
            raise Damaged(f"{self.path}: there is no record at byte {place.offset}")
        return record[start : start + place.description_bytes], record[start + place.description_bytes :]

    def close(self) -> None:
        os.close(self._descriptor)


def make_spare(path: Path, size_bytes: int, zeroed: bool) -> None:
    """Create a file of `size_bytes` that owns its space. Raises OSError and leaves nothing behind.

    Args:
        zeroed: also write it once, which takes as long as the disk needs for that many bytes; the first records
            written to it will be faster.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        reserve = getattr(os, "posix_fallocate", None)
        if reserve is not None:
            reserve(descriptor, 0, size_bytes)
        if zeroed or reserve is None:
            for offset in range(0, size_bytes, len(_ZEROS)):
                _write_all(descriptor, [_ZEROS[: size_bytes - offset]], offset)
        os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, buffers: Sequence[bytes], offset: int) -> None:
    written = os.pwritev(descriptor, buffers, offset)
    wanted = sum(map(len, buffers))
    if written == wanted:
        return
    rest = memoryview(b"".join(buffers))
    while written < wanted:
        step = os.pwrite(descriptor, rest[written:], offset + written)
        if step == 0:
            raise OSError("the disk takes no more bytes")
        written += step
