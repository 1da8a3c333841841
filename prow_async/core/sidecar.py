"""What the tests of a pod came to, and what finished.json says of it.

Source: upstream pkg/sidecar/options.go, run.go.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from prow_async.api import podoptions, runrecords
from prow_async.api.errors import CannotStart
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import SidecarOptions, WrapperOptions
from prow_async.api.runrecords import Finished
from prow_async.core import entrypoint, goflags, podflags, started, upload_flags

OWN_LOG_FILE = "sidecar-logs.json"
_ERRORS_KEY = "sidecar-errors"
_DEPRECATED = ("secret_directories", "censoring_concurrency", "censoring_buffer_size")


def _finish(options: dict[str, Any], parsed: goflags.Flags) -> None:
    """Fill upload options from the flags, and move censoring options from where they once were. Raises CannotStart."""
    below = options["gcs_options"]
    if isinstance(below, dict):
        upload_flags.finish(below, parsed)
    old = {key: options.pop(key) for key in _DEPRECATED if key in options}
    if old and "censoring_options" in options:
        raise CannotStart(f"sidecar: {' and '.join(old)} cannot be used beside censoring_options")
    options.setdefault("censoring_options", old)
    entries = [options.get("wrapper_options"), *_listed(options.get("entries"))]
    for entry in entries:
        if isinstance(entry, dict):
            entry.setdefault("process_log", "")
            entry.setdefault("marker_file", "")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


PROGRAM = podflags.Program(
    name="sidecar",
    variable=podoptions.SIDECAR_ENV,
    flags=upload_flags.flags("gcs_options."),
    words="gcs_options.items",
    zero={"gcs_options": upload_flags.ZERO},
    finish=_finish,
)


class Outcome(msgspec.Struct, frozen=True):
    passed: bool
    aborted: bool
    failures: int = 0
    """How many tests failed, not counting those that were not run for an earlier one's failure."""


INTERRUPTED = Outcome(passed=False, aborted=True)
"""What is known when the pod is told to end before its tests have ended."""


def entries(options: SidecarOptions) -> tuple[WrapperOptions, ...]:
    """Return the tests to wait for, the one of the deprecated option first."""
    deprecated = options.wrapper_options
    return options.entries if deprecated is None else (deprecated, *options.entries)


def mistake(options: SidecarOptions) -> str:
    """Return what makes these options impossible to work with, "" if nothing does."""
    tests = entries(options)
    if not tests:
        return "no wrapper.Option entries"
    for index, test in enumerate(tests):
        if not test.process_log:
            return f"entry {index}: no log file specified with --process-log"
        if not test.marker_file:
            return f"entry {index}: no marker file specified with --marker-file"
    return upload_flags.mistake(options.gcs_options)


def outcome(codes: Iterable[int]) -> Outcome:
    """Put the codes of all markers together; one that cannot be read counts as -1.

    >>> outcome([0, 130, 1130])
    Outcome(passed=False, aborted=True, failures=1)
    """
    found = list(codes)
    return Outcome(
        passed=not any(found),
        aborted=entrypoint.ABORTED_CODE in found,
        failures=sum(code not in (0, entrypoint.PREVIOUS_CODE) for code in found),
    )


def log_names(tests: Sequence[WrapperOptions]) -> list[str]:
    """Return what each test's log is called in storage."""
    if len(tests) == 1:
        return [runrecords.BUILD_LOG_FILE]
    return [f"{test.container_name}-{runrecords.BUILD_LOG_FILE}" for test in tests]


def entry_name(index: int, test: WrapperOptions) -> str:
    """Name a test in messages."""
    return f"entry {index}: {' '.join(test.args)}"


def metadata(pieces: Iterable[Mapping[str, Any]], errors: Mapping[str, str]) -> dict[str, Any]:
    """Merge the tests' metadata, whole values, later ones over earlier; with what went wrong in reading them."""
    merged: dict[str, Any] = {}
    for piece in pieces:
        merged |= piece
    if errors:
        merged[_ERRORS_KEY] = dict(errors)
    return merged


def parse_metadata(content: bytes) -> dict[str, Any]:
    """Read a metadata file. Raises ValueError that says what is wrong."""
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object")
    return found


def finished(spec: JobSpec, ended: Outcome, extra: dict[str, Any], timestamp_s: int) -> Finished:
    """Return what finished.json says."""
    return Finished(
        timestamp=timestamp_s,
        passed=ended.passed,
        metadata=extra,
        result="SUCCESS" if ended.passed else "ABORTED" if ended.aborted else "FAILURE",
        revision=started.revision(spec.refs, spec.extra_refs),
    )
