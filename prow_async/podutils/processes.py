"""A process and all that it leaves behind.

What it starts stays below us, however far it walks away: as process 1 of a container, or as the one who asked the
kernel to be given orphans, we are the parent of whatever loses its own.

Source: posix_spawn(3), prctl(2) (PR_SET_CHILD_SUBREAPER), proc(5).
"""

import ctypes
import os
import signal
import time
from collections.abc import Mapping, Sequence

_SUBREAPER = 36
_LOOK_AGAIN_S = 0.01
_SET_DIFFERENTLY = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ)


def adopt_orphans() -> bool:
    """Become the parent of every process below us that loses its own; say whether that is so."""
    if os.getpid() == 1:
        return True
    try:
        return int(ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)) == 0
    except (OSError, AttributeError):  # not Linux
        return False


class Process:
    """A process in a group of its own, with nothing to read, and its output in a pipe.

    Raises OSError, ValueError (a zero byte in an argument) when it does not start.
    """

    def __init__(self, args: Sequence[str], environ: Mapping[str, str], output_fd: int) -> None:
        self.wait_status: int | None = None
        """As wait(2) gives it; None while it runs."""
        self.pid = os.posix_spawnp(
            args[0],
            tuple(args),
            environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output_fd, 1),
                (os.POSIX_SPAWN_DUP2, output_fd, 2),
            ],
            setpgroup=0,
            setsigmask=[],
            setsigdef=_SET_DIFFERENTLY,
        )

    def reap(self) -> bool:
        """Bury what has ended, ours and orphans; say whether the process itself has."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == self.pid:
                self.wait_status = status
        return self.wait_status is not None

    def signal_group(self, number: int) -> str:
        """Send a signal to the process and those of its group; return what went wrong."""
        try:
            os.killpg(self.pid, number)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def kill_everything(self, patience_s: float) -> int:
        """Kill all that lives below us; return how many are left when patience ends (in a hung mount, say)."""
        self.signal_group(signal.SIGKILL)
        deadline = time.monotonic() + patience_s
        while True:
            self.reap()
            alive = descendants(os.getpid())
            if not alive or time.monotonic() > deadline:
                return len(alive)
            for pid in alive:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(_LOOK_AGAIN_S)


def descendants(root: int) -> tuple[int, ...]:
    """Return the processes below one that are not dead yet; none where the system has no /proc."""
    children: dict[int, list[tuple[int, bool]]] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return ()
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b") ")[2].split()[:2]
        except (OSError, ValueError):  # it ended meanwhile
            continue
        children.setdefault(int(parent), []).append((int(name), state not in (b"Z", b"X")))
    found: list[int] = []
    above = [root]
    while above:
        for pid, alive in children.get(above.pop(), ()):
            above.append(pid)
            if alive:
                found.append(pid)
    return tuple(found)
