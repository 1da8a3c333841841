"""Runs the commands of a clone: each in a session of its own, output caught and capped, all of it ended together."""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO

import msgspec

from prow_async.core import clone
from prow_async.podutils import logs

_READ_BYTES = 65536
_LONGEST_SECRET_BYTES = 4096
_STRAY_S = 5.0
"""How long output may be held open by what a command left behind outside its session."""


class Limits(msgspec.Struct, frozen=True):
    """How patient a clone is. `output_bytes`: what is kept of one command's output, half of it from each end."""

    waits_s: tuple[float, ...] = clone.WAITS_S
    command_s: float = 7200.0
    output_bytes: int = 131072


class Outcome(msgspec.Struct, frozen=True):
    """What came of a command. `error` is "" when it went well, else how it ended, in Go's words."""

    output: str
    error: str
    started: bool = True
    tries: int = 1


class Runner:
    """Runs commands, from any thread, until told to stop.

    Args:
        environ: the environment of every command; a command's own variables are added.
    """

    def __init__(self, environ: Mapping[str, str], limits: Limits, log: logs.Log) -> None:
        self.limits = limits
        self._log = log
        self._environ = dict(environ)
        self._lock = threading.RLock()  # stop() is called by a signal's handler, also amid run()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stop = threading.Event()
        self._why = ""

    @property
    def stopped(self) -> str:
        """Why everything was stopped; "" while it goes on."""
        return self._why

    def stop(self, why: str) -> None:
        """Kill what runs, with all it started, and refuse what comes later."""
        with self._lock:
            self._why = self._why or why
            running = list(self._running)
            for process in running:
                kill(process)
        self._stop.set()

    def run(self, command: clone.Command, variables: Mapping[str, str]) -> Outcome:
        """Run a command; a fetch that fails again and again, with growing waits between. Raises nothing of its own."""
        outcome = self._once(command, variables)
        if command.step != "fetch":
            return outcome
        for number, wait_s in enumerate(self.limits.waits_s, 2):
            if not outcome.error or not outcome.started:
                break
            self._log.info("Retrying after sleep", command=str(command), error=outcome.error, sleep=wait_s)
            if self.wait(wait_s):
                return msgspec.structs.replace(outcome, error=self._why)
            outcome = msgspec.structs.replace(self._once(command, variables), tries=number)
        return outcome

    def wait(self, wait_s: float) -> bool:
        """Wait; return whether everything was stopped meanwhile."""
        return self._stop.wait(wait_s)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the environment a command runs in."""
        return {**self._environ, **variables}

    def _once(self, command: clone.Command, variables: Mapping[str, str]) -> Outcome:
        env = self.environment({**variables, **dict(command.env)})
        try:
            process = self.start(command.argv, command.cwd, env)
        except Stopped as stopped:
            return Outcome("", str(stopped), started=False)
        except FileNotFoundError as error:
            missing = command.cwd if error.filename == command.cwd else command.argv[0]
            return Outcome("", f"{missing} is not there", started=False)
        except (OSError, ValueError) as error:  # no permission, arguments too long, a NUL in one of them
            return Outcome("", f"{command.argv[0]} cannot be started: {error}", started=False)
        assert process.stdout is not None
        kept = _Kept(process.stdout, self.limits.output_bytes)
        late = threading.Event()
        timer = threading.Timer(self.limits.command_s, self._too_late, (process, late))
        reader = threading.Thread(target=kept.read, daemon=True)
        try:
            timer.start()
            reader.start()
            _wait(process)
        finally:
            timer.cancel()
            code = self.end(process)
        reader.join(_STRAY_S)
        return Outcome(kept.text(), self._error(code, late.is_set()))

    def start(self, argv: Sequence[str], cwd: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a process that stop() will kill, stdout and stderr in one pipe. Raises Stopped, OSError, ValueError."""
        with self._lock:
            if self._why:
                raise Stopped(self._why)
            process = subprocess.Popen(  # noqa: S603 - an argument list, never through a shell
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
            if self._why:  # the signal came just now, on this very thread
                kill(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Kill what is left of a process and its group; return its code, negative when a signal ended it."""
        with self._lock:
            self._running.discard(process)
            kill(process)
        return process.wait()

    def _too_late(self, process: subprocess.Popen[bytes], late: threading.Event) -> None:
        with self._lock:
            if process in self._running:
                late.set()
                kill(process)

    def _error(self, code: int, late: bool) -> str:
        if code == 0:
            return ""
        if self._why:
            return self._why
        if late:
            return f"did not end within {self.limits.command_s:g} s"
        if code > 0:
            return f"exit status {code}"
        return f"signal: {signal.strsignal(-code) or -code}".lower()


class Stopped(Exception):
    """Nothing is started any more. The message says why."""


class _Kept:
    """The start and the end of a stream, and how much is left out between."""

    def __init__(self, stream: IO[bytes], limit_bytes: int) -> None:
        self._stream = stream
        self._half = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0

    def read(self) -> None:
        with self._stream, contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._stream.fileno(), _READ_BYTES):
                self._add(chunk)

    def _add(self, chunk: bytes) -> None:
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        over = len(self._tail) - self._half
        if over > 0:
            self._left_out += over
            del self._tail[:over]

    def text(self) -> str:
        head, tail, left_out = bytes(self._head), bytes(self._tail), self._left_out
        if not left_out:
            return (head + tail).decode(errors="replace")
        # Whole lines where there are lines, so that no secret stands there in halves, which nobody would take out.
        head = head[: head.rfind(b"\n") + 1 or -_LONGEST_SECRET_BYTES]
        tail = tail[tail.find(b"\n") + 1 or _LONGEST_SECRET_BYTES :]
        left_out += 2 * self._half - len(head) - len(tail)
        return f"{head.decode(errors='replace')}[{left_out} bytes left out]\n{tail.decode(errors='replace')}"


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that is not waited for yet, and all in its session's group.

    A group of which only the dead are left counts as none; some systems call that a lack of permission.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process ends, without taking its number from it where the system can do that."""
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    else:
        process.wait()
