"""entrypoint: run a test, keep its output and its exit code for the sidecar, end it in time.

Source: upstream cmd/entrypoint, pkg/entrypoint/run.go.
"""

import errno
import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

import prow_async
from prow_async.api.errors import CannotStart
from prow_async.api.podoptions import EntrypointOptions
from prow_async.core import durations
from prow_async.core import entrypoint as ends
from prow_async.podutils import logs, markers, options, output, processes
from prow_async.podutils.signals import Signals

_TOLD_TO_END = (signal.SIGINT, signal.SIGTERM)
_KILL_PATIENCE_S = 10.0
_DRAIN_PATIENCE_S = 3.0
_ROOM_BYTES = 64 << 10


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run what ENTRYPOINT_OPTIONS or the flags and words say; return the exit code.

    The marker says how the test ended, once nothing of it lives any more. The exit code is the same (a process' exit
    code has only its low eight bits), 0 with `always_zero`, 127 when the marker cannot be written, 1 for options that
    cannot be worked with.
    """
    log = logs.Log("entrypoint")

    def work() -> int:
        wanted = options.read(ends.PROGRAM, EntrypointOptions, argv, environ, ends.mistake)
        if wanted.copy_mode_only:
            _copy(wanted.copy_dst or ends.COPY_TO)
            return 0
        return _Run(wanted, environ, log).run()

    return options.start(log, work)


class _Run:
    """One test from start to marker."""

    def __init__(self, wanted: EntrypointOptions, environ: Mapping[str, str], log: logs.Log) -> None:
        self._wanted = wanted
        self._environ = environ
        self._log = log
        self._limits = ends.limits(wanted)
        self._log_fd = -1
        self._sinks: tuple[output.Sink, ...] = ()

    def run(self) -> int:
        with Signals((*_TOLD_TO_END, signal.SIGCHLD)) as signals:
            try:
                code, failure = self._execute(signals)
            except Exception as error:  # no descriptor, no thread, a mistake of ours: the sidecar waits for a marker
                code, failure = ends.INTERNAL_CODE, f"entrypoint cannot go on: {error!r}"
            if failure:
                self._log.error("Error executing test process", error=failure)
            try:
                self._mark(code)
            except OSError as error:
                self._log.error("Error writing exit code to marker file", error=str(error))
                return ends.INTERNAL_CODE
            return 0 if self._wanted.always_zero else code

    def _execute(self, signals: Signals) -> tuple[int, str]:
        """Return the code for the marker, and what went wrong."""
        wanted = self._wanted
        try:
            if wanted.artifact_dir:
                os.makedirs(wanted.artifact_dir, exist_ok=True)
        except OSError as error:
            return ends.INTERNAL_CODE, f"could not create artifact directory({wanted.artifact_dir}): {error.strerror}"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._log_fd = os.open(wanted.process_log, flags, 0o666)
        except OSError as error:
            return ends.INTERNAL_CODE, f"could not create process logfile({wanted.process_log}): {error.strerror}"
        self._sinks = (output.Sink(self._log_fd), output.Sink(1))
        self._log = logs.Log("entrypoint", output.Tee(self._sinks))
        if wanted.previous_marker:
            ended = self._await_previous(signals)
            if ended is not None:
                return ended
        processes.adopt_orphans()
        pump = output.Pump(self._sinks)
        pump.start()
        try:
            process = processes.Process(wanted.args, self._environ, pump.write_fd)
        except (OSError, ValueError) as error:
            number, why = (error.errno or 0, error.strerror or "") if isinstance(error, OSError) else (0, str(error))
            failure = f"could not start the process: {ends.start_failure(wanted.args[0], number, why)}"
            self._sinks[0].write(failure.encode(errors="replace"))
            return ends.INTERNAL_CODE, failure
        finally:
            pump.let_go()
        stopped = self._watch(process, pump, signals)
        self._tell_losses()
        status = signal.SIGKILL if process.wait_status is None else process.wait_status
        return ends.marker_code(stopped, status, wanted.propagate_error_code), ends.told(stopped, status)

    def _await_previous(self, signals: Signals) -> tuple[int, str] | None:
        """Wait for the test before this one; return how this one ends without having been run, None to run it."""
        path = self._wanted.previous_marker
        with markers.Markers([path]) as previous:
            while came := previous.wait(signals):
                told_to_end = [number for number in came if number in _TOLD_TO_END]
                if told_to_end:
                    self._log.error(f"Received interrupt {ends.signal_name(told_to_end[0])}, cancelling...")
                    return ends.INTERNAL_CODE, f"wait for previous marker {path}: context canceled"
        result = previous.results[path]
        if result.error:
            return ends.INTERNAL_CODE, f"wait for previous marker {path}: {result.error}"
        if result.code:
            self._log.info(f"Skipping as previous step exited {result.code}")
            return ends.PREVIOUS_CODE, ""
        return None

    def _watch(self, process: processes.Process, pump: output.Pump, signals: Signals) -> ends.Stopped:
        """Wait for the test to end, and see that it does."""
        waiting = _Waiting(process, pump, signals)
        stopped: ends.Stopped = ""
        came = waiting.until_ended(self._limits.timeout_s, interruptible=True)
        if process.wait_status is None:
            stopped = "aborted" if came else "timed out"
            if came:
                self._log.error(f"Entrypoint received interrupt: {ends.signal_name(came)}")
            else:
                after = durations.format_s(self._limits.timeout_s)
                self._log.error(f"Process did not finish before {after} timeout")
            self._ask_to_end(process, came)
            waiting.until_ended(self._limits.grace_s, interruptible=False)
            grace = durations.format_s(self._limits.grace_s)
            if process.wait_status is None:
                self._log.error(f"Process did not exit before {grace} grace period")
            else:
                self._log.error(f"Process gracefully exited before {grace} grace period")
        elif not waiting.until_silent(self._limits.grace_s):
            self._log.warning("The process has ended, others that it started have not: they are killed")
        left = process.kill_everything(_KILL_PATIENCE_S)
        if left:
            self._log.error("Could not kill process after grace period", left=left)
        waiting.until_silent(_DRAIN_PATIENCE_S)
        return stopped

    def _ask_to_end(self, process: processes.Process, came: int) -> None:
        for number in (signal.SIGINT, came):
            if number and (why := process.signal_group(number)):
                self._log.error(f"Could not send signal {ends.signal_name(number)} to process", error=why)

    def _tell_losses(self) -> None:
        for name, sink in zip(("process log", "standard output"), self._sinks, strict=True):
            if sink.lost_bytes:
                self._log.error(f"Output is missing in the {name}", lost_bytes=sink.lost_bytes, error=sink.why)

    def _mark(self, code: int) -> None:
        """Write the marker, all of it or nothing; where the disk is full, the end of the log gives way to it."""
        partial = f"{self._wanted.marker_file}.{os.getpid()}.partial"
        try:
            _write(partial, str(code).encode())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or self._log_fd < 0:
                raise
            os.ftruncate(self._log_fd, max(0, os.fstat(self._log_fd).st_size - _ROOM_BYTES))
            _write(partial, str(code).encode())
        os.replace(partial, self._wanted.marker_file)


class _Waiting(msgspec.Struct):
    """What can happen while a test runs."""

    process: processes.Process
    pump: output.Pump
    signals: Signals

    def until_ended(self, patience_s: float, interruptible: bool) -> int:
        """Wait for the process to end, not for what it left behind; return the signal that came first, 0 if none."""
        deadline = time.monotonic() + patience_s
        while not self.process.reap():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return 0
            poll = select.poll()
            poll.register(self.signals.fd, select.POLLIN)
            poll.poll(min(left_s * 1000 + 1, 1e6))
            came = [number for number in self.signals.take() if number in _TOLD_TO_END]
            if came and interruptible and not self.process.reap():
                return came[0]
        return 0

    def until_silent(self, patience_s: float) -> bool:
        """Wait until nobody holds the output any more; say whether that is so."""
        poll = select.poll()
        poll.register(self.pump.done_fd, select.POLLIN)
        return bool(poll.poll(patience_s * 1000))


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o777)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.fchmod(descriptor, 0o777)
    finally:
        os.close(descriptor)


def script() -> bytes:
    """Return the script that stands for this program in a test's container: it runs it with this interpreter.

    It listens to nothing of the test's Python: neither its folder nor its PYTHON* variables.
    """
    roots = sorted({os.path.dirname(os.path.dirname(str(one.__file__))) for one in (prow_async, msgspec)})
    start = f"import sys; sys.path += {roots!r}; from prow_async.podutils import entrypoint, options; "
    words = [sys.executable, "-I", "-c", start + "options.exit_with(entrypoint.main)"]
    return os.fsencode(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')


def _copy(destination: str) -> None:
    """Put the script at the destination. Raises CannotStart."""
    partial = f"{destination}.{os.getpid()}.partial"
    try:
        os.makedirs(os.path.dirname(destination) or ".", exist_ok=True)
        with open(partial, "wb") as file:
            file.write(script())
        os.chmod(partial, 0o755)  # noqa: S103 - any user may run it, as the test may be any
        os.replace(partial, destination)
    except OSError as error:
        raise CannotStart(f"the program cannot be put at {destination}: {error.strerror}") from error


if __name__ == "__main__":
    options.exit_with(main)
