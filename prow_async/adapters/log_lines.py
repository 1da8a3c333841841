"""Log lines on their way out: gathered for a moment, written together in a thread of their own.

So nobody waits for a slow reader of standard error, least of all the event loop, and a burst costs few writes.
Errors go out at once, with everything before them.
"""

import atexit
import threading
import time
from typing import BinaryIO

_GATHER_S = 0.02
_MOST_LINES = 100_000
"""With nobody reading, so many lines wait; those after them are counted and dropped."""


class LineWriter:
    """Writes whole lines to a stream, in order.

    Args:
        out: flushed after each write. Trouble with it ends nothing: lines it does not take are lost.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._lines: list[bytes] = []
        self._dropped = 0
        self._bell = threading.Event()
        self._writing = threading.Lock()
        threading.Thread(target=self._run, name="log lines", daemon=True).start()
        atexit.register(self.write_out)

    def add(self, line: bytes) -> None:
        """Take a line, without its newline. Safe from any thread."""
        if len(self._lines) >= _MOST_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._bell.is_set():
            self._bell.set()

    def add_now(self, line: bytes) -> None:
        """Take a line and see it written before returning."""
        self.add(line)
        self.write_out()

    def write_out(self) -> None:
        """Write what waits."""
        with self._writing:
            lines = self._lines[:]
            del self._lines[: len(lines)]
            if self._dropped:
                lines.append(b'{"severity":"error","msg":"log lines dropped: nobody reads them"}')
                self._dropped = 0
            if not lines:
                return
            try:
                self._out.write(b"\n".join(lines) + b"\n")
                self._out.flush()
            except (OSError, ValueError):  # the reader has gone, or the stream is closed: there is nobody to tell
                return

    def _run(self) -> None:
        while True:
            self._bell.wait()
            time.sleep(_GATHER_S)
            self._bell.clear()
            self.write_out()
