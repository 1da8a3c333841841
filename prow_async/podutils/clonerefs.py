"""clonerefs: clone the code of a job, and record how it went.

The records are written whatever happens, also when the process is told to end. A failed clone is no error of ours
unless `fail` says so: initupload shows the records, and ends the pod.

Source: upstream cmd/clonerefs, pkg/clonerefs/run.go.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, TypeVar

from prow_async.api.clonerecords import Record
from prow_async.api.errors import CannotStart
from prow_async.api.podoptions import CloneRefsOptions
from prow_async.api.prowjob import Refs
from prow_async.core import clone, clone_check, clone_flags
from prow_async.podutils import clone_repo, clone_run, clone_setup, logs, options

T = TypeVar("T")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_DONE = b"\0"
"""No signal has this number."""
_MOST_WORKERS = 64
"""However many refs there are: each worker is a thread, a git and a connection."""


def main(
    argv: Sequence[str], environ: Mapping[str, str], limits: clone_run.Limits | None = None, log: logs.Log | None = None
) -> int:
    """Clone what CLONEREFS_OPTIONS or the flags say.

    Returns the exit code: 0, though clones failed, unless `fail` is set; 1 for options that cannot be worked with, for
    records that cannot be written, and for failed clones with `fail`; 128 and the signal's number when told to end.
    """
    told = log or logs.Log("clonerefs")

    def work() -> int:
        wanted = options.read(clone_flags.PROGRAM, CloneRefsOptions, argv, environ, clone_check.options_mistake)
        for warning in clone_check.options_warnings(wanted):
            told.warning(warning)
        runner = clone_run.Runner(clone_setup.environment(environ), limits or clone_run.Limits(), told)
        return _run(wanted, runner, told)

    return options.start(told, work)


def _run(wanted: CloneRefsOptions, runner: clone_run.Runner, log: logs.Log) -> int:
    with _Signals(runner) as signals:
        records, bugs = signals.meanwhile(lambda: _clone_all(wanted, runner, log))
        _write(wanted.log, clone.encode(records))
    failed = [record.refs for record in records if record.failed]
    if failed:
        log.error("Clones failed", failed=len(failed), refs=[clone.shown(refs) for refs in failed])
    if bugs:
        raise bugs[0]
    if signals.number:
        return 128 + signals.number
    return clone.exit_code(records, wanted.fail)


def _clone_all(
    wanted: CloneRefsOptions, runner: clone_run.Runner, log: logs.Log
) -> tuple[list[Record], list[Exception]]:
    """Return the records, that of setting up first, then in the order in which clones end; and what broke in us."""
    with clone_setup.prepared(wanted, runner, log) as (setup, why):
        if why:
            log.error("Nothing is cloned", error=why)
            return [setup.record(failed=True)], []
        todo: queue.SimpleQueue[Refs] = queue.SimpleQueue()
        for refs in wanted.refs:
            todo.put(refs)
        records, bugs = [setup.record()], list[Exception]()
        who = clone_repo.who_of(wanted)

        def work() -> None:
            while True:
                try:
                    refs = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    records.append(clone_repo.Repo(refs, who, runner, log).run(wanted.src_root, setup))
                except Exception as bug:  # raised again once the records are written
                    records.append(Record(refs, failed=True))
                    bugs.append(bug)

        count = min(wanted.max_parallel_workers or len(wanted.refs), len(wanted.refs), _MOST_WORKERS)
        workers = [threading.Thread(target=work) for _ in range(count)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return records, bugs


def _write(path: str, data: bytes) -> None:
    """Write the records file, all of it or nothing. Raises CannotStart."""
    partial = f"{path}.partial"
    try:
        with open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except OSError as error:
        raise CannotStart(f"clonerefs: the clone records cannot be written to {path}: {error.strerror}") from error


class _Signals:
    """While entered, SIGTERM and SIGINT stop the runner instead of ending the process.

    A signal that comes just before the main thread begins to wait for a lock or a child would be noticed when that
    wait ends, which may be never. So the main thread waits for a pipe into which signals are written, and for nothing
    else.
    """

    def __init__(self, runner: clone_run.Runner) -> None:
        self.number = 0
        self._runner = runner
        self._before: dict[signal.Signals, Any] = {}
        self._fd_before = -1

    def __enter__(self) -> "_Signals":
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        if threading.current_thread() is threading.main_thread():
            self._fd_before = signal.set_wakeup_fd(self._writing)
            self._before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:
            signal.set_wakeup_fd(self._fd_before)
        os.close(self._reading)
        os.close(self._writing)

    def meanwhile(self, work: Callable[[], T]) -> T:
        """Do work on another thread while this one listens for signals. Raises what the work raises."""
        done: list[T] = []
        broken: list[BaseException] = []

        def run() -> None:
            try:
                done.append(work())
            except BaseException as error:  # raised again below, on the main thread
                broken.append(error)
            finally:
                os.write(self._writing, _DONE)

        thread = threading.Thread(target=run)
        thread.start()
        while os.read(self._reading, 1) != _DONE:
            pass
        thread.join()
        if broken:
            raise broken[0]
        return done[0]

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.number = self.number or number
        self._runner.stop(f"stopped by {signal.Signals(number).name}")


if __name__ == "__main__":
    options.exit_with(main)
