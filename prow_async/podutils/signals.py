"""Signals as something to wait for, beside everything else that one waits for.

Source: signal(7); PEP 475 (handlers run late, a written byte does not).
"""

import os
import signal
from collections.abc import Iterable
from types import FrameType
from typing import Any


class Signals:
    """While entered, these signals do nothing but make `fd` readable. For the main thread of a process."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = tuple(numbers)
        self._before: dict[int, Any] = {}
        self._wakeup_before = -1
        self.fd = -1
        self._write_fd = -1

    def __enter__(self) -> "Signals":
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in self._numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.fd)
        os.close(self._write_fd)

    def take(self) -> tuple[int, ...]:
        """Return the signals that came since the last time, in order."""
        try:
            return tuple(os.read(self.fd, 4096))
        except BlockingIOError:
            return ()

    def ignore(self, numbers: Iterable[int]) -> None:
        """Ignore some of them from now on, also after leaving."""
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
            self._before.pop(number, None)


def _nothing(_: int, __: FrameType | None) -> None:
    """Stand where a handler must, so that the signal does not do what it does by default."""
