"""What cloning leaves behind: the records in `clone.json`, which initupload shows as `clone-records.json`.

The file is a list: first a record of setting up the environment, with empty refs, then one for each clone, in the order
in which they ended. Durations are nanoseconds.

Source: upstream pkg/pod-utils/clone/types.go.
"""

import msgspec

from prow_async.api.prowjob import Refs

NO_REFS = Refs("", "")
"""The refs of the record of setting up."""


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One command that ran, as a line to read; `error` is "" when it went well."""

    command: str
    output: str = ""
    error: str = ""
    duration: int = 0


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done to get at some code, and what came of it."""

    refs: Refs
    commands: tuple[Command, ...] = ()
    failed: bool = False
    final_sha: str = ""
    """The commit that is checked out in the end; "" unless all went well."""
    duration: int = 0


def decode(data: bytes) -> tuple[Record, ...]:
    """Read a records file, upstream's too. Raises msgspec.DecodeError (a ValueError) for what is none."""
    return tuple(msgspec.json.decode(data, type=list[Record]))
