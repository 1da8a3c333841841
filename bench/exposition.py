"""Reads the two things the bench wants of metrics pages: counters by label, and quantiles of a histogram."""

import re
from collections.abc import Callable, Iterator, Mapping

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Buckets = dict[float, float]
"""Observations up to each upper edge, cumulative; the last edge is infinite."""


def samples(page: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """Yield labels and value of each sample of this very name."""
    for line in page.splitlines():
        if line.startswith(name) and (found := _LINE.match(line)) and found.group(1) == name:
            yield dict(_LABEL.findall(found.group(2) or "")), float(found.group(3))


def total(page: str, name: str, wanted: Callable[[Mapping[str, str]], bool]) -> float:
    return sum(value for labels, value in samples(page, name) if wanted(labels))


def buckets(page: str, name: str) -> Buckets:
    """Return a histogram, its label sets added up."""
    found: Buckets = {}
    for labels, value in samples(page, f"{name}_bucket"):
        edge = float(labels["le"])
        found[edge] = found.get(edge, 0.0) + value
    return dict(sorted(found.items()))


def since(after: Buckets, before: Buckets) -> Buckets:
    """Return what was observed between two readings."""
    return {edge: count - before.get(edge, 0.0) for edge, count in after.items()}


def added(one: Buckets, other: Buckets) -> Buckets:
    return {edge: one.get(edge, 0.0) + other.get(edge, 0.0) for edge in sorted(one.keys() | other.keys())}


def upper_edge(found: Buckets, share: float) -> float | None:
    """Return the edge of the first bucket that holds this share of all observations: it was at most so much.

    None where nothing was observed, infinity where the last bucket is needed.
    """
    count = max(found.values(), default=0.0)
    if count == 0:
        return None
    return next(edge for edge, upto in found.items() if upto >= share * count)
