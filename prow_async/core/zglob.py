"""Path patterns as upstream's censoring options have them: `*` within one name, `**/` for any folders.

Everything else stands for itself, brackets and question marks too. A pattern without `*` is compared as it is.

Source: github.com/mattn/go-zglob (Match), as upstream pkg/sidecar/censor.go uses it.
"""

import functools
import posixpath
from collections.abc import Sequence
from typing import Any

import re2


def matches(pattern: str, path: str) -> bool:
    """Say whether a relative path fits.

    >>> matches("**/secret/*", "a/b/secret/c"), matches("a/*", "a/b/c"), matches("a", "a")
    (True, False, True)
    """
    if "*" not in pattern:
        return pattern == path
    return path != "." and _compiled(pattern).fullmatch(path) is not None


def is_chosen(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Say whether a path is chosen: excluded ones never are; all others where nothing is named to include."""
    if any(matches(pattern, path) for pattern in exclude):
        return False
    return not include or any(matches(pattern, path) for pattern in include)


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    pattern = posixpath.normpath(pattern)
    parts = [re2.escape(part).replace("\\*", "[^/]*") for part in pattern.split("**/")]
    options = re2.Options()
    options.log_errors = False
    return re2.compile("(?:.*/)?".join(parts), options)
