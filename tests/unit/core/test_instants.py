"""Instants read back as they were written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import instants


@pytest.mark.parametrize(
    ("text", "at_s"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T03:04:05.25Z", 1767323045.25),
        ("2026-01-02T03:04:05.123456789Z", 1767323045.123456),
        ("2026-01-02T04:04:05+01:00", 1767323045.0),
        ("0001-01-01T00:00:00Z", -62135596800.0),
    ],
)
def test_reads(text: str, at_s: float) -> None:
    """Fractions and offsets are understood."""
    assert instants.seconds(text) == pytest.approx(at_s)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-01-02", "2026-01-02T03:04:05", "2026-13-02T03:04:05Z", "1767323045"]
)
def test_refuses(text: str) -> None:
    """What names no instant is refused, a local time included."""
    with pytest.raises(ValueError, match=r"RFC 3339|isoformat|must be in"):
        instants.seconds(text)


@pytest.mark.parametrize(
    ("at_s", "text"),
    [(0.0, "1970-01-01T00:00:00Z"), (1767323045.999, "2026-01-02T03:04:05Z"), (-0.5, "1969-12-31T23:59:59Z")],
)
def test_writes_whole_seconds(at_s: float, text: str) -> None:
    """The fraction is cut off, never rounded up."""
    assert instants.rfc3339(at_s) == text


@given(st.integers(min_value=-62135596800, max_value=253402300799))
def test_round_trip(at_s: int) -> None:
    """Whole seconds survive, in every year RFC 3339 can name."""
    text = instants.rfc3339(at_s)
    assert len(text) == 20
    assert instants.seconds(text) == at_s
