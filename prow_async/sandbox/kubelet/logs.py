"""Container logs as files, bounded in size, and the way to follow one while it grows.

stdout and stderr together, in the order they arrived: `<root>/<pod folder>/<container>.log`, and when that is full
`<container>.log.1` and so on. The last few are kept; readers see them as one text. None is ever renamed, so a reader
loses its place only when it is slower than a whole set of files.

Source: upstream kubelet's containerLogMaxSize and containerLogMaxFiles, for the sizes. It shows the newest file only.
"""

import contextlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.lowlevel
import structlog

from prow_async.api.errors import Missing, Refused
from prow_async.sandbox.kubelet import folders

log = structlog.get_logger()
PIECE_BYTES = 64 * 1024
TAIL_BYTES = 2048
TAIL_LINES = 80
MESSAGE_BYTES = 4096
LIMIT_BYTES = 10 * 1024 * 1024
FILES = 5


def file_name(container: str) -> str:
    return f"{container}.log"


def part(path: Path, number: int) -> Path:
    """Return the file a log goes on in after it was full `number` times."""
    return path.with_name(f"{path.name}.{number}") if number else path


def parts(path: Path) -> list[int]:
    """Return the numbers of the files a log has, oldest first."""
    found = [0] if path.is_file() else []
    for file in path.parent.glob(path.name + ".*"):
        end = file.name[len(path.name) + 1 :]
        if end.isdecimal() and file.is_file():
            found.append(int(end))
    return sorted(found)


class Log:
    """One container's log while it is written.

    Raises OSError when the file cannot be made; a disk that fills up later only costs what does not fit any more.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self._path = path
        self._limit = limit_bytes
        self.number = 0
        """Of the file that is written now."""
        self._open()
        self.closed = False
        self.grown = anyio.Event()
        """Set, and replaced by a new one, whenever the log grows or is closed."""

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(part(self._path, self.number), flags, 0o600)
        self._left = self._limit
        self._broken = False

    def write(self, data: bytes) -> None:
        """Append; a full file is followed by a new one, and the oldest goes."""
        view = memoryview(data)
        try:
            while view and not self._broken:
                if self._left <= 0:
                    self._turn()
                written = os.write(self._file, view[: self._left])
                view, self._left = view[written:], self._left - written
        except OSError as error:
            self._broken = True
            log.error("container log not written any more", file=str(self._path), why=error.strerror)
        self._tell()

    def _turn(self) -> None:
        os.close(self._file)
        self._file = -1
        self.number += 1
        self._open()
        if self.number >= FILES:
            part(self._path, self.number - FILES).unlink(missing_ok=True)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self._file >= 0:
                os.close(self._file)
            self._tell()

    def _tell(self) -> None:
        grown, self.grown = self.grown, anyio.Event()
        grown.set()


def tail(path: Path) -> str:
    """Return the last 80 lines of a log, at most its last 2,048 bytes: what a failed container leaves as its message.

    Source: upstream kubelet, terminationMessagePolicy FallbackToLogsOnError.
    """
    end = b""
    for number in reversed(parts(path)):
        file, wanted = part(path, number), TAIL_BYTES - len(end)
        end = _read(file, max(0, _size(file) - wanted), wanted) + end
        if len(end) >= TAIL_BYTES:
            break
    return b"".join(end.splitlines(keepends=True)[-TAIL_LINES:]).decode(errors="replace")


def make_empty(path: Path) -> None:
    """Make a file for a container to leave its termination message in. Raises OSError."""
    path.write_bytes(b"")
    path.chmod(0o666)


def left_message(path: Path) -> str:
    """Return what a container left as its termination message, at most 4,096 bytes."""
    return _read(path, 0, MESSAGE_BYTES).decode(errors="replace")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int, size_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size_bytes)
    except FileNotFoundError:
        return b""


def _prefix(folder: str) -> str:
    return folder.rpartition("_")[0] + "_"


class Logs:
    """All logs below a root. Implements the log source that the small API server reads from (its `LogSource`)."""

    def __init__(self, root: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._root = root
        self._limit = limit_bytes
        self._open: dict[Path, Log] = {}
        self._newest: dict[str, str] = {}

    def begin(self, folder: str) -> None:
        """From now on this folder's pod is the one meant by its name."""
        self._newest[_prefix(folder)] = folder

    def forget(self, folder: str) -> None:
        """The folder is gone."""
        if self._newest.get(_prefix(folder)) == folder:
            del self._newest[_prefix(folder)]

    def open(self, folder: str, container: str) -> Log:
        """Start a container's log in its pod's folder. Raises OSError."""
        path = self.path(folder, container)
        made = self._open[path] = Log(path, self._limit)
        return made

    def close(self, folder: str, container: str) -> None:
        made = self._open.pop(self.path(folder, container), None)
        if made is not None:
            made.close()

    def path(self, folder: str, container: str) -> Path:
        return self._root / folder / file_name(container)

    async def follow(self, namespace: str, pod: str, container: str, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield a container's log from its beginning; with `follow` go on until the container ends.

        Raises Missing when there is no such pod here, Refused (400) when the container has not started.
        """
        path = self._find(namespace, pod, container)
        number, last = -1, None if follow else parts(path)[-1]
        while True:
            kept = [n for n in parts(path) if n > number and (last is None or n <= last)]
            if not kept:
                return
            number = kept[0]
            async with contextlib.aclosing(self._follow_part(path, number, follow)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _follow_part(self, path: Path, number: int, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield one file of a log, until it is not the one that grows any more."""
        try:
            file = part(path, number).open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            while True:
                growing = self._open.get(path)
                grown = growing.grown if growing is not None and growing.number == number else None
                while piece := file.read(PIECE_BYTES):
                    yield piece
                    await anyio.lowlevel.checkpoint()
                if grown is None or not follow:
                    return
                await grown.wait()

    def _find(self, namespace: str, pod: str, container: str) -> Path:
        """Return the log's path in the newest folder of a pod of this name."""
        prefix = folders.prefix_of(namespace, pod)
        if prefix is None or not folders.is_label(container):
            raise Missing(f"no pod can have the name {namespace}/{pod} and a container {container}")
        folder = self._newest.get(prefix) or self._left_behind(prefix)
        if folder is None:
            raise Missing(f'pod "{namespace}/{pod}" has not run here, or its logs have been swept away')
        path = self.path(folder, container)
        if not parts(path):
            why = f'container "{container}" in pod "{pod}" is waiting to start, or could not be started'
            raise Refused(why, status=400, reason="BadRequest")
        return path

    def _left_behind(self, prefix: str) -> str | None:
        """Return the newest folder that an earlier kubelet left for a pod of this name."""
        try:
            found = [f for f in self._root.iterdir() if f.name.startswith(prefix) and f.is_dir()]
        except FileNotFoundError:
            return None
        return max(found, key=lambda f: f.stat().st_mtime_ns).name if found else None
