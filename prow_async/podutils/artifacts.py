"""The files that a run leaves behind, found and opened as if their author meant harm.

Whoever wrote the tests wrote the files, and we read them with our own rights, beside mounted credentials: nothing
outside the folder is read, whatever links say, and nothing that could hold us up (pipes, devices) or never end.

Source: upstream pkg/gcsupload/run.go (gatherArtifacts).
"""

import errno
import io
import os
import stat
from collections.abc import Iterator

import msgspec

from prow_async.api.errors import Refused
from prow_async.podutils.logs import Log
from prow_async.ports.blobs import PlainFile

_AT_ONCE_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
_CANNOT_SEND = {errno.EINVAL, errno.ENOSYS, errno.ENOTSOCK, errno.EOPNOTSUPP}
"""What sendfile says where a system or a file system cannot copy so: macOS sends to sockets only."""


class Found(msgspec.Struct, frozen=True):
    """A file to upload. `name` is relative to what was looked through, with slashes, in UTF-8."""

    name: str
    path: str
    root: str
    """The real folder that the file must lie in once it is open."""


def gather(item: str, log: Log) -> Iterator[Found]:
    """Yield the files of an item: itself, or those in it at any depth, by name, below the folder's own name.

    What is missing, a link out of the folder, or no file at all is passed over with a warning.
    """
    path = os.path.abspath(item)
    try:
        mode = os.lstat(path).st_mode
    except (OSError, ValueError) as error:
        log.warning(f"Encountered error in resolving items to upload for {item}: {error}")
        return
    name = _printable(os.path.basename(path))
    if stat.S_ISDIR(mode):
        log.info(f"Gathering artifacts from artifact directory: {_printable(path)}")
        yield from _walk(path, name, os.path.realpath(path), log)
    elif stat.S_ISREG(mode):
        yield Found(name, path, os.path.realpath(os.path.dirname(path)))
    else:
        log.warning(f"{_printable(path)} is neither a file nor a folder, skipping...")


def open_file(found: Found, most_bytes: int | None = None) -> "Bounded":
    """Open a file that was found, up to the size it has now, or `most_bytes`.

    Raises Refused if it is none, or lies elsewhere by now.
    """
    shown = _printable(found.path)
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"cannot read {shown}: {error.strerror}") from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and _is_inside(_real_path(descriptor, found.path), found.root):
        size_bytes = status.st_size if most_bytes is None else min(status.st_size, most_bytes)
        return Bounded(io.FileIO(descriptor), size_bytes, shown)
    os.close(descriptor)
    raise Refused(f"{shown} is no file, or leads out of {_printable(found.root)}: it is not read")


class Bounded(PlainFile):
    """A file up to a size: one that grows while we read would never end."""

    def __init__(self, opened: io.FileIO, size_bytes: int, shown: str) -> None:
        self._opened = opened
        self._left_bytes = size_bytes
        self._shown = shown

    def read(self, size: int = -1) -> bytes:
        wanted = self._left_bytes if size < 0 else min(size, self._left_bytes)
        try:
            piece = self._opened.read(wanted) if wanted else b""
        except OSError as error:
            raise Refused(f"cannot read {self._shown}: {error.strerror}") from error
        self._left_bytes -= len(piece)
        return piece

    def copy_to(self, descriptor: int) -> None:
        while self._left_bytes:
            try:
                moved = os.sendfile(descriptor, self._opened.fileno(), None, min(self._left_bytes, _AT_ONCE_BYTES))
            except OSError as error:
                if error.errno not in _CANNOT_SEND:
                    raise
                self._write_to(descriptor)
                return
            if not moved:  # it has become shorter
                return
            self._left_bytes -= moved

    def _write_to(self, descriptor: int) -> None:
        while piece := self.read(_PIECE_BYTES):
            left = memoryview(piece)
            while left:
                left = left[os.write(descriptor, left) :]

    def close(self) -> None:
        self._opened.close()


def _walk(folder: str, name: str, root: str, log: Log) -> Iterator[Found]:
    levels = [(name, _entries(folder, log))]
    while levels:
        above, entries = levels[-1]
        entry = next(entries, None)
        if entry is None:
            levels.pop()
            continue
        below = f"{above}/{_printable(entry.name)}"
        if entry.is_dir(follow_symlinks=False):
            levels.append((below, _entries(entry.path, log)))
        elif entry.is_file(follow_symlinks=False) or _leads_inside(entry, root):
            yield Found(below, entry.path, root)
        else:
            shown = _printable(entry.path)
            log.warning(f"{shown} is no file, or a link that leads out of its folder, skipping...")


def _entries(folder: str, log: Log) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return iter(sorted(entries, key=lambda entry: os.fsencode(entry.name)))
    except OSError as error:
        log.warning(f"Encountered error in looking through {_printable(folder)}: {error.strerror}")
        return iter(())


def _leads_inside(entry: os.DirEntry[str], root: str) -> bool:
    try:
        return entry.is_file() and _is_inside(os.path.realpath(entry.path), root)
    except OSError:  # a circle of links
        return False


def _is_inside(path: str, root: str) -> bool:
    return path.startswith(root.rstrip("/") + "/")


def _real_path(descriptor: int, path: str) -> str:
    """Return where an open file is: asking the descriptor leaves no time in which a link could be turned."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # no /proc: not Linux
        return os.path.realpath(path)


def _printable(name: str) -> str:
    """Return a name as text: bytes that are no UTF-8 become the replacement character."""
    return os.fsencode(name).decode("utf-8", "replace")
