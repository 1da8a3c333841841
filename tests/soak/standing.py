"""What the soak runs on: the real API server, which may be killed and started again, and the engine beside it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import processes, systems, wire
from tests import realkube
from tests.ports import free_ports
from tests.soak import steady

CONFIG = f"prowjob_namespace: {wire.NAMESPACE}\npod_namespace: {wire.NAMESPACE}\n"


@contextlib.contextmanager
def server() -> Iterator[realkube.Server]:
    with realkube.running() as running:
        running.ensure("/api/v1/namespaces", {"metadata": {"name": wire.NAMESPACE}})
        yield running


class Program:
    """A program that is killed and started again, always with the same command."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Return its process id."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        return self._process.pid

    def kill(self) -> None:
        """As kill -9 does; a process that is not running any more is an error."""
        assert self._process is not None, "it was never started"
        assert self._process.poll() is None, f"it ended by itself: {self._log.read_text(errors='replace')[-2000:]}"
        self.end()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Taken(Program):
    """A program that another part of this process has started, and that is ours once we have killed it."""

    def __init__(self, pid: int, log: Path) -> None:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
        super().__init__([word.decode() for word in words], log)
        self._pid: int | None = pid

    def kill(self) -> None:
        if self._pid is None:
            super().kill()
            return
        os.kill(self._pid, signal.SIGKILL)
        # Its first thread may be dead while others still hold its port; and whoever started it is to wait for it too.
        end = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        assert end is not None, "nothing to wait for"
        assert end.si_status == signal.SIGKILL, f"it had ended by itself: {end}"
        self._pid = None


class Engine:
    """`prow-async up` on the real server: all components in one process, with ports of its own that stay the same."""

    def __init__(self, on: realkube.Server, config: str = CONFIG) -> None:
        metrics, health = free_ports(2)
        path = on.folder / "soak-config.yaml"
        path.write_text(config)
        words = [str(systems.program()), "up", f"--kubeconfig={on.kubeconfig}", f"--config-path={path}", "--port=0"]
        words += [f"--data-dir={on.folder / 'data'}", f"--metrics-port={metrics}", f"--health-port={health}"]
        self.log = on.folder / "engine.log"
        self.program = Program(words, self.log)
        self._ready = f"http://127.0.0.1:{health}/healthz/ready"

    def start(self, patience_s: float = 120.0) -> int:
        """Return the process id once it is ready."""
        pid = self.program.start()
        end = time.monotonic() + patience_s
        while not systems.answers(self._ready):
            assert time.monotonic() < end, f"not ready: {self.log.read_text(errors='replace')[-2000:]}"
            time.sleep(0.1)
        return pid


@contextlib.contextmanager
def engine(on: realkube.Server, config: str = CONFIG) -> Iterator[Engine]:
    one = Engine(on, config)
    try:
        yield one
    finally:
        one.program.end()


@contextlib.contextmanager
def load(on: realkube.Server, rate: float, seconds: float) -> Iterator[processes.Child]:
    """Run the load beside us; it is under way once this has begun."""
    command = processes.module("tests.soak.steady", on.url, on.token, str(rate), str(seconds))
    with processes.child(command) as child:
        child.wait_until(lambda: "ready" in child.output(), "the load")
        yield child


def report(child: processes.Child, patience_s: float) -> steady.Report:
    """Wait until the load has ended; return what it counted."""
    assert child.process.wait(patience_s) == 0, child.output()[-2000:]
    return msgspec.json.decode(child.output().splitlines()[-1], type=steady.Report)


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
