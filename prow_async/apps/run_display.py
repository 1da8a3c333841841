"""Shows a run: the test's log on standard output, everything else on standard error."""

import logging
import sys
import time
from typing import BinaryIO, TextIO

import anyio
import structlog

from prow_async.api.errors import printable

_FRAMES = "|/-\\"
_EVERY_S = 0.1
_ERASE = "\r\x1b[K"


def set_up_logs() -> None:
    """Show what the embedded parts warn of as lines for a person."""
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, _spoken],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _spoken(_: object, __: str, event: structlog.types.EventDict) -> str:
    level = event.pop("level", "")
    text = f"{level}: {event.pop('event')}" + "".join(f"; {name.replace('_', ' ')}: {event[name]}" for name in event)
    return printable(text)


class Display:
    """Plain lines in a pipe; on a terminal also what is being waited for, and for how long.

    Args:
        tests: names of the containers whose log is shown; more than one have their name before each line.
    """

    def __init__(self, tests: frozenset[str], out: BinaryIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout.buffer
        self._err = err or sys.stderr
        self._terminal = self._err.isatty()
        self._names = len(tests) > 1
        self._tests = tests
        self._began: dict[str, float] = {}
        self._at_line_start: dict[str, bool] = {}
        self._drawn = False
        self._frame = 0

    def begun(self, name: str) -> None:
        self._began[name] = time.monotonic()
        self._draw()

    def ended(self, name: str, exit_code: int, reason: str) -> None:
        took_s = time.monotonic() - self._began.pop(name, time.monotonic())
        how = "" if exit_code == 0 else f", exit code {exit_code}" + (f" ({reason})" if reason != "Error" else "")
        self._line(f"{'-' if exit_code == 0 else 'x'} {name} {took_s:.2f} s{how}")

    def log(self, name: str, piece: bytes) -> None:
        self._erase()
        self._out.write(self._named(name, piece) if self._names or name not in self._tests else piece)
        self._out.flush()

    def note(self, text: str) -> None:
        self._line(text)

    async def spin(self) -> None:
        """Keep showing the step that is being waited for, until cancelled. A test that writes shows itself."""
        try:
            while True:
                self._draw()
                await anyio.sleep(_EVERY_S)
        finally:
            self._erase()

    def _draw(self) -> None:
        waiting = [name for name in self._began if name not in self._tests]
        if not self._terminal or not waiting or len(waiting) < len(self._began):
            return
        self._frame = (self._frame + 1) % len(_FRAMES)
        took_s = time.monotonic() - self._began[waiting[0]]
        self._err.write(f"{_ERASE}{_FRAMES[self._frame]} {waiting[0]} {took_s:.1f} s")
        self._err.flush()
        self._drawn = True

    def _named(self, name: str, piece: bytes) -> bytes:
        prefix = f"[{name}] ".encode()
        start = prefix if self._at_line_start.get(name, True) else b""
        self._at_line_start[name] = piece.endswith(b"\n")
        ending = b"\n" if piece.endswith(b"\n") else b""
        return start + piece.removesuffix(b"\n").replace(b"\n", b"\n" + prefix) + ending

    def _line(self, text: str) -> None:
        self._erase()
        self._err.write(f"{printable(text)}\n")
        self._err.flush()

    def _erase(self) -> None:
        if self._drawn:
            self._err.write(_ERASE)
            self._err.flush()
            self._drawn = False
