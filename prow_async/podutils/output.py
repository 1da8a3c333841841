"""A test's output, on its way to the process log and to our own standard output.

A full disk or a closed pipe never ends or holds up the test: it costs the bytes that do not fit, and they are counted.

Source: upstream pkg/entrypoint/run.go (an io.MultiWriter).
"""

import os
import select
import threading

_PIECE_BYTES = 64 << 10


class Sink:
    """A descriptor to write to. Two threads do, each line whole."""

    def __init__(self, descriptor: int) -> None:
        self.lost_bytes = 0
        self.why = ""
        self._fd = descriptor
        self._lock = threading.Lock()

    def write(self, data: bytes, patience_s: float = -1) -> None:
        """Write all of it, or count what is lost.

        Args:
            patience_s: how long a reader may keep us waiting before it loses the data; -1 is for ever.
        """
        if not self._lock.acquire(timeout=patience_s):
            self.lost_bytes += len(data)
            return
        try:
            self._write(data, patience_s)
        finally:
            self._lock.release()

    def _write(self, data: bytes, patience_s: float) -> None:
        left = memoryview(data)
        try:
            while left:
                if patience_s >= 0 and not self._is_ready(patience_s):
                    raise TimeoutError("nobody reads it")
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            self.lost_bytes += len(left)
            self.why = error.strerror or str(error)

    def _is_ready(self, patience_s: float) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(patience_s * 1000))


class Tee:
    """Where our own log lines go while a test runs: as its output, but never waiting long."""

    def __init__(self, sinks: tuple[Sink, ...], patience_s: float = 1.0) -> None:
        self._sinks = sinks
        self._patience_s = patience_s

    def write(self, data: bytes) -> int:
        for sink in self._sinks:
            sink.write(data, self._patience_s)
        return len(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


class Pump:
    """Moves what comes out of a pipe into sinks, in a thread, until nobody can write to it any more.

    `done_fd` is readable (at its end) then.
    """

    def __init__(self, sinks: tuple[Sink, ...]) -> None:
        self._sinks = sinks
        self._read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        self.done_fd, self._done_write_fd = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, daemon=True, name="output")

    def start(self) -> None:
        """Start moving. Raises RuntimeError when there is no room for a thread."""
        self._thread.start()

    def let_go(self) -> None:
        """Close our end for writing: whoever writes has been started."""
        os.close(self.write_fd)

    def _run(self) -> None:
        try:
            while data := os.read(self._read_fd, _PIECE_BYTES):
                for sink in self._sinks:
                    sink.write(data)
        finally:
            os.close(self._done_write_fd)
