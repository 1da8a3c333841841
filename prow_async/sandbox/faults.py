"""Injected trouble for the direct doors of the embedded worlds: the door asks, and plays the fault; no world knows.

Implementations decide by seed or by script; they live with the tests that need them.
"""

from typing import Literal, Protocol

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong with one request.

    `answer` before the work: the caller gets `status` (with Retry-After when `retry_after_s` is set), nothing is done.
    `drop`: the caller sees a connection error, after `delay_s` (packets lost on the way, and a client that gave up);
    before the work nothing was done, after it everything was.
    `delay`: the request (or its answer) waits `delay_s`, then goes on.
    `answer` after the work: it is done, but the caller gets `status` (a gateway's 502 or 504).
    """

    kind: Literal["answer", "drop", "delay"]
    status: int = 0
    retry_after_s: float | None = None
    delay_s: float = 0.0


class Faults(Protocol):
    def before(self, method: str, path: str) -> Fault | None:
        """Asked when a request arrives; `path` has its query. None: go on."""

    def after(self, method: str, path: str, status: int) -> Fault | None:
        """Asked once the world has done the work and before the caller sees the answer. None: go on."""

    def line(self, line: bytes) -> list[bytes] | None:
        """Asked for each watch line (newline included): what to send in its place, in order.

        `[line]` passes it, `[line, line]` doubles it. None cuts the stream here, in the middle of the line.
        """
