"""Makes cells: keeps the process they are forked from, and is one cell's other end."""

import array
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel

from prow_async.sandbox.kubelet.cell.order import Order
from prow_async.sandbox.kubelet.logs import Log

PACKAGE = Path(__file__).resolve().parents[2]
PIECE_BYTES = 64 * 1024
KILLED = 137
PATIENCE_S = 5.0


def _command() -> tuple[str, ...]:
    """Return the command line of a cell server: a bare interpreter, which finds this package and nothing else."""
    found = f"import sys; sys.path.append({str(PACKAGE.parent)!r})"
    paths = [path for path in sys.path if os.path.isdir(path)]
    run = f"from prow_async.sandbox.kubelet.cell import server; server.serve({paths!r})"
    return (sys.executable, "-I", "-S", "-c", f"{found}; {run}")


class Ends:
    """Our ends of a new cell's pipes, and the cell's until they have been handed over."""

    def __init__(self) -> None:
        self.output, self.output_theirs = os.pipe()
        self.status, self.status_theirs = os.pipe()
        self.ending, self.ending_theirs = os.pipe()
        self.lifeline_theirs, self.lifeline = os.pipe()
        for file in (self.output, self.status, self.ending):
            os.set_blocking(file, False)

    @property
    def theirs(self) -> tuple[int, ...]:
        return (self.output_theirs, self.status_theirs, self.lifeline_theirs, self.ending_theirs)

    @property
    def ours(self) -> tuple[int, ...]:
        return (self.output, self.status, self.ending, self.lifeline)


class Forge:
    """The process cells are forked from; started when it is needed, and again if somebody ends it. Linux only."""

    def __init__(self) -> None:
        self._door: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._turn = anyio.Lock()

    async def fork(self, order: Order) -> "Cell":
        """Start a cell. Raises OSError."""
        async with self._turn:
            ends = Ends()
            try:
                door = self._send(order, ends)
                door.setblocking(False)
                await anyio.wait_readable(door)
                pid = _pid(door)
            except BaseException:
                close(*ends.ours)
                raise
            finally:
                close(*ends.theirs)
            return Cell(pid, ends)

    def fork_and_wait(self, order: Order) -> str:
        """Run a cell to its end; return what kept its command from running. Blocking. Raises OSError."""
        ends = Ends()
        try:
            door = self._send(order, ends)
            door.setblocking(True)
            _pid(door)
        finally:
            close(*ends.theirs)
        try:
            for file in (ends.ending, ends.status):
                os.set_blocking(file, True)
            os.read(ends.ending, 16)
            return os.read(ends.status, 4096).decode(errors="replace")
        finally:
            close(*ends.ours)

    def _send(self, order: Order, ends: Ends) -> socket.socket:
        given = _given(order.dump())
        carried = array.array("i", (given, *ends.theirs))
        try:
            for last in (False, True):
                door = self._opened()
                try:
                    door.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, carried)])
                    return door
                except (BrokenPipeError, ConnectionResetError):
                    self.close()
                    if last:
                        raise
            raise AssertionError  # the loop returns or raises
        finally:
            os.close(given)

    def _opened(self) -> socket.socket:
        if self._door is None:
            self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._server = subprocess.Popen(  # noqa: S603 - our own program
                    _command(),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
        return self._door

    def close(self) -> None:
        """End the process; cells go on."""
        if self._door is not None and self._server is not None:
            self._door.close()
            try:
                self._server.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._door = self._server = None


def _pid(door: socket.socket) -> int:
    said = door.recv(32)
    if not said:
        raise ConnectionResetError(os.strerror(104))
    pid = int(said)
    if pid < 0:
        raise OSError(-pid, os.strerror(-pid))
    return pid


def _given(content: bytes) -> int:
    """Return an unnamed file of this content: nothing secret shows on a command line, and no reader is waited for."""
    file = os.memfd_create("order", os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


def close(*files: int) -> None:
    for file in files:
        os.close(file)


class Cell:
    """A running cell. One task at a time reads its output, one waits for its end."""

    def __init__(self, pid: int, ends: Ends) -> None:
        self.pid = pid
        self.code: int | None = None
        self._ends = ends
        self._ending = b""
        try:
            self._process = os.pidfd_open(pid)
        except ProcessLookupError:
            self._process = -1

    def send(self, number: signal.Signals) -> None:
        """Signal the cell's outer process, unless it has ended."""
        if self._process >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    async def word(self) -> str:
        """Return what the cell says before its command runs; empty when the command runs."""
        said = b""
        while piece := await _read(self._ends.status):
            said += piece
        return said.decode(errors="replace")

    async def wait(self) -> int:
        """Return the exit code once the cell has ended."""
        while self.code is None:
            piece = await _read(self._ends.ending)
            self._ending += piece
            if not piece:
                self.code = int(self._ending) if self._ending else KILLED
        return self.code

    async def copy(self, log: Log) -> None:
        """Write output into the log until nobody can write any more."""
        while piece := await _read(self._ends.output):
            log.write(piece)
            await anyio.lowlevel.checkpoint()

    def close(self) -> None:
        """Give up all files. A cell that still runs is ended by this."""
        close(*self._ends.ours, *([self._process] if self._process >= 0 else []))
        self._process = -1


async def _read(file: int) -> bytes:
    while True:
        try:
            return os.read(file, PIECE_BYTES)
        except BlockingIOError:
            await anyio.wait_readable(file)
