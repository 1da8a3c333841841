"""Go durations."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import durations


@pytest.mark.parametrize(
    ("text", "nanoseconds", "canonical"),
    [
        ("1h30m", 5_400_000_000_000, "1h30m0s"),
        ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
        (".5s", 500_000_000, "500ms"),
        ("1.s", 1_000_000_000, "1s"),
        ("+5m", 300_000_000_000, "5m0s"),
        ("3.000000001s", 3_000_000_001, "3.000000001s"),
        ("0", 0, "0s"),
        ("1µs", 1_000, "1µs"),
        ("1us1ns", 1_001, "1.001µs"),
        ("9223372036854775807ns", 9223372036854775807, "2562047h47m16.854775807s"),
        ("-9223372036854775808ns", -9223372036854775808, "-2562047h47m16.854775808s"),
        ("0.100000000000000000000h", 360_000_000_000, "6m0s"),
    ],
)
def test_durations_read_and_spell_as_go(text: str, nanoseconds: int, canonical: str) -> None:
    """Values checked against Go's time package."""
    assert durations.parse_ns(text) == nanoseconds
    assert durations.format_ns(nanoseconds) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("1", 'time: missing unit in duration "1"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1h 2m", 'time: unknown unit "h " in duration "1h 2m"'),
        (".s", 'time: invalid duration ".s"'),
        ("--1s", 'time: invalid duration "--1s"'),
        ("٣s", 'time: invalid duration "٣s"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("9" * 5000 + "h", f'time: invalid duration "{"9" * 5000}h"'),
    ],
)
def test_errors_are_worded_as_go(text: str, message: str) -> None:
    """The message is the one people know from Go."""
    with pytest.raises(durations.DurationError) as caught:
        durations.parse_ns(text)
    assert str(caught.value) == message


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_duration_reads_back(nanoseconds: int) -> None:
    """Formatting loses nothing."""
    assert durations.parse_ns(durations.format_ns(nanoseconds)) == nanoseconds


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_duration_error(text: str) -> None:
    """Bad text gives DurationError and nothing else."""
    with contextlib.suppress(durations.DurationError):
        assert isinstance(durations.parse_s(text), float)
