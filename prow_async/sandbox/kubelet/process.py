"""One container as a process: start it, copy its output, signal it, know how it ended.

On Linux the process is a cell (see `cell.main`), which passes SIGTERM on to the command and ends everything in the
container with it. Elsewhere it is the command itself, and what leaves its process group outlives it.
"""

import contextlib
import os
import signal
import subprocess
import sys

import anyio
import anyio.abc
import msgspec

from prow_async.sandbox.kubelet import cgroups, isolation, leftovers
from prow_async.sandbox.kubelet.cell.order import Order
from prow_async.sandbox.kubelet.isolation import Isolation
from prow_async.sandbox.kubelet.launch import Launch
from prow_async.sandbox.kubelet.logs import Log

PIECE_BYTES = 64 * 1024
DRAIN_S = 1.0
"""How long output is still read once the container is dead: only a process that got away can hold the pipe open."""
WORD_BYTES = 4096
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

    isolation: Isolation
    root: str
    """An empty folder for the new root to be mounted on."""
    hidden: str
    """The kubelet's own folder: other pods' secrets stand there."""
    hostname: str
    cgroup: cgroups.Group | None = None


async def start(launch: Launch, log: Log, mark_file: str, cell: Cell) -> "Group":
    """Start a container with nothing but the given environment.

    Args:
        mark_file: where the process is written down for a kubelet that comes after this one.

    Raises CannotStart.
    """
    try:
        with anyio.CancelScope(shield=True):
            if sys.platform == "linux":
                process, lifeline = await _start_cell(launch, cell)
            else:
                process, lifeline = await _open(launch.argv, cwd=launch.cwd, env=launch.env), None
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "its command or environment cannot be passed on"
        raise CannotStart(f"cannot start {launch.program!r} in {launch.cwd}: {what}") from error
    leftovers.mark(mark_file, process.pid)
    return Group(process, log, mark_file, lifeline)


async def _open(
    argv: tuple[str, ...], stdin: int = subprocess.DEVNULL, pass_fds: tuple[int, ...] = (), **more: object
) -> anyio.abc.Process:
    return await anyio.open_process(
        argv,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=pass_fds,
        **more,  # type: ignore[arg-type]  # cwd and env, as anyio has them
    )


async def _start_cell(launch: Launch, cell: Cell) -> tuple[anyio.abc.Process, int]:
    """Return the cell's outer process and our end of its lifeline. Raises CannotStart, OSError, ValueError."""
    if any("\0" in text for text in (*launch.argv, *launch.env, *launch.env.values())):
        raise ValueError("a NUL byte")
    status_read, status_write = os.pipe()
    lifeline_read, lifeline = os.pipe()
    given = _given(_order(launch, cell, status_write, lifeline_read).dump())
    started = False
    try:
        process = await _open(isolation.command(), stdin=given, pass_fds=(status_write, lifeline_read), env={}, cwd="/")
        os.close(status_write)
        status_write = -1
        word = f"its root was not ready after {START_S:.0f} s"
        with anyio.move_on_after(START_S):
            word = await _word(status_read)
        if word:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            await process.aclose()
            raise CannotStart(_shown(word, launch))
        started = True
        return process, lifeline
    finally:
        ours = (status_read, status_write, lifeline_read, given, -1 if started else lifeline)
        for descriptor in ours:
            if descriptor >= 0:
                os.close(descriptor)


def _given(content: bytes) -> int:
    """Return an unnamed file of this content: nothing secret shows on a command line, and no reader is waited for."""
    file = os.memfd_create("order", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _shown(word: str, launch: Launch) -> str:
    """Put the command as the pod has it in the place of the expanded one, which might hold a secret."""
    return word.replace(f"{launch.argv[0]!r}", f"{launch.program!r}")


async def _word(status_fd: int) -> str:
    """Return what a cell says before its command runs; empty when the command runs."""
    os.set_blocking(status_fd, False)
    word = b""
    while len(word) < WORD_BYTES:
        await anyio.wait_readable(status_fd)
        piece = os.read(status_fd, WORD_BYTES)
        if not piece:
            break
        word += piece
    return word.decode(errors="replace")


def _order(launch: Launch, cell: Cell, status_fd: int, lifeline_fd: int) -> Order:
    wanted = cell.isolation
    return Order(
        argv=list(launch.argv),
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
        hidden=[cell.hidden],
        needed=isolation.needed(),
        read_only=not launch.utility,
        cgroup=cell.cgroup.procs if cell.cgroup is not None else "",
        status_fd=status_fd,
        lifeline_fd=lifeline_fd,
    )


class Group:
    """A running container. Exactly one task waits for it."""

    def __init__(self, process: anyio.abc.Process, log: Log, mark_file: str, lifeline: int | None) -> None:
        self._process = process
        self._log = log
        self._mark_file = mark_file
        self._lifeline = lifeline

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Signal the command (SIGTERM) or end everything (SIGKILL); nothing happens once it has ended."""
        if self._process.returncode is None:
            if self._lifeline is None:
                self._signal_group(number)
            else:
                self._signal_cell(signal.SIGUSR1 if number == signal.SIGKILL else number)

    def _signal_cell(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self._process.pid, number)

    async def wait(self) -> int:
        """Copy output until the first process has ended, kill what it left behind; return its exit code.

        The code is as Kubernetes counts: 128 + signal for a process that a signal ended. May be called again after it
        was cancelled.
        """
        async with anyio.create_task_group() as tasks:
            copied = anyio.Event()
            tasks.start_soon(self._copy, copied)
            code = await self._process.wait()
            self._signal_group(signal.SIGKILL)
            with anyio.move_on_after(DRAIN_S):
                await copied.wait()
            tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._process.aclose()
        leftovers.unmark(self._mark_file)
        if self._lifeline is not None and self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        return 128 - code if code < 0 else code

    async def end(self, grace_s: float) -> int:
        """End the container now: SIGTERM, `grace_s` seconds, SIGKILL. Returns the exit code."""
        self.send(signal.SIGTERM)
        with anyio.move_on_after(grace_s):
            return await self.wait()
        self.send(signal.SIGKILL)
        with anyio.move_on_after(KILL_S):
            return await self.wait()
        self._signal_group(signal.SIGKILL)
        return await self.wait()

    async def _copy(self, copied: anyio.Event) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                self._log.write(await self._process.stdout.receive(PIECE_BYTES))
        copied.set()
