"""How a program in a job's pod starts: its options are read, mistakes in them told to people.

Source: upstream pkg/pod-utils/options/load.go.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from prow_async.api.errors import CannotStart
from prow_async.core import goflags, podflags
from prow_async.podutils import logs

T = TypeVar("T", bound=msgspec.Struct)


def read(
    program: podflags.Program,
    kind: type[T],
    argv: Sequence[str],
    environ: Mapping[str, str],
    mistake_in: Callable[[T], str],
) -> T:
    """Return the options of the variable and the flags, if there is no mistake in them.

    Args:
        mistake_in: says what cannot be worked with, "" when all can.

    Raises CannotStart, goflags.Help.
    """
    wanted = podflags.read(program, kind, environ.get(program.variable), argv)
    mistake = mistake_in(wanted)
    if mistake:
        raise CannotStart(f"Invalid options: {mistake}")
    return wanted


def start(log: logs.Log, work: Callable[[], int]) -> int:
    """Do a program's work, from reading its options on; return the exit code.

    Asked for help: prints it, 0. CannotStart: one log line, 1, as upstream.
    """
    try:
        return work()
    except goflags.Help as asked:
        print(asked.text)
        return 0
    except CannotStart as error:
        log.fatal(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def exit_with(main: Callable[[Sequence[str], Mapping[str, str]], int]) -> None:
    """Run a program's `main` on this process's arguments and environment, and end the process with its code."""
    sys.exit(main(sys.argv[1:], os.environ))
