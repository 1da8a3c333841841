"""Go's regular expressions."""

import pytest

from prow_async.core import patterns


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("master", "master-x", True),
        ("^master$", "master-x", False),
        ("a.$", "ab\n", False),
        (r"(?m)^/test( | .* )x,?($|\s.*)", "hello\n/test x\r\nbye", True),
        (r"\d", "٣", False),
        (r"(?i)ABC", "xabcx", True),
        (r"\pL+\z", "é", True),
        ("(?<name>a)", "a", True),
        ("", "anything", True),
        ("�", "a\ud800b", True),
        (r"\\C", r"\C", True),
    ],
)
def test_searching_is_unanchored_and_gos(pattern: str, text: str, matches: bool) -> None:
    """Results as Go's MatchString."""
    assert patterns.compile(pattern).search(text) is matches


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{1001}", "(?=a)", r"\C", r"a\\\C", "(?P=x)"])
def test_what_go_refuses_is_refused(pattern: str) -> None:
    """The error names the pattern; problem() says the same without raising."""
    with pytest.raises(patterns.PatternError, match="error parsing regexp") as caught:
        patterns.compile(pattern)
    assert pattern in str(caught.value)
    assert patterns.problem(pattern) == str(caught.value)


def test_groups_of_the_first_match() -> None:
    """A group without a part in the match is None; no match is None."""
    assert patterns.compile("a(b)?(c)").groups("xac") == (None, "c")
    assert patterns.compile("a(b)").groups("x") is None
