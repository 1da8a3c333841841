"""Wall-clock time, monotonic time and fresh identifiers. Waiting is anyio's business, so that tests can bend time."""

from typing import Protocol


class WallClock(Protocol):
    def now(self) -> float:
        """Seconds since the Unix epoch, UTC."""


class Clock(WallClock, Protocol):
    def monotonic(self) -> float:
        """Seconds since some moment; never set back, and counting on while the machine sleeps where that is known."""


class Ids(Protocol):
    def uuid4(self) -> str:
        """A random UUID in its 36-character form."""

    def build_id(self) -> str:
        """A decimal string greater than every one before it (upstream's snowflake layout)."""
