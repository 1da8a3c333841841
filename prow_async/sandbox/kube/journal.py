"""The form in which a small API server keeps its objects on disk: lines, each with a checksum. Pure; files: statedir.

A file starts with a title line that names its format version. Then one line a change:

    CHECKSUM DURABLE put TABLE OBJECT
    CHECKSUM DURABLE del TABLE VERSION KEY

CHECKSUM is the CRC-32 of the rest of the line, DURABLE says how many bytes of the file were on disk for certain when
the line was written. Behind a line that does not read, one with a DURABLE beyond it proves that acknowledged changes
were damaged; without one it is the torn end of a write nobody was told of. A snapshot ends with a line that counts it.
"""

import zlib
from collections.abc import Iterable, Iterator

import msgspec

VERSION = 1
_TITLE = b"prow-async small kubernetes api server, format "


class Put(msgspec.Struct, frozen=True):
    """An object was written."""

    table: str
    raw: bytes


class Removed(msgspec.Struct, frozen=True):
    """An object was deleted, under this version."""

    table: str
    version: int
    key: str


class End(msgspec.Struct, frozen=True):
    """A snapshot is whole: so many objects, at this version."""

    count: int
    version: int


Record = Put | Removed | End


class Damaged(Exception):
    """What was acknowledged does not read any more."""


def title(version: int = VERSION) -> bytes:
    return _TITLE + b"%d\n" % version


def check_title(line: bytes) -> bool:
    """Tell whether a file starts as it should; False for one whose very start is torn. Raises Damaged."""
    if line == title():
        return True
    if title().startswith(line):
        return False
    if line.startswith(_TITLE):
        raise Damaged(f"it was written in format {line[len(_TITLE) :].decode(errors='replace').strip()}, not {VERSION}")
    raise Damaged("it is no file of this server")


def put(table: str, raw: bytes) -> bytes:
    return b"put %b %b" % (table.encode(), raw)


def removed(table: str, version: int, key: str) -> bytes:
    return b"del %b %d %b" % (table.encode(), version, key.encode())


def end(count: int, version: int) -> bytes:
    return b"end %d %d" % (count, version)


def lines(payloads: Iterable[bytes], durable: int) -> bytes:
    """Return the lines of some changes."""
    found = []
    for payload in payloads:
        rest = b"%d %b" % (durable, payload)
        found.append(b"%08x %b\n" % (zlib.crc32(rest), rest))
    return b"".join(found)


def _read(line: bytes) -> tuple[int, bytes] | None:
    """Return a line's DURABLE and payload; None when it does not read."""
    checksum, _, rest = line[:-1].partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(rest):
        return None
    durable, _, payload = rest.partition(b" ")
    return int(durable), payload


def _record(payload: bytes) -> Record:
    word, _, rest = payload.partition(b" ")
    if word == b"end":
        count, _, version = rest.partition(b" ")
        return End(int(count), int(version))
    table, _, rest = rest.partition(b" ")
    if word == b"put":
        return Put(table.decode(), rest)
    number, _, key = rest.partition(b" ")
    return Removed(table.decode(), int(number), key.decode())


class Reading:
    """Reads the lines behind a title. Afterwards `good_bytes` says where the file may be gone on with.

    Args:
        start: bytes the title takes.
    """

    def __init__(self, source: Iterable[bytes], start: int) -> None:
        self._source = source
        self.good_bytes = start
        self.is_torn = False

    def records(self) -> Iterator[Record]:
        """Yield the changes up to the file's end, or to its torn end. Raises Damaged."""
        for line in self._source:
            found = _read(line)
            if self.is_torn:
                if found is not None and found[0] > self.good_bytes:
                    raise Damaged(f"what stands at byte {self.good_bytes} was acknowledged and does not read any more")
            elif found is None:
                self.is_torn = True
            else:
                self.good_bytes += len(line)
                yield _record(found[1])
