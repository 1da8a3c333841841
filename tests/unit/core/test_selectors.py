"""Selectors: which objects they find, what does not parse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import selectors

LABELS = {"app": "web", "tier": "", "n": "5", "prow.k8s.io/id": "x"}

HOLDS = [
    ("", True),
    ("app=web", True),
    ("app==web", True),
    ("app = web", True),
    ("app=db", False),
    ("app!=db", True),
    ("app!=web", False),
    ("nope!=web", True),
    ("app in (db, web)", True),
    ("app in (db)", False),
    ("app notin (db)", True),
    ("nope notin (db)", True),
    ("nope in (db)", False),
    ("tier in (,x)", True),
    ("tier=", True),
    ("app", True),
    ("nope", False),
    ("!app", False),
    ("!nope", True),
    ("app=web,!nope,tier", True),
    ("app=web,nope", False),
    ("n>4", True),
    ("n<5", False),
    ("app>1", False),
    ("prow.k8s.io/id=x", True),
]


@pytest.mark.parametrize(("text", "holds"), HOLDS)
def test_labels(text: str, holds: bool) -> None:
    """A label selector finds what Kubernetes' rules say; a missing key satisfies != and notin."""
    assert selectors.holds(selectors.parse_labels(text), LABELS) is holds


BAD = [
    "a===b",
    "a in b",
    "in (a)",
    "=a",
    "a b",
    "a=b,",
    "a in (b",
    "a=b c",
    "a=-",
    "a>x",
    ",",
    "a b=c",
    "!",
    "(a)",
    "a//b",
]


@pytest.mark.parametrize("text", BAD)
def test_labels_that_do_not_parse(text: str) -> None:
    """What is no selector is refused, not guessed at."""
    with pytest.raises(selectors.BadSelector):
        selectors.parse_labels(text)


KNOWN = frozenset({"metadata.name", "status.phase"})
VALUES = {"metadata.name": "a,b", "status.phase": "Running"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status.phase=Running", True),
        ("status.phase==Running", True),
        ("status.phase!=Running", False),
        ("metadata.name=a\\,b,status.phase=Running", True),
        ("metadata.name=a", False),
        ("", True),
        ("metadata.name=", False),
    ],
)
def test_fields(text: str, holds: bool) -> None:
    """A field selector compares for equality only, and knows escaped commas."""
    assert selectors.holds(selectors.parse_fields(text, KNOWN), VALUES) is holds


@pytest.mark.parametrize("text", ["spec.job=x", "metadata.name", "metadata.name=a=b", "=x"])
def test_fields_that_do_not_parse(text: str) -> None:
    """Fields that cannot be selected by, and broken terms, are refused."""
    with pytest.raises(selectors.BadSelector):
        selectors.parse_fields(text, KNOWN)


@given(st.text(alphabet="ab=!,()< >innot.-/", max_size=14))
def test_any_text_parses_or_is_refused(text: str) -> None:
    """Nothing but BadSelector comes out of a selector, whatever it holds."""
    try:
        selectors.parse_labels(text)
        selectors.parse_fields(text, KNOWN)
    except selectors.BadSelector:
        return
