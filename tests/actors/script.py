"""Trouble by script: which request goes wrong, how and how often; and a record of what was asked."""

from collections.abc import Callable

import anyio
import msgspec

from prow_async.sandbox.faults import Fault

DROP = Fault("drop")
FOREVER = Fault("delay", delay_s=1e9)


class Rule(msgspec.Struct):
    """One fault for requests of a method whose path holds `part`. `times` counts down."""

    method: str
    part: str
    fault: Fault
    times: int
    done: bool
    """False: before the work, which is then not done."""


class Script:
    """Implements sandbox.faults.Faults.

    Attributes:
        asked: every request that arrived, as `METHOD path`.
        done: every request the server has worked on, as `METHOD path status`.
        watch_line: what becomes of each watch line; None passes all.
    """

    def __init__(self) -> None:
        self.watch_line: Callable[[bytes], list[bytes] | None] | None = None
        self.renew()

    def renew(self) -> None:
        """Forget all faults and records: what a new process meets."""
        self.asked: list[str] = []
        self.done: list[str] = []
        self._rules: list[Rule] = []
        self._stop_after = 0
        self.stopped = anyio.Event()

    def fail(self, method: str, part: str, fault: Fault = DROP, times: int = 1, done: bool = False) -> None:
        """Play `fault` for the next `times` requests that fit; with `done`, once the server has done its work."""
        self._rules.append(Rule(method, part, fault, times, done))

    def heal(self) -> None:
        """Let everything pass from now on."""
        self._rules.clear()

    def stop_after_write(self, number: int) -> None:
        """Set `stopped` once the server has done so many writes, and never let their asker know of the last."""
        self._stop_after = number

    def writes(self) -> list[str]:
        return [line for line in self.done if not line.startswith("GET ")]

    def before(self, method: str, path: str) -> Fault | None:
        self.asked.append(f"{method} {path}")
        if self.stopped.is_set():
            return FOREVER
        return self._next(method, path, done=False)

    def after(self, method: str, path: str, status: int) -> Fault | None:
        self.done.append(f"{method} {path} {status}")
        if method != "GET" and self._stop_after:
            self._stop_after -= 1
            if not self._stop_after:
                self.stopped.set()
                return FOREVER
        return self._next(method, path, done=True)

    def line(self, line: bytes) -> list[bytes] | None:
        return [line] if self.watch_line is None else self.watch_line(line)

    def _next(self, method: str, path: str, done: bool) -> Fault | None:
        for rule in self._rules:
            if rule.times and rule.done is done and rule.method == method and rule.part in path:
                rule.times -= 1
                return rule.fault
        return None
