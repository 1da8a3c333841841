"""Finds and reads configuration files: which ones there are, which changed since the last look. Blocking; call it in a
worker thread.
"""

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Sequence

import msgspec

from prow_async.adapters import prowignore
from prow_async.adapters.prowignore import Ignored
from prow_async.api.errors import CannotStart, Problem
from prow_async.core.config_load import SourceFile

MAX_FILE_BYTES = 64 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_YAML = (".yaml", ".yml")


class Change(msgspec.Struct, frozen=True):
    """What a look at the disk found. `present` are all paths, in order; `digest` is of all their contents."""

    changed: tuple[SourceFile, ...]
    present: tuple[str, ...]
    digest: str
    unreadable: tuple[Problem, ...] = ()

    def check(self) -> None:
        """Raise CannotStart naming all that cannot be read."""
        if self.unreadable:
            raise CannotStart("\n".join(f"configuration {one.file}: {one.text}" for one in self.unreadable))


class _Known(msgspec.Struct, frozen=True):
    mark: tuple[int, ...]
    digest: bytes


class Disk:
    """A changing list of files. A file counts as changed when its inode, size or times do."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def look(self, paths: Sequence[str]) -> Change:
        """Read those of `paths` that changed since the last look.

        What cannot be read is tried again at the next look.
        """
        changed: list[SourceFile] = []
        known: dict[str, _Known] = {}
        unreadable: list[Problem] = []
        for path in paths:
            try:
                mark = _mark(path)
                before = self._known.get(path)
                if before is not None and before.mark == mark:
                    known[path] = before
                    continue
                data = read(path)
            except OSError as error:
                unreadable.append(Problem(path, 0, f"cannot be read: {error.strerror or error}"))
                continue
            known[path] = _Known(mark, hashlib.sha256(data).digest())
            if before is None or before.digest != known[path].digest:
                changed.append(SourceFile(path, data))
        self._known = known
        return Change(tuple(changed), tuple(paths), self._digest(unreadable), tuple(unreadable))

    def _digest(self, unreadable: Sequence[Problem]) -> str:
        whole = hashlib.sha256("\n".join(map(str, unreadable)).encode(errors="surrogateescape"))
        for path, known in sorted(self._known.items()):
            whole.update(hashlib.sha256(path.encode(errors="surrogateescape")).digest() + known.digest)
        return whole.hexdigest()


def read(path: str) -> bytes:
    """Read a file, unpacked if it is gzipped. Raises OSError, also for a damaged or oversized one and for no file."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # reading a pipe would never end
        raise OSError("it is no regular file")
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if data.startswith(_GZIP):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(MAX_FILE_BYTES + 1)
        except (EOFError, zlib.error) as error:
            raise OSError(f"its gzip content is damaged: {error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise OSError(f"it is larger than {MAX_FILE_BYTES} bytes")
    return data


def job_files(path: str) -> list[str]:
    """Return the job files at a path: itself, or the `.yaml` and `.yml` files of its tree in lexical order.

    Names that begin with `..` are left out (ConfigMap mounts keep their real files there), and so is what a
    `.prowignore` in the tree says, in the syntax of gitignore; links to folders are not followed.

    Raises CannotStart when there is nothing at the path.
    """
    if not os.path.exists(path):
        raise CannotStart(f"job configuration {path}: no such file or directory; check --job-config-path")
    return _tree(path, _YAML) if os.path.isdir(path) else [path]


def own_files(folder: str) -> list[str]:
    """Return the files of a repository's own configuration: those of its `.prow`, heeding `.prowignore` above it too.

    Raises CannotStart for a `.prowignore` that cannot be read.
    """
    above = os.path.dirname(folder.rstrip("/"))
    ignores = os.path.lexists(os.path.join(above, prowignore.NAME))
    return _tree(folder.rstrip("/"), _YAML, (_ignored(above),) if ignores else ())


def files_ending(folder: str, suffix: str) -> list[str]:
    """Return the files of a tree whose names end so. Raises CannotStart when the folder is not there."""
    if not os.path.isdir(folder):
        raise CannotStart(f"{folder}: no such directory")
    return _tree(folder, (suffix,))


def _tree(folder: str, endings: tuple[str, ...], ignored: tuple[Ignored, ...] = ()) -> list[str]:
    found: list[str] = []
    with os.scandir(folder) as scanned:
        entries = {entry.name: entry for entry in scanned}
    if prowignore.NAME in entries:
        ignored = (*ignored, _ignored(folder))
    for name in sorted(entries):
        entry = entries[name]
        if name.startswith(".."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not (ignored and prowignore.leaves_out(ignored, entry.path + "/")):
                found += _tree(entry.path, endings, ignored)
        elif name.endswith(endings) and not _leads_to_folder(entry):
            if ignored and prowignore.leaves_out(ignored, entry.path):
                continue
            found.append(entry.path)
    return found


def _ignored(folder: str) -> Ignored:
    path = os.path.join(folder, prowignore.NAME)
    try:
        return Ignored(folder, read(path))
    except OSError as error:
        raise CannotStart(f"configuration {path}: cannot be read: {error}") from error


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a link to a folder; one that leads nowhere is not, and is refused when it is read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _mark(path: str) -> tuple[int, ...]:
    at = os.stat(path)
    return (at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
