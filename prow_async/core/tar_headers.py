"""Keep a tar archive whole while secrets in it are masked, as the stream of its bytes passes by.

Masking keeps sizes, so only the headers need care: names may be masked, numbers must stay, the checksum must fit. What
is no archive, or stops being one, passes as it is.

Source: POSIX pax (ustar interchange format), GNU tar's base-256 sizes.
"""

from prow_async.core.censor import Piece

BLOCK = 512
_CHECKSUM = slice(148, 156)
_SIZE = slice(124, 136)
_TYPE = 156
_NO_DATA = b"123456"
_NAMES = ((0, 100), (157, 257))
_NAMES_USTAR = ((265, 329), (345, 500))
_EVERYTHING = 1 << 62


class TarHeaders:
    """Mends the headers in a stream of pieces. Holds back less than one block."""

    def __init__(self) -> None:
        self._raw = b""
        self._masked = b""
        self._pass_bytes = 0
        """How many of the next bytes are no header."""

    def feed(self, piece: Piece) -> Piece:
        if self._pass_bytes >= len(piece.raw) and not self._raw:
            self._pass_bytes -= len(piece.raw)
            return piece
        raw = self._raw + piece.raw
        masked = raw if piece.masked is piece.raw and self._masked == self._raw else self._masked + piece.masked
        out: bytearray | None = None
        at = 0
        while at < len(raw):
            if self._pass_bytes:
                step = min(self._pass_bytes, len(raw) - at)
                self._pass_bytes -= step
                at += step
                continue
            if len(raw) - at < BLOCK:
                break
            header = raw[at : at + BLOCK]
            self._pass_bytes = _data_bytes(header)
            shown = masked[at : at + BLOCK]
            if shown != header and self._pass_bytes < _EVERYTHING:
                out = bytearray(masked) if out is None else out
                out[at : at + BLOCK] = _mended(header, shown)
            at += BLOCK
        if out is not None:
            masked = bytes(out)
        self._raw, self._masked = raw[at:], masked[at:]
        before, after = raw[:at], masked[:at]
        return Piece(before, before if after == before else after)

    def finish(self) -> Piece:
        """Give back what was held: an archive that ends inside a header, or no archive."""
        raw, masked = self._raw, self._masked
        self._raw = self._masked = b""
        return Piece(raw, masked)


def _data_bytes(header: bytes) -> int:
    """Return the size of what follows this header up to the next; _EVERYTHING when this is none."""
    if not any(header):
        return 0
    if _number(header[_CHECKSUM]) not in _checksums(header):
        return _EVERYTHING
    if header[_TYPE] in _NO_DATA:
        return 0
    size = _number(header[_SIZE])
    return -(-size // BLOCK) * BLOCK if 0 <= size < _EVERYTHING // 2 else _EVERYTHING


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field) & ((1 << (8 * len(field) - 1)) - 1)
    text = field.partition(b"\0")[0].strip()
    return int(text, 8) if text and not text.strip(b"01234567") else -1 if text else 0


def _checksums(header: bytes) -> tuple[int, int]:
    """Return the sum of unsigned bytes, and that of signed ones which old programs wrote."""
    blank = header[:148] + b" " * 8 + header[156:]
    unsigned = sum(blank)
    return unsigned, unsigned - 256 * sum(byte > 0x7F for byte in blank)


def _mended(header: bytes, masked: bytes) -> bytes:
    out = bytearray(header)
    ustar = header[257:262] == b"ustar"
    for begin, end in (*_NAMES, *(_NAMES_USTAR if ustar else ())):
        out[begin:end] = masked[begin:end]
    out[_CHECKSUM] = b"%06o\0 " % _checksums(bytes(out))[0]
    return bytes(out)
