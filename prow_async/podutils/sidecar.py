"""sidecar: wait for a pod's tests, then upload their logs, what they left behind, and how they ended.

Source: upstream cmd/sidecar, pkg/sidecar/run.go.
"""

import functools
import io
import os
import signal
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prow_async.api import runrecords
from prow_async.api.errors import ProwError, Refused
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import SidecarOptions, WrapperOptions
from prow_async.core import entrypoint as ends
from prow_async.core import podenv
from prow_async.core import sidecar as decide
from prow_async.podutils import artifacts, censoring, logs, markers, options, packing, upload
from prow_async.podutils.sending import Source
from prow_async.podutils.signals import Signals

_TOLD_TO_END = (signal.SIGINT, signal.SIGTERM)
_METADATA_BYTES = 4 << 20
_OWN_LOG_BYTES = 4 << 20


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Do what SIDECAR_OPTIONS or the flags say.

    Returns 0 also when tests failed or uploads did: the markers say the one, the log the other. 1 for options that
    cannot be worked with, and with `entry_error` for tests that failed.
    """
    log = logs.Log("sidecar")
    own = _OwnLog()
    log.also(own)

    def work() -> int:
        wanted = options.read(decide.PROGRAM, SidecarOptions, argv, environ, decide.mistake)
        sidecar = _Sidecar(wanted, podenv.read_job_spec(environ), log, own)
        failures = sidecar.run()
        if failures and wanted.entry_error:
            log.fatal(f"{failures} containers failed")
            return 1
        return 0

    return options.start(log, work)


class _OwnLog:
    """The sidecar's own log lines, to be uploaded: in memory, so that no full disk loses them."""

    def __init__(self) -> None:
        self._content = io.BytesIO()

    @property
    def content(self) -> bytes:
        return self._content.getvalue()

    def write(self, data: bytes, /) -> None:
        if self._content.tell() + len(data) <= _OWN_LOG_BYTES:
            self._content.write(data)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""


class _Sidecar:
    def __init__(self, wanted: SidecarOptions, spec: JobSpec, log: logs.Log, own: _OwnLog) -> None:
        self._wanted = wanted
        self._tests = decide.entries(wanted)
        self._spec = spec
        self._log = log
        self._own = own
        self._censoring: censoring.Censoring | None = None

    def run(self) -> int:
        """Wait, then upload; return how many tests failed."""
        paths = [test.marker_file for test in self._tests]
        with Signals(_TOLD_TO_END) as signals:
            with markers.Markers(paths) as found:
                self._wait(found, signals)
            # The pod may be told to end now or have been: all that is left to do is to finish.
            signals.ignore(_TOLD_TO_END)
            results = [found.results[path] for path in paths]
            for result in results:
                if result.error:
                    self._log.error("A test's end is not known", error=result.error)
            ended = decide.outcome(result.code for result in results)
            try:
                self._upload(ended)
            except ProwError as error:
                self._log.error("Failed to report job status", error=str(error))
            return ended.failures

    def _wait(self, found: markers.Markers, signals: Signals) -> None:
        """Wait for the tests; told to end before they have, upload at once what there is, and wait on.

        That upload may be the last thing we ever do. If it is not, the next one writes over it.
        """
        told_before = False
        while came := found.wait(signals):
            if told_before:
                continue
            told_before = True
            name = ends.signal_name(came[0])
            if self._wanted.ignore_interrupts:
                self._log.warning(f"Received an interrupt: {name}, ignoring...")
                continue
            self._log.error(f"Received an interrupt: {name}, cancelling...")
            try:
                self._upload(decide.INTERRUPTED)
            except ProwError as error:
                self._log.error("Failed to perform best-effort upload", error=str(error))
            else:
                self._log.error("Best-effort upload was successful")

    def _upload(self, ended: decide.Outcome) -> None:
        """Censor and upload everything. Raises Refused, Retry when not all of it could be."""
        begun_s = time.monotonic()
        if self._wanted.wrapper_options is not None:
            self._log.warning("Using deprecated wrapper_options instead of entries.")
        sizes = [_size(test.process_log) for test in self._tests]
        censored = self._censor()
        pieces, errors = self._metadata(censored)
        finished = decide.finished(self._spec, ended, decide.metadata(pieces, errors), int(time.time()))
        self._log.info("Starting to upload")
        items = [
            upload.Item(name, functools.partial(self._open_log, test.process_log, size_bytes, censored))
            for name, test, size_bytes in zip(decide.log_names(self._tests), self._tests, sizes, strict=True)
        ]
        items.append(upload.Item(decide.OWN_LOG_FILE, lambda: packing.Held(self._own.content)))
        items.append(upload.Item(runrecords.FINISHED_FILE, podenv.go_json(finished).encode()))
        try:
            upload.run(self._spec, self._wanted.gcs_options, items, self._log, is_withheld=censored.is_withheld)
        finally:
            self._log.info("Finished uploading", duration=f"{time.monotonic() - begun_s:.3f}s")

    def _censor(self) -> censoring.Censoring:
        if self._censoring is None:
            secrets = censoring.load(self._wanted.censoring_options, self._log)
            self._censoring = censoring.Censoring(self._wanted.censoring_options, secrets, self._log)
        self._censoring.run([test.process_log for test in self._tests], self._wanted.gcs_options.items)
        return self._censoring

    def _open_log(self, path: str, size_bytes: int, censored: censoring.Censoring) -> Source:
        """Open a test's log, as far as it has been censored; a text that says why not, if that is not possible."""
        try:
            if censored.is_withheld(path):
                raise Refused("it may show a secret")
            return artifacts.open_file(_found(path), size_bytes)
        except Refused as error:
            self._log.error(f"Failed to open {path}", error=error.why)
            return packing.Held(f"Failed to open {path}: {error.why}\n".encode(errors="replace"))

    def _metadata(self, censored: censoring.Censoring) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Read what the tests say of themselves."""
        pieces: list[dict[str, Any]] = []
        errors: dict[str, str] = {}
        for index, test in enumerate(self._tests):
            try:
                pieces += _read_metadata(test, censored)
            except (Refused, ValueError) as error:
                why = error.why if isinstance(error, Refused) else str(error)
                self._log.error(f"cannot read {test.metadata_file}", error=why)
                errors[decide.entry_name(index, test)] = why
        return pieces, errors


def _read_metadata(test: WrapperOptions, censored: censoring.Censoring) -> Iterator[dict[str, Any]]:
    """Yield what a metadata file holds, nothing if there is none. Raises Refused, ValueError."""
    path = test.metadata_file
    if not path or not os.path.lexists(path):
        return
    if censored.is_withheld(path):
        raise Refused("it may show a secret")
    opened = artifacts.open_file(_found(path))
    try:
        content = opened.read(_METADATA_BYTES + 1)
    finally:
        opened.close()
    if len(content) > _METADATA_BYTES:
        raise Refused(f"it has more than {_METADATA_BYTES} bytes")
    yield decide.parse_metadata(content)


def _found(path: str) -> artifacts.Found:
    """Say where a file of ours must lie. Tests may write beside it, so its folder must not be a link either."""
    folder = os.path.dirname(path) or "."
    try:
        if stat.S_ISLNK(os.lstat(folder).st_mode):
            raise Refused(f"{folder} is a link: {path} is not read")
    except OSError as error:
        raise Refused(f"open {path}: {(error.strerror or '').lower()}") from error
    return artifacts.Found(os.path.basename(path), path, os.path.realpath(folder))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


if __name__ == "__main__":
    options.exit_with(main)
