"""Starts the programs of a job's pod as real processes, and meets their tests at pipes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    """Start `python -m prow_async.podutils.NAME` with these variables; it is killed if it still runs at the end."""
    command = [sys.executable, "-m", f"prow_async.podutils.{name}", *argv]
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT} | more
    with subprocess.Popen(command, env={"PATH": os.environ["PATH"], **environ}, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


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
