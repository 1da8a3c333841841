"""Child processes, and what the kernel knows of them."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.01
END_S = 15.0


class Broken(Exception):
    """A measurement could not be made; the text says why."""


def cpu_s(pid: int) -> float:
    """Return the CPU time a process has used so far, its own and the kernel's for it. Raises Broken."""
    fields = _of(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_s() -> float:
    """Return the CPU time all processes of this machine have used so far."""
    fields = list(map(int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]))
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / TICKS


def children_s() -> float:
    """Return the CPU time of all children of this process that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_bytes(pid: int) -> int:
    """Return the largest resident size a process has had (VmHWM). Raises Broken."""
    for line in _of(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise Broken(f"the kernel tells no VmHWM of process {pid}")


def _of(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError as error:
        raise Broken(f"process {pid} ended while it was measured") from error


class Child:
    """A running program of ours; its output goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.started_s = time.monotonic()
        self.process = process
        self.pid = process.pid
        self._output = output

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_until(self, true: Callable[[], bool], what: str, patience_s: float = 120.0) -> float:
        """Return the seconds from the start until it is true. Raises Broken when it ends or takes too long."""
        while True:
            if true():
                return time.monotonic() - self.started_s
            if self.process.poll() is not None:
                raise Broken(f"{what}: it ended with {self.process.returncode}\n{self.output()[-2000:]}")
            if time.monotonic() - self.started_s > patience_s:
                raise Broken(f"{what}: not within {patience_s:.0f} s\n{self.output()[-2000:]}")
            time.sleep(LOOK_S)


@contextlib.contextmanager
def child(command: Sequence[str]) -> Iterator[Child]:
    """Run a program beside us; end it with SIGTERM, and with SIGKILL where that does not help."""
    with tempfile.TemporaryDirectory(prefix="prow-async-bench-") as folder:
        output = Path(folder) / "output"
        with output.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT
            )
        try:
            yield Child(process, output)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package in the same Python."""
    return [sys.executable, "-m", name, *arguments]


def run(command: Sequence[str], patience_s: float) -> bytes:
    """Run a program to its end; return what it printed. Raises Broken."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=patience_s, cwd=ROOT)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{' '.join(command[1:4])}: not done within {patience_s:.0f} s") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace")[-2000:]
        raise Broken(f"{' '.join(command[1:4])} ended with {done.returncode}\n{said}")
    return done.stdout
