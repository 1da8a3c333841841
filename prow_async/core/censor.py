"""Take secrets out of bytes on their way to people: every byte of every occurrence becomes `X`, so sizes stay.

Occurrences that overlap are all covered, whichever was found first, and how the bytes are cut into pieces changes
nothing. One automaton looks for the heads of all secrets at once; only where a head stands is the whole compared, so a
certificate of many kilobytes costs no more states than a password.

Source: upstream pkg/secretutil/censor.go and the sliding window of pkg/sidecar/censor.go.
"""

import collections
from collections.abc import Collection, Sequence

import msgspec

from prow_async.core import censor_plan
from prow_async.core.censor_plan import MASK, Automaton, Plan

EVERY_BYTES = 1000
"""A secret found more often than once in so many bytes is looked for in another way from then on."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A part of a stream, before and after. Both have one size; they are one object where nothing was found."""

    raw: bytes
    masked: bytes


class Censor:
    """Finds and masks. One censor may serve many streams and threads at a time.

    Args:
        forms: the byte strings that must not show (`secret_forms.of`); empty ones are passed over.
    """

    def __init__(self, forms: Collection[bytes], every_bytes: int = EVERY_BYTES) -> None:
        kept = {form for form in forms if form}
        self.longest_bytes = max(map(len, kept), default=0)
        self._single = _table({form for form in kept if len(form) == 1})
        self._longer = frozenset(form for form in kept if len(form) > 1)
        self.whole_plan = Plan(Automaton(self._longer))
        """The one that suits everything."""
        self.plan = self.whole_plan
        self._every_bytes = every_bytes

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

    def single(self, data: bytes) -> bytes:
        """Mask the secrets of one byte."""
        return data.translate(self._single) if self._single else data

    def learn(self, data: bytes, spans: Sequence[tuple[int, int]]) -> None:
        """Change the plan if this is more than the automaton should have to find. Two threads may: either is right."""
        least = max(2, len(data) // self._every_bytes)
        if len(spans) >= least and len(self.plan.frequent) < censor_plan.MOST_FREQUENT:
            found = collections.Counter(data[begin:end] for begin, end in spans)
            self.plan = censor_plan.with_frequent(self.plan, self._longer, found, least)


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
        plan = self._censor.plan
        raw = data[:decided]
        out: bytearray | None = None
        reach = 0
        if not plan.suits(data):
            plan = self._censor.whole_plan
        elif (replaced := plan.replaced(data)) is not data:
            out = bytearray(replaced[:decided])
            reach = plan.reach(data, decided)
        spans = list(plan.rest.spans(data, decided))
        self._censor.learn(data, spans)
        for begin, end in ((0, self._masked_until), *spans):
            if begin >= end:
                continue
            out = bytearray(raw) if out is None else out
            reach = max(reach, end)
            shown = min(end, decided)
            out[begin:shown] = MASK * (shown - begin)
        self._held = data[decided:]
        self._masked_until = max(0, reach - decided)
        masked = self._censor.single(raw if out is None else bytes(out))
        return Piece(raw, raw if masked == raw else masked)


def _table(single: Collection[bytes]) -> bytes:
    if not single:
        return b""
    return bytes(MASK[0] if bytes([byte]) in single else byte for byte in range(256))
