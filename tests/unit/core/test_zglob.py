"""Path patterns of the censoring options."""

import pytest

from prow_async.core import zglob

# Expected values are those of go-zglob's Match.
CASES = [
    ("a/b", "a/b", True),
    ("a/b", "a/b/c", False),
    ("a/*", "a/b", True),
    ("a/*", "a/b/c", False),
    ("**/*", "a/b/c", True),
    ("**/*.log", "a.log", True),
    ("**/*.log", "x/y/a.log", True),
    ("a/**/c", "a/c", True),
    ("a/**/c", "a/b/b/c", True),
    ("a/**", "a/b", True),
    ("a/**", "a/b/c", False),
    ("a?", "ab", False),
    ("[ab]*", "a1", False),
    ("[ab]*", "[ab]1", True),
    ("*.(x)", "a.(x)", True),
    ("./a/*", "a/b", True),
    ("*", ".", False),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), CASES)
def test_matches(pattern: str, path: str, expected: bool) -> None:
    assert zglob.matches(pattern, path) is expected


def test_exclusion_wins_and_no_inclusion_means_all() -> None:
    assert zglob.is_chosen("a/b", [], [])
    assert not zglob.is_chosen("a/b", ["a/*"], ["**/b"])
    assert zglob.is_chosen("a/c", ["a/*"], ["**/b"])
    assert not zglob.is_chosen("c", ["a/*"], [])
