"""How a wrapped test ended, and which code says so.

Source: upstream pkg/entrypoint/options.go, run.go.
"""

from typing import Literal

import msgspec

from prow_async.api import podoptions
from prow_async.api.podoptions import EntrypointOptions
from prow_async.core import podflags
from prow_async.core.goflags import Flag
from prow_async.core.podflags import pod_flag

INTERNAL_CODE = 127
ABORTED_CODE = 130
PREVIOUS_CODE = 1130
"""In the marker of a test that was not run, since the one before it failed: above every code a process can have."""

TIMEOUT_S = 2 * 60 * 60.0
GRACE_S = 15.0
COPY_TO = "/tools/entrypoint"

Stopped = Literal["", "timed out", "aborted"]
"""Why we ended the test; "" when it ended by itself."""

_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    5: "trace/breakpoint trap",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    10: "user defined signal 1",
    11: "segmentation fault",
    12: "user defined signal 2",
    13: "broken pipe",
    14: "alarm clock",
    15: "terminated",
}

PROGRAM = podflags.Program(
    name="entrypoint",
    variable=podoptions.ENTRYPOINT_ENV,
    flags=(
        pod_flag(Flag("timeout", "duration", TIMEOUT_S, "how long the test may run"), shape=podflags.nanoseconds),
        pod_flag(
            Flag("grace-period", "duration", GRACE_S, "how long it may take to end once told to"),
            shape=podflags.nanoseconds,
        ),
        pod_flag(Flag("artifact-dir", "str", "", "the folder to make for artifacts")),
        pod_flag(Flag("copy-mode-only", "bool", False, "only put this program at --copy-destination")),
        pod_flag(Flag("copy-destination", "str", COPY_TO, "where to put it"), "copy_dst"),
        pod_flag(Flag("propagate-error-code", "bool", False, "a stopped test's own code counts")),
        pod_flag(Flag("process-log", "str", "", "the file that takes the test's output")),
        pod_flag(Flag("marker-file", "str", "", "the file that takes the exit code")),
        pod_flag(Flag("metadata-file", "str", "", "the file in which the test may leave metadata")),
    ),
    words="args",
    zero={"timeout": 0, "grace_period": 0, "process_log": "", "marker_file": ""},
)


class Limits(msgspec.Struct, frozen=True):
    timeout_s: float
    grace_s: float


def limits(options: EntrypointOptions) -> Limits:
    """Return how long a test may run, and end."""
    return Limits(options.timeout / 1e9 or TIMEOUT_S, options.grace_period / 1e9 or GRACE_S)


def mistake(options: EntrypointOptions) -> str:
    """Return what keeps these options from being followed, "" if nothing does. A copy asks for nothing else."""
    if options.copy_mode_only:
        return ""
    if not options.args:
        return "no process to wrap specified"
    if options.propagate_error_code and options.always_zero:
        return "cannot propagate error code and always exit zero"
    if not options.process_log:
        return "no log file specified with --process-log"
    if not options.marker_file:
        return "no marker file specified with --marker-file"
    return ""


def own_code(wait_status: int) -> int:
    """Return a process' exit code from what wait(2) says; -1 if a signal ended it."""
    return wait_status >> 8 if not wait_status & 0x7F else -1


def marker_code(stopped: Stopped, wait_status: int, propagate: bool) -> int:
    """Return the code for the marker."""
    if not stopped or propagate:
        return own_code(wait_status)
    return ABORTED_CODE if stopped == "aborted" else INTERNAL_CODE


def told(stopped: Stopped, wait_status: int) -> str:
    """Say in upstream's words what went wrong with a test, "" if nothing did."""
    if stopped:
        return f"process {stopped}"
    if not wait_status:
        return ""
    number = wait_status & 0x7F
    core = " (core dumped)" if wait_status & 0x80 else ""
    return "wrapped process failed: " + (
        f"signal: {signal_name(number)}{core}" if number else f"exit status {wait_status >> 8}"
    )


def signal_name(number: int) -> str:
    """Return a signal's name as Go has it.

    >>> signal_name(15)
    'terminated'
    """
    return _SIGNALS.get(number, f"signal {number}")


def start_failure(program: str, number: int, why: str) -> str:
    """Say in Go's words that a program does not start."""
    if number == 2 and "/" not in program:
        return f'exec: "{program}": executable file not found in $PATH'
    return f"fork/exec {program}: {why[:1].lower()}{why[1:]}"
