"""One container as a process: start it, copy its output, signal it, know how it ended.

On Linux the process is a cell (see `cell.main`), which passes SIGTERM on to the command and ends everything in the
container with it. Elsewhere it is the command itself, and what leaves its process group outlives it.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import Protocol

import anyio
import anyio.abc
import msgspec

from prow_async.sandbox.kubelet import cgroups, forge, isolation, leftovers
from prow_async.sandbox.kubelet.cell.order import Order
from prow_async.sandbox.kubelet.isolation import Isolation
from prow_async.sandbox.kubelet.launch import Launch
from prow_async.sandbox.kubelet.logs import Log

PIECE_BYTES = 64 * 1024
DRAIN_S = 1.0
"""How long output is still read once the container is dead: only a process that got away can hold the pipe open."""
KILL_S = 10.0
"""How long a cell may take to end what is in it."""
START_S = 60.0
"""Mounting takes milliseconds; a file system of this machine that hangs must not hold a pod for ever."""


class CannotStart(Exception):
    """The command could not be started. `why` is the container's termination message."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Cell(msgspec.Struct, frozen=True):
    """What a container is started in, beside what it runs."""

    forge: forge.Forge
    isolation: Isolation
    root: str
    """An empty folder for the new root to be mounted on."""
    hidden: str
    """The kubelet's own folder: other pods' secrets stand there."""
    hidden_from_jobs: tuple[str, ...]
    """What looks empty too, except to the pod utilities."""
    hostname: str
    cgroup: cgroups.Group | None = None


class Child(Protocol):
    """The process of a container, whichever way it was started."""

    @property
    def pid(self) -> int: ...

    def send(self, number: signal.Signals) -> None:
        """Send a signal to what takes signals for the container."""

    async def wait(self) -> int:
        """Return the exit code, 128 + signal for one that a signal ended."""

    async def copy(self, log: Log) -> None:
        """Write output into the log until it ends."""

    def close(self) -> None:
        """Give up what is held for it; kill what is left of it."""


async def start(launch: Launch, log: Log, mark_file: str, cell: Cell) -> "Group":
    """Start a container with nothing but the given environment.

    Args:
        mark_file: where the process is written down for a kubelet that comes after this one.

    Raises CannotStart.
    """
    try:
        with anyio.CancelScope(shield=True):
            child = await (_start_cell(launch, cell) if sys.platform == "linux" else _Plain.start(launch))
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "its command or environment cannot be passed on"
        raise CannotStart(f"cannot start {launch.program!r} in {launch.cwd}: {what}") from error
    leftovers.mark(mark_file, child.pid)
    return Group(child, log, mark_file)


async def _start_cell(launch: Launch, cell: Cell) -> Child:
    """Raises CannotStart, OSError, ValueError."""
    if any("\0" in text for text in (*launch.argv, *launch.env, *launch.env.values())):
        raise ValueError("a NUL byte")
    child = await cell.forge.fork(_order(launch, cell))
    word = f"its root was not ready after {START_S:.0f} s"
    with anyio.move_on_after(START_S):
        word = await child.word()
    if word:
        child.close()
        # The command as the pod has it, in the place of the expanded one, which might hold a secret.
        raise CannotStart(word.replace(f"{launch.argv[0]!r}", f"{launch.program!r}"))
    return child


def _order(launch: Launch, cell: Cell) -> Order:
    wanted = cell.isolation
    return Order(
        argv=list(launch.argv),
        utility=launch.utility,
        env=dict(launch.env),
        cwd=launch.cwd,
        make_cwd=wanted.mounts,
        new_user=wanted.user,
        new_mounts=wanted.mounts,
        new_pids=wanted.pids,
        uid=launch.uid,
        gid=launch.gid,
        groups=list(launch.groups),
        root=cell.root,
        hostname=cell.hostname,
        mounts=[(bind.source, bind.target, bind.read_only) for bind in launch.binds],
        hidden=[cell.hidden, *(() if launch.utility else cell.hidden_from_jobs)],
        needed=isolation.needed(),
        read_only=not launch.utility,
        cgroup=cell.cgroup.procs if cell.cgroup is not None else "",
    )


class _Plain:
    """A command in a process group of its own, for systems that have no cells."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, launch: Launch) -> Child:
        process = await anyio.open_process(
            launch.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=launch.cwd,
            env=launch.env,
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self._process.pid, signal.SIGKILL if number == signal.SIGUSR1 else number)

    async def wait(self) -> int:
        code = await self._process.wait()
        self.send(signal.SIGKILL)
        return 128 - code if code < 0 else code

    async def copy(self, log: Log) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                log.write(await self._process.stdout.receive(PIECE_BYTES))

    def close(self) -> None:
        self.send(signal.SIGKILL)


class Group:
    """A running container. Exactly one task waits for it."""

    def __init__(self, child: Child, log: Log, mark_file: str) -> None:
        self._child = child
        self._log = log
        self._mark_file = mark_file
        self._ended = False

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, number: signal.Signals) -> None:
        """Signal the command (SIGTERM) or end everything (SIGKILL); nothing happens once it has ended."""
        if not self._ended:
            self._child.send(signal.SIGUSR1 if number == signal.SIGKILL else number)

    async def wait(self) -> int:
        """Copy output until the container has ended with all that is in it; return its exit code.

        The code is as Kubernetes counts: 128 + signal for a process that a signal ended. May be called again after it
        was cancelled.
        """
        async with anyio.create_task_group() as tasks:
            copied = anyio.Event()
            tasks.start_soon(self._copy, copied)
            code = await self._child.wait()
            with anyio.move_on_after(DRAIN_S):
                await copied.wait()
            tasks.cancel_scope.cancel()
        self._ended = True
        self._child.close()
        leftovers.unmark(self._mark_file)
        return code

    async def end(self, grace_s: float) -> int:
        """End the container now: SIGTERM, `grace_s` seconds, SIGKILL. Returns the exit code."""
        self.send(signal.SIGTERM)
        with anyio.move_on_after(grace_s):
            return await self.wait()
        self.send(signal.SIGKILL)
        with anyio.move_on_after(KILL_S):
            return await self.wait()
        self._child.send(signal.SIGKILL)
        return await self.wait()

    async def _copy(self, copied: anyio.Event) -> None:
        await self._child.copy(self._log)
        copied.set()
