"""The controllers that are measured, each as a child process: the bare loop and prow-async."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench import processes, wire
from tests import realkube
from tests.ports import free_ports

PROGRAM = processes.ROOT / ".venv" / "bin" / "prow-async"
CONFIG = f"prowjob_namespace: {wire.NAMESPACE}\npod_namespace: {wire.NAMESPACE}\n"


class System(msgspec.Struct, frozen=True):
    """A running system, ready to work. `metrics_url` is empty where it has none."""

    name: str
    child: processes.Child
    ready_s: float
    """From its start until it said it was ready."""
    metrics_url: str = ""

    def metrics(self) -> str:
        """Return its metrics page, empty where it has none. Raises Broken."""
        return _read(self.metrics_url).decode() if self.metrics_url else ""


@contextlib.contextmanager
def bare(server: realkube.Server) -> Iterator[System]:
    with processes.child(processes.module("bench.bare", server.url, server.token)) as child:
        yield System("bare", child, child.wait_until(lambda: "ready" in child.output(), "the bare loop"))


@contextlib.contextmanager
def controller(server: realkube.Server) -> Iterator[System]:
    """Run `prow-async controller-manager` on the server, writing."""
    with _ours(server, "controller-manager", "--dry-run=false", "--listen-host=127.0.0.1") as system:
        yield system


@contextlib.contextmanager
def everything(server: realkube.Server, config: str = CONFIG, data: Path | None = None) -> Iterator[System]:
    """Run `prow-async up`: all components in one process, GitHub embedded, the cluster is the server's.

    Args:
        data: where it keeps everything; by default in a folder that goes away with it.
    """
    flags = ["--port=0", *([f"--data-dir={data}"] if data is not None else [])]
    with _ours(server, "up", *flags, config=config) as system:
        yield system


@contextlib.contextmanager
def _ours(server: realkube.Server, command: str, *flags: str, config: str = CONFIG) -> Iterator[System]:
    metrics_port, health_port = free_ports(2)
    path = server.folder / "bench-config.yaml"
    path.write_text(config)
    words = [
        str(program()),
        command,
        f"--kubeconfig={server.kubeconfig}",
        f"--config-path={path}",
        f"--metrics-port={metrics_port}",
        f"--health-port={health_port}",
        *flags,
    ]
    ready = f"http://127.0.0.1:{health_port}/healthz/ready"
    with processes.child(words) as child:
        ready_s = child.wait_until(lambda: answers(ready), f"prow-async {command}")
        yield System("ours", child, ready_s, f"http://127.0.0.1:{metrics_port}/metrics")


def program() -> Path:
    if not PROGRAM.exists():
        raise processes.Broken(f"{PROGRAM} is not there: run `make setup` first")
    return PROGRAM


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:  # refused, reset or 503: not ready yet
        return False


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return bytes(reply.read())
    except OSError as error:
        raise processes.Broken(f"{url} cannot be read: {error}") from error
