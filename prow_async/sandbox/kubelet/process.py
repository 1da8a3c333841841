"""One container as a process group: start it, copy its output, signal it, know how it ended."""

import contextlib
import os
import signal
import subprocess

import anyio
import anyio.abc

from prow_async.sandbox.kubelet import leftovers
from prow_async.sandbox.kubelet.launch import Launch
from prow_async.sandbox.kubelet.logs import Log

PIECE_BYTES = 64 * 1024
DRAIN_S = 1.0
"""How long output is still read once the group is dead: only a process that left the group can hold the pipe open."""


class CannotStart(Exception):
    """The command could not be started. `why` is the container's termination message."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def start(launch: Launch, log: Log, mark_file: str) -> "Group":
    """Start a container's first process in a session and group of its own, with nothing but the given environment.

    Args:
        mark_file: where the process is written down for a kubelet that comes after this one.

    Raises CannotStart.
    """
    try:
        with anyio.CancelScope(shield=True):
            process = await anyio.open_process(
                launch.argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=launch.cwd,
                env=launch.env,
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else "its command or environment cannot be passed on"
        raise CannotStart(f"cannot start {launch.program!r} in {launch.cwd}: {what}") from error
    leftovers.mark(mark_file, process.pid)
    return Group(process, log, mark_file)


class Group:
    """A running container. Exactly one task waits for it."""

    def __init__(self, process: anyio.abc.Process, log: Log, mark_file: str) -> None:
        self._process = process
        self._log = log
        self._mark_file = mark_file

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Signal every process of the group; nothing happens once the first process has ended."""
        if self._process.returncode is None:
            self._signal_group(number)

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
        return 128 - code if code < 0 else code

    async def end(self, grace_s: float) -> int:
        """End the group now: SIGTERM, `grace_s` seconds, SIGKILL. Returns the exit code."""
        self.send(signal.SIGTERM)
        with anyio.move_on_after(grace_s):
            return await self.wait()
        self.send(signal.SIGKILL)
        return await self.wait()

    async def _copy(self, copied: anyio.Event) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                self._log.write(await self._process.stdout.receive(PIECE_BYTES))
        copied.set()
