"""The bytes of the intake log: groups of records, each record a small description and maybe a body.

A group is what was written at once: one checksum for all of it, so either all its records count or none. It names the
segment it was written for: a segment file that is used again still holds older groups behind its newest one, and
those must not be read. Numbers are little-endian.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

import msgspec

from prow_async.ports.inbox import ActionState

GROUP = struct.Struct("<IIQ")
"""Checksum of everything behind itself, size of the records in bytes, segment number."""
RECORD = struct.Struct("<BxxxII")
"""Kind, sizes of description and body in bytes."""
_SUM = struct.Struct("<I")
_REST = struct.Struct("<IQ")


class Kind(IntEnum):
    ACCEPTED = 1
    DECIDED = 2
    MARKED = 3
    FINISHED = 4
    VOIDED = 5


class Accepted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A delivery; the body is its body."""

    seq: int
    key: int
    guid: str
    event: str
    headers: dict[str, str]
    received_s: float


class Decided(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a plugin decided; the body is the decision in JSON."""

    seq: int
    plugin: str
    states: tuple[ActionState, ...]


class Marked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    seq: int
    plugin: str
    states: tuple[ActionState, ...]


class Finished(msgspec.Struct, frozen=True, array_like=True, gc=False):
    seq: int
    finished_s: float
    note: str


class Voided(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """These deliveries were refused after all: writing them failed, and nobody was told that they are accepted."""

    seqs: tuple[int, ...]


Description = Accepted | Decided | Marked | Finished | Voided
TYPES: dict[Kind, type[msgspec.Struct]] = {
    Kind.ACCEPTED: Accepted,
    Kind.DECIDED: Decided,
    Kind.MARKED: Marked,
    Kind.FINISHED: Finished,
    Kind.VOIDED: Voided,
}
KINDS: dict[type[msgspec.Struct], Kind] = {type_: kind for kind, type_ in TYPES.items()}
_encoder = msgspec.msgpack.Encoder()
_decoders = {kind: msgspec.msgpack.Decoder(type_) for kind, type_ in TYPES.items()}


def read_description(kind: int, data: bytes | memoryview) -> Description:
    """Decode a description. Raises ValueError for a kind that is not known, msgspec.DecodeError for a broken one."""
    found = _decoders[Kind(kind)].decode(data)
    assert isinstance(found, Accepted | Decided | Marked | Finished | Voided)
    return found


def head(description: Description, body_bytes: int) -> bytes:
    """Return a record's header and description; its body follows."""
    described = _encoder.encode(description)
    return RECORD.pack(KINDS[type(description)], len(described), body_bytes) + described


def group(segment: int, pieces: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return a group's header and its records, of which `pieces` are the parts in order.

    They are joined, so that the checksum is one call in which other threads can run.
    """
    joined = b"".join(pieces)
    rest = _REST.pack(len(joined), segment)
    return _SUM.pack(zlib.crc32(joined, zlib.crc32(rest))) + rest, joined


class GroupHead(NamedTuple):
    checksum: int
    size_bytes: int
    segment: int

    @classmethod
    def read(cls, head: bytes) -> "GroupHead":
        return cls(*GROUP.unpack(head))

    def fits(self, joined: bytes | memoryview) -> bool:
        """True when these are the group's records, whole."""
        rest = _REST.pack(self.size_bytes, self.segment)
        return len(joined) == self.size_bytes and zlib.crc32(joined, zlib.crc32(rest)) == self.checksum


def split(joined: bytes | memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Yield (offset, kind, size of description, size of body) of each record of a group."""
    offset = 0
    while offset < len(joined):
        kind, description_bytes, body_bytes = RECORD.unpack_from(joined, offset)
        yield offset, kind, description_bytes, body_bytes
        offset += RECORD.size + description_bytes + body_bytes
