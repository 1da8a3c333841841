"""How much a repository's own jobs may come to: anybody who opens a pull request writes them.

A few bytes of YAML become much where aliases and presets repeat them, and every job that runs is recorded and created
whole.
"""

from collections.abc import Iterator, Sequence

import msgspec

from prow_async.api.errors import Problem
from prow_async.api.jobconfig import JobBase

MAX_JOBS = 1000
MAX_JSON_BYTES = 8 << 20


def problems(jobs: Sequence[JobBase], file: str) -> Iterator[Problem]:
    """Yield what is too much of the jobs of one repository's files, before or after they are completed."""
    if len(jobs) > MAX_JOBS:
        yield Problem(file, 0, f"there are {len(jobs)} jobs in the repository; {MAX_JOBS} are allowed")
    elif _json_bytes(jobs, MAX_JSON_BYTES) > MAX_JSON_BYTES:
        text = f"the repository's jobs come to more than {MAX_JSON_BYTES} bytes, aliases and presets written out"
        yield Problem(file, 0, text)


def _json_bytes(value: object, enough: int) -> int:
    """Count about how long a value's JSON is; give up counting once that is more than enough."""
    size = 0
    left: list[object] = [value]
    while left and size <= enough:
        one = left.pop()
        size += 2
        match one:
            case str():
                size += len(msgspec.json.encode(one))
            case dict():
                left += one
                left += one.values()
            case list() | tuple() | frozenset():
                left += one
            case msgspec.Struct():
                for name in one.__struct_fields__:
                    found = getattr(one, name)
                    if found:
                        size += len(name)
                        left.append(found)
            case _:
                size += 8
    return size
