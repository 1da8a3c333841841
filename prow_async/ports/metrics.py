"""Counting, by name. The table of names, labels and buckets is adapters/metrics; an unknown name is a KeyError."""

from collections.abc import Iterable, Mapping
from typing import Protocol


class Metrics(Protocol):
    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        """Set every row of a gauge; rows that are not named go away."""

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Put a value into a histogram."""
