"""The real clock and real identifiers."""

import time
import uuid

SNOWFLAKE_EPOCH_MS = 1288834974657
"""Upstream's build ids count milliseconds from here (bwmarrin/snowflake, Twitter's epoch)."""
_NODE = 1
_NODE_BITS = 10
_STEP_BITS = 12
_STEADY = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Linux's goes on while the machine sleeps; so does macOS's CLOCK_MONOTONIC."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)


class SystemIds:
    """Fresh identifiers. Build ids grow, also when the wall clock is set back while the process runs."""

    def __init__(self) -> None:
        self._last = 0

    def uuid4(self) -> str:
        return str(uuid.uuid4())

    def build_id(self) -> str:
        ms = time.time_ns() // 1_000_000 - SNOWFLAKE_EPOCH_MS
        first_of_ms = ms << (_NODE_BITS + _STEP_BITS) | _NODE << _STEP_BITS
        if first_of_ms <= self._last:
            following = self._last + 1
            # A step that overflows its 12 bits would change the node: go on with the next millisecond instead.
            if following & ((1 << _STEP_BITS) - 1) == 0:
                following = ((self._last >> (_NODE_BITS + _STEP_BITS)) + 1) << (_NODE_BITS + _STEP_BITS)
                following |= _NODE << _STEP_BITS
            first_of_ms = following
        self._last = first_of_ms
        return str(first_of_ms)
