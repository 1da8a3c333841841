"""The inbox's folder: one process at a time, one format, and the files in it by their names."""

import fcntl
import itertools
import os
from pathlib import Path

import structlog

from prow_async.adapters.inbox.segment import Newer, Segment
from prow_async.api.errors import CannotStart

log = structlog.get_logger()
_DIGITS = 16


class Folder:
    """A claimed folder. Raises CannotStart when it cannot be used, or another process uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._spares = itertools.count(1)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotStart(f"inbox folder {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise CannotStart(f"inbox folder {path} is used by another process (pid {holder})") from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def keys(self) -> Path:
        return self.path / "keys.db"

    def segment(self, number: int) -> Path:
        return self.path / f"{number:0{_DIGITS}}.log"

    def new_spare(self) -> Path:
        """Return a name no file has, another one each time; from any thread."""
        while True:
            path = self.path / f"spare-{next(self._spares)}.log"
            if not path.exists():
                return path

    def segments(self) -> list[Segment]:
        """Open all segments, oldest first. One whose title is damaged is renamed and told about.

        Raises CannotStart when one cannot be read, or was written by a newer version.
        """
        found: list[Segment] = []
        for path in sorted(self.path.glob("[0-9]" * _DIGITS + ".log")):
            try:
                opened = Segment.open(path)
            except (OSError, Newer) as error:
                for earlier in found:
                    earlier.close()
                raise CannotStart(f"inbox cannot be read: {error}") from error
            if opened is None:
                aside = path.with_suffix(".damaged")
                path.rename(aside)
                log.error("inbox segment damaged; set aside, its deliveries are not handled", file=str(aside))
            else:
                found.append(opened)
        return found

    def spares(self, size_bytes: int) -> list[Path]:
        """Spare files of the right size; others are removed."""
        found: list[Path] = []
        for path in sorted(self.path.glob("spare-*")):
            if path.suffix == ".log" and path.stat().st_size == size_bytes:
                found.append(path)
            else:
                path.unlink()
        return found
