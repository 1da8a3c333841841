"""`.prowignore`: which files of a tree are not configuration, in the syntax of gitignore."""

import contextlib
from collections.abc import Sequence
from typing import Any

NAME = ".prowignore"


class Ignored:
    """What one such file says of the tree below it.

    Args:
        folder: where it stands; "" is the top. Paths asked about begin with it.

    A line that is no pattern, such as one that ends in a backslash, matches nothing, as git has it.
    """

    def __init__(self, folder: str, content: bytes) -> None:
        import pathspec  # takes a while, and few trees have such a file

        found: list[Any] = []
        for line in content.decode(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found += pathspec.GitIgnoreSpec.from_lines([line]).patterns
        self._spec = pathspec.GitIgnoreSpec(found)
        self._start = len(folder) + 1 if folder else 0

    def verdict(self, path: str) -> bool | None:
        """Say whether `path` (a folder ends in a slash) is left out; None where no line is about it."""
        return self._spec.check_file(path[self._start :]).include


def leaves_out(every: Sequence[Ignored], path: str) -> bool:
    """Ask the nearest file, the last in `every`, that has a word on it."""
    verdicts = (one.verdict(path) for one in reversed(every))
    return next((verdict for verdict in verdicts if verdict is not None), False)
