"""How the secrets are looked for: most by one automaton, those that turn out to be everywhere by plain replacement.

The automaton costs nothing where no secret is, and some microseconds where one is: too much if a secret is a word like
`test`. Such words, once seen, are replaced in a whole piece at once. That misses nothing unless two of them share a
part in it, and whether two do is one more plain search.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import re2

MASK = b"X"
MOST_FREQUENT = 8
_MOST_OVERLAPS = 16
_HEAD_BYTES = 24
_MEMORY_BYTES = 64 << 20
_MEMORY_PER_HEAD_BYTE = 200


class Automaton:
    """Finds many byte strings at once, each of two bytes at least."""

    def __init__(self, forms: Collection[bytes]) -> None:
        self._at_head = _by_head(forms)
        self._pattern = _pattern(sorted(self._at_head)) if forms else None
        self._longest_head = max(map(len, self._at_head), default=0)

    def spans(self, data: bytes, stop: int) -> Iterator[tuple[int, int]]:
        """Yield where strings that begin before `stop` lie, in order; at each place only the longest."""
        if self._pattern is None:
            return
        search: Any = self._pattern.search
        end = min(len(data), stop + self._longest_head)
        at = 0
        while (found := search(data, at, end)) is not None:
            at = found.start()
            if at >= stop:
                return
            for form in self._at_head[found.group()]:
                if data.startswith(form, at):
                    yield at, at + len(form)
                    break
            at += 1


class Plan(msgspec.Struct, frozen=True):
    """What is looked for how. `overlaps` are the strings in which two frequent ones share a part."""

    rest: Automaton
    frequent: tuple[bytes, ...] = ()
    overlaps: tuple[bytes, ...] = ()

    def suits(self, data: bytes) -> bool:
        """Say whether replacing the frequent ones masks every one of them."""
        return bool(self.frequent) and not any(overlap in data for overlap in self.overlaps)

    def replaced(self, data: bytes) -> bytes:
        for form in self.frequent:
            data = data.replace(form, MASK * len(form))
        return data

    def reach(self, data: bytes, stop: int) -> int:
        """Return where the last frequent one ends that begins before `stop` and ends after it; 0 if none does."""
        reached = 0
        for form in self.frequent:
            at = data.rfind(form, max(0, stop - len(form) + 1), stop + len(form) - 1)
            reached = max(reached, at + len(form) if at >= 0 else 0)
        return reached


def with_frequent(plan: Plan, forms: Collection[bytes], found: Mapping[bytes, int], least: int) -> Plan:
    """Return a plan that replaces more: what was found `least` times or more, if it can be."""
    wanted = [form for form, count in found.items() if count >= least and MASK not in form]
    frequent = plan.frequent
    for form in sorted(wanted, key=lambda form: -found[form]):
        longer = tuple(sorted({*frequent, form}, key=len, reverse=True))
        if len(longer) <= MOST_FREQUENT and len(_overlaps(longer)) <= _MOST_OVERLAPS:
            frequent = longer
    if frequent == plan.frequent:
        return plan
    return Plan(Automaton([form for form in forms if form not in frequent]), frequent, _overlaps(frequent))


def _overlaps(forms: Sequence[bytes]) -> tuple[bytes, ...]:
    found = set()
    for first, second in itertools.product(forms, repeat=2):
        for size in range(1, min(len(first), len(second))):
            if first.endswith(second[:size]):
                found.add(first + second[size:])
    return tuple(sorted(found))


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
