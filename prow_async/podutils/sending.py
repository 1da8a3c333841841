"""Many uploads at once, tried again in rounds.

Upstream sleeps after every failure of every object. Here all that failed waits together, so an outage costs a run the
same few seconds whether it has ten artifacts or ten thousand.

Source: upstream pkg/pod-utils/gcs/upload.go (four at a time, four tries, one, four and nine seconds apart).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from prow_async.api.errors import ProwError, Retry
from prow_async.podutils.logs import Log
from prow_async.ports.blobs import PLAIN, Attributes

PARALLEL = 4
ONE_BY_ONE = 1
"""For folders of this machine: nothing is waited for there, and threads would only take turns."""
PAUSES_S = (1.0, 4.0, 9.0)
_GIVE_UP_AFTER = 16


class Source(Protocol):
    """An open source of bytes, read once to its end and closed."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


class Upload(msgspec.Struct, frozen=True):
    """One object to write. The source is opened anew for each try."""

    path: str
    source: Callable[[], Source] | bytes
    attributes: Attributes = PLAIN


class Failure(msgspec.Struct, frozen=True):
    path: str
    error: ProwError


def send_all(
    uploads: Iterable[Upload],
    send: Callable[[Upload], None],
    pause: Callable[[float], None],
    log: Log,
    parallel: int = PARALLEL,
) -> tuple[Failure, ...]:
    """Send everything, and again what failed with Retry; return what could not be sent in the end."""
    first = _Round(iter(uploads), send, parallel)
    failures = first.run()
    later = first.later
    for pause_s in PAUSES_S:
        if not later:
            break
        log.warning(f"Tried again in {pause_s:g} s: {len(later)} uploads", dest=later[0][0].path, error=later[0][1].why)
        pause(pause_s)
        again = _Round(iter([upload for upload, _ in later]), send, parallel)
        failures += again.run()
        later = again.later
    return (*failures, *(Failure(upload.path, error) for upload, error in later))


class _Round:
    """One try of each upload. When nothing but failures came for a while, the rest waits untried for the next round."""

    def __init__(self, uploads: Iterator[Upload], send: Callable[[Upload], None], parallel: int) -> None:
        self._parallel = parallel
        self.later: list[tuple[Upload, Retry]] = []
        self._uploads = uploads
        self._send = send
        self._lock = threading.Lock()
        self._failures: list[Failure] = []
        self._in_a_row = 0
        self._bugs: list[BaseException] = []

    def run(self) -> tuple[Failure, ...]:
        # Daemons: a process that is told to end does not wait for a server that does not answer.
        workers = [threading.Thread(target=self._guarded, daemon=True) for _ in range(self._parallel)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if self._bugs:
            raise self._bugs[0]
        if self._in_a_row >= _GIVE_UP_AFTER:
            last = self.later[-1][1]
            self.later.extend((upload, last) for upload in self._uploads)
        return tuple(self._failures)

    def _guarded(self) -> None:
        try:
            self._work()
        except BaseException as bug:  # raised again by `run`
            self._bugs.append(bug)

    def _work(self) -> None:
        while (upload := self._next()) is not None:
            try:
                self._send(upload)
            except Retry as error:
                with self._lock:
                    self._in_a_row += 1
                    self.later.append((upload, error))
            except ProwError as error:
                with self._lock:
                    self._failures.append(Failure(upload.path, error))
            else:
                with self._lock:
                    self._in_a_row = 0

    def _next(self) -> Upload | None:
        with self._lock:
            over = self._in_a_row >= _GIVE_UP_AFTER or self._bugs
            return None if over else next(self._uploads, None)
