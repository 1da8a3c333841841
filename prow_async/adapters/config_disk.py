"""Finds and reads configuration files: which ones there are, which changed since the last look. Blocking; call it in a
worker thread.
"""

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from prow_async.api.errors import CannotStart
from prow_async.core.config_load import SourceFile

MAX_FILE_BYTES = 256 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_YAML = (".yaml", ".yml")


class Change(msgspec.Struct, frozen=True):
    """What a look at the disk found. `present` are all paths, in order; `digest` is of all their contents."""

    changed: tuple[SourceFile, ...]
    present: tuple[str, ...]
    digest: str


class _Known(msgspec.Struct, frozen=True):
    mark: tuple[int, ...]
    digest: bytes


class Disk:
    """A changing list of files. A file counts as changed when its inode, size or times do."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def look(self, paths: Sequence[str]) -> Change:
        """Read those of `paths` that changed since the last look.

        Raises: CannotStart naming all that cannot be read; the next look tries all changed ones again.
        """
        changed: list[SourceFile] = []
        known: dict[str, _Known] = {}
        problems: list[str] = []
        for path in paths:
            try:
                mark = _mark(path)
                before = self._known.get(path)
                if before is not None and before.mark == mark:
                    known[path] = before
                    continue
                data = read(path)
            except OSError as error:
                problems.append(f"configuration {path}: cannot be read: {error.strerror or error}")
                continue
            known[path] = _Known(mark, hashlib.sha256(data).digest())
            if before is None or before.digest != known[path].digest:
                changed.append(SourceFile(path, data))
        if problems:
            raise CannotStart("\n".join(problems))
        self._known = known
        return Change(tuple(changed), tuple(paths), self._digest())

    def _digest(self) -> str:
        whole = hashlib.sha256()
        for path, known in sorted(self._known.items()):
            whole.update(hashlib.sha256(path.encode(errors="surrogateescape")).digest() + known.digest)
        return whole.hexdigest()


def read(path: str) -> bytes:
    """Read a file, unpacked if it is gzipped. Raises OSError, also for a damaged or oversized one."""
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

    Names that begin with `..` are left out (ConfigMap mounts keep their real files there); links to folders are not
    followed. Raises CannotStart when there is nothing at the path.
    """
    if not os.path.exists(path):
        raise CannotStart(f"job configuration {path}: no such file or directory; check --job-config-path")
    return list(_tree(path, _YAML)) if os.path.isdir(path) else [path]


def files_ending(folder: str, suffix: str) -> list[str]:
    """Return the files of a tree whose names end so. Raises CannotStart when the folder is not there."""
    if not os.path.isdir(folder):
        raise CannotStart(f"{folder}: no such directory")
    return list(_tree(folder, (suffix,)))


def _tree(folder: str, endings: tuple[str, ...]) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _tree(entry.path, endings)
        elif entry.name.endswith(endings) and not entry.is_dir():
            yield entry.path


def _mark(path: str) -> tuple[int, ...]:
    at = os.stat(path)
    return (at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
