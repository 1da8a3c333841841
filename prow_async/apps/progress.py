"""A progress bar on a terminal; nothing anywhere else."""

import sys
import time
from typing import TextIO

_WIDTH = 30
_EVERY_S = 0.05


class Progress:
    """Counts up to `total`. Writes to a terminal only, at most some twenty times a second."""

    def __init__(self, label: str, total: int, stream: TextIO = sys.stderr) -> None:
        self._label = label
        self._total = max(1, total)
        self._stream = stream
        self._shown = stream.isatty()
        self._done = 0
        self._next_s = 0.0

    def step(self) -> None:
        """Note that one more is done."""
        self._done += 1
        if self._shown and (self._done == self._total or time.monotonic() >= self._next_s):
            self._next_s = time.monotonic() + _EVERY_S
            filled = _WIDTH * min(self._done, self._total) // self._total
            bar = "#" * filled + "." * (_WIDTH - filled)
            self._stream.write(f"\r{self._label} [{bar}] {self._done}/{self._total}")
            self._stream.flush()

    def end(self) -> None:
        """Take the bar off the screen."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
