"""JSON nested more deeply than our decoder follows: cut, so that one such object does not hide all others.

An API server takes 10,000 levels (Go's encoding/json); msgspec stops where the interpreter's stack ends, some 1,000.
"""

import re
from collections.abc import Iterator

DEEPEST = 400
CUT = b'"(nested too deeply to be read)"'
_MARK = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)


def cut(json: bytes, deepest: int = DEEPEST) -> bytes:
    """Return the same JSON in which each map or list at more than `deepest` levels is a text that says so.

    Needs no stack. What is no JSON stays none.
    """
    return b"".join(_pieces(json, deepest))


def _pieces(json: bytes, deepest: int) -> Iterator[bytes]:
    depth = kept_to = 0
    for mark in _MARK.finditer(json):
        match mark[0]:
            case b"{" | b"[":
                depth += 1
                if depth == deepest + 1:
                    yield json[kept_to : mark.start()]
            case b"}" | b"]":
                if depth == deepest + 1:
                    yield CUT
                    kept_to = mark.end()
                depth -= 1
            case _:
                pass
    if depth <= deepest:
        yield json[kept_to:]
