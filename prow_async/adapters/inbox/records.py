"""One record of the intake log: a header with lengths and a checksum, a small description, and maybe a body.

A record names the segment it was written for: a segment file that is used again still holds older records behind its
newest one, and those must not be read. Numbers are little-endian.
"""

import struct
import zlib
from enum import IntEnum
from typing import TypeVar

import msgspec

from prow_async.ports.inbox import ActionState

HEADER = struct.Struct("<IBxxxIIQ")
"""Checksum of everything behind itself, kind, sizes of description and body in bytes, segment number."""
T = TypeVar("T", bound=msgspec.Struct)


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


def describe(description: Description) -> bytes:
    return _encoder.encode(description)


def read_description(kind: int, data: bytes | memoryview) -> Description:
    """Decode a description. Raises ValueError for a kind that is not known, msgspec.DecodeError for a broken one."""
    found = _decoders[Kind(kind)].decode(data)
    assert isinstance(found, Accepted | Decided | Marked | Finished | Voided)
    return found


def head(kind: Kind, segment: int, description: bytes, body: bytes) -> bytes:
    """Return a record's header and description; its body follows."""
    rest = HEADER.pack(0, kind, len(description), len(body), segment)[4:]
    checksum = zlib.crc32(body, zlib.crc32(description, zlib.crc32(rest)))
    return struct.pack("<I", checksum) + rest + description


def intact(record: memoryview) -> bool:
    """True when a whole record's checksum is right."""
    return zlib.crc32(record[4:]) == int.from_bytes(record[:4], "little")
