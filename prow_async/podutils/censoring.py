"""Take secrets out of a run's files before they are uploaded.

A file is changed where it lies, only where a secret stands: one without any costs a look, and one that its test still
writes to stays the same file. What is compressed is written anew beside itself, only if a secret is in it. What cannot
be censored is remembered, so that it is not uploaded.

Source: upstream pkg/sidecar/censor.go.
"""

import os
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence

from prow_async.api.podoptions import SidecarCensoring
from prow_async.core import secret_forms, zglob
from prow_async.core.censor import Censor
from prow_async.podutils import artifacts, censored_files, logs, secret_files

_CONCURRENCY = 10
_MOST_CONCURRENCY = 64
_BUFFER_BYTES = 10 << 20
_PIECE_BYTES = 256 << 10


def load(options: SidecarCensoring, log: logs.Log) -> Censor:
    """Read the secrets, and return what finds them."""
    secrets = secret_files.load(options.secret_directories, options.ini_filenames, log)
    censor = Censor(secret_forms.of(secrets, options.minimum_secret_length or 0))
    if options.secret_directories:
        log.info("Loaded secrets to censor.", longest_bytes=censor.longest_bytes)
    return censor


class Censoring:
    """Censors files. One is enough for a process: secrets are read once."""

    def __init__(self, options: SidecarCensoring, censor: Censor, log: logs.Log) -> None:
        self._withheld: set[str] = set()
        self._is_complete = True
        self._options = options
        self._censor = censor
        self._log = log
        buffer_bytes = options.censoring_buffer_size or _BUFFER_BYTES
        self._piece_bytes = max(4096, min(_PIECE_BYTES, buffer_bytes // 2))
        concurrency = options.censoring_concurrency or _CONCURRENCY
        self._workers = max(1, min(concurrency, _MOST_CONCURRENCY))

    def is_withheld(self, path: str) -> bool:
        """Say whether a file may show a secret still, so that nobody may see it."""
        return not self._is_complete or os.path.realpath(path) in self._withheld

    def run(self, process_logs: Sequence[str], items: Sequence[str]) -> None:
        """Censor process logs, and what of the items (files, folders) is chosen to be. Tells, but never raises."""
        self._withheld.clear()
        if not self._censor:
            return
        self._is_complete = False
        self._log.info("Starting to censor data")
        todo = Todo(self._all(process_logs, items))
        workers = [threading.Thread(target=self._work, args=(todo,)) for _ in range(self._workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self._is_complete = todo.is_exhausted
        self._log.info("Finished censoring data", withheld=len(self._withheld))

    def _all(self, process_logs: Sequence[str], items: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield files, each with the real folder that it must lie in."""
        for path in dict.fromkeys(process_logs):
            if os.path.exists(path):
                yield path, os.path.realpath(os.path.dirname(path) or ".")
        for item in items:
            base = os.path.abspath(item)
            for found in artifacts.gather(item, self._log):
                name = os.fsencode(os.path.relpath(found.path, base)).decode(errors="replace")
                if zglob.is_chosen(name, self._options.include_directories, self._options.exclude_directories):
                    yield found.path, found.root

    def _work(self, todo: "Todo") -> None:
        try:
            while (found := todo.take()) is not None:
                self._one(*found)
        except Exception as bug:  # the others stop too, and nothing is uploaded: `Todo` is not exhausted
            self._log.error("Could not find all files to censor, so no file is uploaded", error=repr(bug))

    def _one(self, path: str, root: str) -> None:
        try:
            if not stat.S_ISLNK(os.lstat(path).st_mode):  # what it leads to is looked at where it lies
                censored_files.censor(path, root, self._censor, self._piece_bytes)
        except FileNotFoundError:
            return
        except censored_files.Damaged as damaged:
            self._log.warning("Kept what of a damaged archive can be read", path=_shown(path), error=str(damaged))
        except (OSError, censored_files.NotCensored) as error:
            self._withhold(path, error.strerror if isinstance(error, OSError) else str(error))
        except Exception as bug:  # whatever it is: the file may show a secret, and the others want their turn
            self._withhold(path, repr(bug))

    def _withhold(self, path: str, why: str | None) -> None:
        self._withheld.add(os.path.realpath(path))
        self._log.error("Could not censor a file, so it is not uploaded", path=_shown(path), error=why)


class Todo:
    """Files that several threads take from. Not exhausted once finding them has failed: some were never looked at."""

    def __init__(self, items: Iterable[tuple[str, str]]) -> None:
        self.is_exhausted = False
        self._has_failed = False
        self._items = iter(items)
        self._lock = threading.Lock()

    def take(self) -> tuple[str, str] | None:
        with self._lock:
            self._has_failed, failed = True, self._has_failed
            item = next(self._items, None)
            self._has_failed = failed
            self.is_exhausted = item is None and not failed
            return item


def _shown(path: str) -> str:
    return os.fsencode(path).decode(errors="replace")
