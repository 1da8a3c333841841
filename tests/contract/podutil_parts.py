"""Starts the programs of a job's pod as real processes, and meets their tests at pipes."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # the project carries no stubs for it

ROOT = Path(__file__).parents[2]


class Ended:
    """A program that has ended, with the most memory it ever held."""

    def __init__(self, code: int, out: bytes, errors: bytes) -> None:
        self.code = code
        self.out = out
        self.errors = errors

    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines of standard error."""
        return [json.loads(line) for line in self.errors.splitlines()]


@contextmanager
def started(name: str, environ: dict[str, str], *argv: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start `python -m prow_async.podutils.NAME` with these variables; with all below it, it is killed at the end."""
    command = [sys.executable, "-m", f"prow_async.podutils.{name}", *argv]
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT} | more
    if name == "entrypoint":  # nobody else could end its test, should a signal that ends ours come to all of our group
        more |= {"start_new_session": True, "preexec_fn": _told_when_we_end(more.get("preexec_fn"))}
    with subprocess.Popen(command, env={"PATH": os.environ["PATH"], **environ}, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill_all(process.pid)


def _told_when_we_end(first: Callable[[], None] | None) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if first is not None:
            first()

    return ask


def _kill_all(pid: int) -> None:
    """Kill a process and all below it. It stands still meanwhile, so that it starts nothing more."""
    os.kill(pid, signal.SIGSTOP)
    while alive := [one for one in psutil.Process(pid).children(recursive=True) if not _is_dead(one)]:
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    os.kill(pid, signal.SIGKILL)


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def ended(process: subprocess.Popen[bytes]) -> Ended:
    out, errors = process.communicate(timeout=60)
    return Ended(process.returncode, out or b"", errors or b"")


def run(name: str, environ: dict[str, str], *argv: str, **more: Any) -> Ended:
    with started(name, environ, *argv, **more) as process:
        return ended(process)


def meeting(folder: Path, name: str) -> Path:
    """Make a pipe at which a test says that it has come so far: `echo ready > PIPE`."""
    path = folder / name
    os.mkfifo(path)
    return path


def most_memory_bytes(pid: int) -> int:
    """Return the most memory that a living process ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")
