"""Instants: RFC 3339 as Kubernetes writes it, and seconds since the Unix epoch."""

import math
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(at_s: float) -> str:
    """Render an instant in whole seconds, as metav1.Time does: `2026-01-02T03:04:05Z`. The fraction is cut off."""
    return (_EPOCH + timedelta(seconds=math.floor(at_s))).isoformat()[:-6] + "Z"


def seconds(text: str) -> float:
    """Read an RFC 3339 instant; fractions and offsets are fine.

    Raises ValueError when it is not one, or when it names no offset from UTC.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or len(text) < len("2026-01-02T03:04:05Z"):
        raise ValueError(f"{text!r} is no RFC 3339 instant")
    return (at - _EPOCH).total_seconds()
