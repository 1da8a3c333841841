"""The files in which tests leave their exit codes, and waiting for them.

The kernel tells of new files (inotify); a look from time to time is for file systems that do not, and for a kernel that
has no watches left.

Source: upstream pkg/pod-utils/wrapper/options.go (WaitForMarkers); inotify(7).
"""

import ctypes
import os
import select
from collections.abc import Sequence

import msgspec

from prow_async.podutils.signals import Signals

_CREATED = 0x8 | 0x80 | 0x100
"""IN_CLOSE_WRITE, IN_MOVED_TO, IN_CREATE."""
_LOOK_WATCHED_MS = 1000
_LOOK_UNWATCHED_MS = 50
_MARKER_BYTES = 64


class Result(msgspec.Struct, frozen=True):
    """What a marker says. -1 with an error for one that cannot be read, or holds no number."""

    code: int
    error: str = ""


class Markers:
    """Some markers; use as a context."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.results: dict[str, Result] = {}
        self._missing = list(dict.fromkeys(paths))
        self._fd = -1

    def __enter__(self) -> "Markers":
        self._fd = _watch({os.path.dirname(path) or "." for path in self._missing})
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def wait(self, signals: Signals) -> tuple[int, ...]:
        """Wait until all are there, then return nothing; or until a signal comes, and return what came."""
        poll = select.poll()
        poll.register(signals.fd, select.POLLIN)
        if self._fd >= 0:
            poll.register(self._fd, select.POLLIN)
        while not self._look():
            ready = dict(poll.poll(_LOOK_UNWATCHED_MS if self._fd < 0 else _LOOK_WATCHED_MS))
            if self._fd in ready:
                os.read(self._fd, 1 << 16)
            if signals.fd in ready and (came := signals.take()):
                return came
        return ()

    def _look(self) -> bool:
        """Read those that have come; say whether that was all."""
        for path in tuple(self._missing):
            result = read(path)
            if result is not None:
                self.results[path] = result
                self._missing.remove(path)
        return not self._missing


def read(path: str) -> Result | None:
    """Return what a marker says, None when it is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Result(-1, f"cannot read the marker {path}: {error.strerror}")
    try:
        text = os.read(descriptor, _MARKER_BYTES)
    except OSError as error:
        return Result(-1, f"cannot read the marker {path}: {error.strerror}")
    finally:
        os.close(descriptor)
    number = text.strip()
    if not number.removeprefix(b"-").removeprefix(b"+").isdigit() or len(text) == _MARKER_BYTES:
        return Result(-1, f"the marker {path} holds no exit code")
    try:
        return Result(int(number))
    except ValueError:  # -+1
        return Result(-1, f"the marker {path} holds no exit code")


def _watch(folders: set[str]) -> int:
    """Return a descriptor that is readable when something comes into one of the folders, -1 if there is no such."""
    try:
        libc = ctypes.CDLL(None)
        descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    except (OSError, AttributeError):  # not Linux
        return -1
    if descriptor < 0:
        return -1
    for folder in folders:
        if libc.inotify_add_watch(descriptor, os.fsencode(folder), _CREATED) < 0:
            os.close(descriptor)
            return -1
    return descriptor
