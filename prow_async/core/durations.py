"""Go duration text: `1h30m`, `500ms`, `2h0m0s`. Inside the program a duration is seconds as a float.

Source: Go's time.ParseDuration and time.Duration.String; errors are worded as theirs.
"""

import json
import re

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)", re.ASCII)
_LIMIT_NS = 1 << 63


class DurationError(ValueError):
    """The text is no Go duration. Its message is Go's; tell the person who wrote it."""


def parse_ns(text: str) -> int:
    """Return the nanoseconds of a Go duration; it may be negative.

    Raises: DurationError.

    >>> parse_ns("1h30m"), parse_ns("-1.5s"), parse_ns("0")
    (5400000000000, -1500000000, 0)
    """
    rest = text[1:] if text[:1] in ("-", "+") else text
    negative = text.startswith("-")
    if rest == "0":
        return 0
    if not rest:
        raise DurationError(f"time: invalid duration {_quoted(text)}")
    total = 0
    while rest:
        match = _TERM.match(rest)
        whole, fraction, unit = match.groups() if match else ("", None, "")
        if not whole and not fraction:
            raise DurationError(f"time: invalid duration {_quoted(text)}")
        if not unit:
            raise DurationError(f"time: missing unit in duration {_quoted(text)}")
        scale = _UNITS_NS.get(unit)
        if scale is None:
            raise DurationError(f"time: unknown unit {_quoted(unit)} in duration {_quoted(text)}")
        total += int(whole[-40:] or "0") * scale if len(whole.lstrip("0")) <= 19 else _LIMIT_NS + 1
        if fraction:
            total += int(fraction[:18]) * scale // 10 ** len(fraction[:18])
        if total > _LIMIT_NS:
            raise DurationError(f"time: invalid duration {_quoted(text)}")
        rest = rest[match.end() if match else 0 :]
    if total == _LIMIT_NS and not negative:
        raise DurationError(f"time: invalid duration {_quoted(text)}")
    return -total if negative else total


def parse_s(text: str) -> float:
    """Return the seconds of a Go duration. Raises DurationError."""
    return parse_ns(text) / 1_000_000_000


def format_ns(duration_ns: int) -> str:
    """Write nanoseconds as Go does.

    >>> format_ns(7_200_000_000_000), format_ns(1_500_000), format_ns(0)
    ('2h0m0s', '1.5ms', '0s')
    """
    if duration_ns == 0:
        return "0s"
    sign = "-" if duration_ns < 0 else ""
    left = abs(duration_ns)
    if left < 1_000:
        return f"{sign}{left}ns"
    if left < 1_000_000:
        return f"{sign}{_decimal(left, 3)}µs"
    if left < 1_000_000_000:
        return f"{sign}{_decimal(left, 6)}ms"
    minutes, seconds_ns = divmod(left, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    out = f"{_decimal(seconds_ns, 9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{out}"
    return f"{sign}{minutes}m{out}" if minutes else f"{sign}{out}"


def format_s(duration_s: float) -> str:
    """Write seconds as a Go duration, rounded to the nanosecond."""
    return format_ns(round(duration_s * 1_000_000_000))


def _decimal(number: int, places: int) -> str:
    whole, fraction = divmod(number, 10**places)
    tail = str(fraction).rjust(places, "0").rstrip("0")
    return f"{whole}.{tail}" if tail else str(whole)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
