"""One record of the intake log: a header with lengths and a checksum, a small description, and maybe a body.

A record names the segment it was written for: a segment file that is used again still holds older records behind its
newest one, and those must not be read. Numbers are little-endian.
"""

import struct
import zlib
from enum import IntEnum

import msgspec

from prow_async.ports.inbox import ActionState

HEADER = struct.Struct("<IIBxxxIIQ")
"""Checksum of the rest of the header and the description, checksum of the body, kind, sizes of description and body
in bytes, segment number."""
_SUM = struct.Struct("<I")
_REST = struct.Struct("<IBxxxIIQ")
_PIECE_BYTES = 5120
_LARGE_BYTES = 256 << 10


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


def head(kind: Kind, segment: int, description: bytes, body_bytes: int, body_sum: int) -> bytes:
    """Return a record's header and description; its body follows."""
    rest = _REST.pack(body_sum, kind, len(description), body_bytes, segment) + description
    return _SUM.pack(zlib.crc32(rest)) + rest


def checksum(body: bytes) -> int:
    """Sum up a body. Above 5 KB zlib lets other threads run meanwhile: to get back costs more than the sum itself."""
    if len(body) > _LARGE_BYTES:
        return zlib.crc32(body)
    total = 0
    for offset in range(0, len(body), _PIECE_BYTES):
        total = zlib.crc32(body[offset : offset + _PIECE_BYTES], total)
    return total


def intact(record: memoryview, description_bytes: int) -> bool:
    """True when both checksums of a whole record are right."""
    body = HEADER.size + description_bytes
    head_sum, body_sum = struct.unpack_from("<II", record)
    return (zlib.crc32(record[4:body]), zlib.crc32(record[body:])) == (head_sum, body_sum)
