"""Take secrets out of bytes on their way to people: every byte of every occurrence becomes `X`, so sizes stay.

Occurrences that overlap are all covered, whichever was found first, and how the bytes are cut into pieces changes
nothing. One automaton looks for the heads of all secrets at once; only where a head stands is the whole compared, so a
certificate of many kilobytes costs no more states than a password.

Source: upstream pkg/secretutil/censor.go and the sliding window of pkg/sidecar/censor.go.
"""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec
import re2

MASK = b"X"
_HEAD_BYTES = 24
_MEMORY_BYTES = 64 << 20
_MEMORY_PER_HEAD_BYTE = 200


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A part of a stream, before and after. Both have one size; they are one object where nothing was found."""

    raw: bytes
    masked: bytes


class Censor:
    """Finds and masks. One censor may serve many streams and threads at a time.

    Args:
        forms: the byte strings that must not show (`secret_forms.of`); empty ones are passed over.
    """

    def __init__(self, forms: Collection[bytes]) -> None:
        kept = {form for form in forms if form}
        self.longest_bytes = max(map(len, kept), default=0)
        self._single = _table({form for form in kept if len(form) == 1})
        longer = sorted((form for form in kept if len(form) > 1), key=lambda form: (-len(form), form))
        self._at_head = _by_head(longer)
        self._pattern = _pattern(sorted(self._at_head)) if longer else None
        self._longest_head = max(map(len, self._at_head), default=0)

    def __bool__(self) -> bool:
        return bool(self.longest_bytes)

    def stream(self) -> "Stream":
        return Stream(self)

    def whole(self, data: bytes) -> bytes:
        """Mask what is all in memory.

        >>> Censor([b"hunter2", b"r22"]).whole(b"password: hunter22")
        b'password: XXXXXXXX'
        """
        stream = self.stream()
        return stream.feed(data).masked + stream.finish().masked

    def spans(self, data: bytes, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield where secrets that begin in [start, stop) lie, in order; what begins before `stop` is looked at whole.

        At each place only the longest counts. Single bytes are not among them: `mask` sees to those.
        """
        if self._pattern is None:
            return
        search: Any = self._pattern.search
        end = min(len(data), stop + self._longest_head)
        at = start
        while (found := search(data, at, end)) is not None:
            at = found.start()
            if at >= stop:
                return
            for form in self._at_head[found.group()]:
                if data.startswith(form, at):
                    yield at, at + len(form)
                    break
            at += 1

    def single(self, data: bytes) -> bytes:
        """Mask the secrets of one byte."""
        return data.translate(self._single) if self._single else data


class Stream:
    """One stream through a censor. Holds back less than the longest secret."""

    def __init__(self, censor: Censor) -> None:
        self._censor = censor
        self._held = b""
        self._masked_until = 0
        """How far into `_held` a secret reaches that was found before it."""

    def feed(self, data: bytes) -> Piece:
        """Take the next bytes, of any number; give back those that are decided."""
        data = self._held + data if self._held else bytes(data)
        return self._decide(data, max(0, len(data) - self._censor.longest_bytes + 1))

    def finish(self) -> Piece:
        """Give back what was held."""
        return self._decide(self._held, len(self._held))

    def _decide(self, data: bytes, decided: int) -> Piece:
        until = self._masked_until
        raw = data[:decided]
        out: bytearray | None = None
        if until:
            out = bytearray(raw)
            out[:until] = MASK * min(until, decided)
        for begin, end in self._censor.spans(data, 0, decided):
            if end <= until:
                continue
            if out is None:
                out = bytearray(raw)
            begin = max(begin, until)
            shown = min(end, decided)
            if begin < shown:
                out[begin:shown] = MASK * (shown - begin)
            until = end
        self._held = data[decided:]
        self._masked_until = max(0, until - decided)
        masked = self._censor.single(raw if out is None else bytes(out))
        return Piece(raw, raw if masked == raw else masked)


def _table(single: Collection[bytes]) -> bytes:
    if not single:
        return b""
    return bytes(MASK[0] if bytes([byte]) in single else byte for byte in range(256))


def _by_head(forms: Collection[bytes]) -> dict[bytes, tuple[bytes, ...]]:
    """Map each head to the secrets that may stand where it was found, longest first.

    Where the longest head was found, secrets with a shorter head may stand as well: one that it begins with.
    """
    of_head: dict[bytes, list[bytes]] = {}
    for form in forms:
        of_head.setdefault(form[:_HEAD_BYTES], []).append(form)
    found = {}
    for head in of_head:
        begins = [head[:size] for size in range(1, len(head) + 1)]
        there = [form for begin in begins for form in of_head.get(begin, ())]
        found[head] = tuple(sorted(there, key=len, reverse=True))
    return found


def _pattern(heads: Collection[bytes]) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.longest_match = True
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES + _MEMORY_PER_HEAD_BYTE * sum(map(len, heads))
    return re2.compile(b"|".join(re2.escape(head) for head in heads), options)
