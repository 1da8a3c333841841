"""initupload: before a run's tests, upload what is known of it, and end the pod if its code could not be cloned.

Source: upstream cmd/initupload, pkg/initupload.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from prow_async.api import clonerecords, podoptions, runrecords
from prow_async.api.clonerecords import Record
from prow_async.api.errors import ProwError
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import InitUploadOptions
from prow_async.core import clone_log, podenv, podflags, started, upload_flags
from prow_async.core.goflags import Flag
from prow_async.podutils import logs, options, upload
from prow_async.podutils.upload import Item

PROGRAM = podflags.Program(
    name="initupload",
    variable=podoptions.INITUPLOAD_ENV,
    flags=(
        *upload_flags.flags(),
        podflags.PodFlag(Flag("clone-log", "str", "", "the clone records to upload"), "log"),
    ),
    words="items",
    zero=upload_flags.ZERO,
    finish=upload_flags.finish,
)


class _Cloned(msgspec.Struct, frozen=True):
    """What cloning left behind: the file, what it says, and why it cannot be read."""

    content: bytes | None = None
    records: tuple[Record, ...] = ()
    why_not: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.why_not) or any(record.failed for record in self.records)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Upload a run's start. Returns 1 for a failed clone as well as for a failed upload: no test runs then."""
    log = logs.Log("initupload")

    def work() -> int:
        wanted = options.read(PROGRAM, InitUploadOptions, argv, environ, upload_flags.mistake)
        return _run(podenv.read_job_spec(environ), wanted, log)

    return options.start(log, work)


def _run(spec: JobSpec, wanted: InitUploadOptions, log: logs.Log) -> int:
    cloned = _read(wanted.log) if wanted.log else _Cloned()
    now_s = int(time.time())
    begun = podenv.go_json(started.started(spec, cloned.records, now_s))
    items = (*_of_clones(cloned, now_s), Item(runrecords.STARTED_FILE, begun.encode()))
    try:
        upload.run(spec, wanted, items, log)
    except ProwError as error:
        log.fatal("failed to upload to blob storage", error=str(error))
        return 1
    if cloned.failed:
        log.fatal("cloning the appropriate refs failed", error=cloned.why_not)
        return 1
    return 0


def _read(path: str) -> _Cloned:
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        return _Cloned(why_not=f"the clone records {path} cannot be read: {error}")
    try:
        return _Cloned(content, clonerecords.decode(content))
    except ValueError as error:
        return _Cloned(content, why_not=f"the clone records {path} do not read: {error}")


def _of_clones(cloned: _Cloned, now_s: int) -> Iterator[Item]:
    if cloned.content is not None:
        yield Item(runrecords.CLONE_RECORDS_FILE, cloned.content)
    text = (clone_log.text(cloned.records) + (f"# Error: {cloned.why_not}\n" if cloned.why_not else "")).encode(
        errors="replace"
    )
    if cloned.content is not None or cloned.failed:
        yield Item(runrecords.CLONE_LOG_FILE, text)
    if cloned.failed:
        yield Item(runrecords.BUILD_LOG_FILE, text)
        finished = runrecords.Finished(timestamp=now_s, passed=False, result="FAILURE")
        yield Item(runrecords.FINISHED_FILE, podenv.go_json(finished).encode())


if __name__ == "__main__":
    options.exit_with(main)
