"""YAML as Go reads it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.errors import ConfigErrors
from prow_async.core import goscalars, goyaml


def value(text: str) -> object:
    return goyaml.load(text.encode(), "f.yaml").value


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("y", True),
        ("on", True),
        ("NO", False),
        ("yEs", "yEs"),
        ("~", None),
        ("", None),
        ("Null", None),
        ("12:30", "12:30"),
        ("1e3", 1000.0),
        ("010", 8),
        ("0o10", 8),
        ("0400", 256),
        ("08", 8.0),
        ("0x1F", 31),
        ("-0b11", -3),
        ("1_000", 1000),
        ("+12", 12),
        (".5", 0.5),
        ("1.", 1.0),
        ("2001-01-01", "2001-01-01"),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 18446744073709551616.0),
        ("-9223372036854775809", -9223372036854775809.0),
        ("1e999", "1e999"),
        ("v1", "v1"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("=", "="),
    ],
)
def test_an_unquoted_scalar_means_what_go_takes_it_for(text: str, meant: object) -> None:
    """Types and values follow Go's YAML, not YAML 1.1 as Python has it."""
    found = goscalars.resolve(text)
    assert (type(found), found) == (type(meant), meant)


def test_quotes_and_tags_decide() -> None:
    """Quoted scalars are text, explicit tags win, foreign tags leave text."""
    found = value("a: 'yes'\nb: \"010\"\nc: !!str 1\nd: !ours 1\ne: !!binary aGk=\nf: !!float 1\ng: |\n  1\n")
    assert found == {"a": "yes", "b": "010", "c": "1", "d": "1", "e": "hi", "f": 1.0, "g": "1\n"}


def test_keys_are_text() -> None:
    """Go turns boolean and numeric keys into JSON keys."""
    assert value("on: 1\n010: 2\n1.50: 3\nx: 4") == {"true": 1, "8": 2, "1.5": 3, "x": 4}


def test_only_the_first_document_is_read() -> None:
    """What follows the first document does not matter, even when it is no YAML."""
    assert value("a: 1\n---\n{{{") == {"a": 1}
    assert value("") is None


def test_merge_keys_count_in_the_order_written() -> None:
    """A `<<` after a key overrides it, a key after a `<<` overrides that; of several, the earlier wins."""
    text = (
        "a: &a {x: 1, w: 1}\nb: &b {x: 2, z: 2}\nc: {x: 0, <<: *a}\nd: {<<: *a, x: 0}\ne: {<<: [*a, *b]}\nf: {'<<': 1}"
    )
    found = value(text)
    assert isinstance(found, dict)
    assert found["c"] == {"x": 1, "w": 1}
    assert found["d"] == {"x": 0, "w": 1}
    assert found["e"] == {"x": 1, "w": 1, "z": 2}
    assert found["f"] == {"<<": 1}


def test_a_duplicate_key_is_a_warning_and_the_last_counts() -> None:
    """Duplicates do not stop loading; merged keys are no duplicates."""
    document = goyaml.load(b"a: 1\nb: 2\na: 3\nc: &c {x: 1}\nd: {<<: *c, x: 2}\n", "f.yaml")
    assert document.value == {"a": 3, "b": 2, "c": {"x": 1}, "d": {"x": 2}}
    assert [str(p) for p in document.problems] == ['f.yaml:3: key "a" appears twice; the last one counts']


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a:\n  - b: [1", "f.yaml:2: not readable as YAML"),
        ("a: 1\nb: *x", "f.yaml:2: not readable as YAML"),
        ("\ta: 1", "f.yaml:1: not readable as YAML"),
        ("a: &a [*a]", "f.yaml:1: an anchor contains itself"),
        ("? [1]\n: 2", "f.yaml:1: a mapping key must be a scalar"),
        ("~: 1", "f.yaml:1: a mapping key must not be null"),
        ("<<: 3", "f.yaml:1: << needs a mapping"),
        ("a: !!int x", 'f.yaml:1: "x" cannot be read as !!int'),
        ("a: .inf", "f.yaml:1: .inf cannot be written as JSON"),
        ("a: \x01", "f.yaml:1: not readable as YAML"),
        ("[" * 5000, "f.yaml:1: nested deeper"),
        ("- " * 5000, "f.yaml:1: nested deeper"),
    ],
)
def test_bad_input_is_one_problem_with_its_place(text: str, complaint: str) -> None:
    """Whatever comes in, the outcome is a ConfigErrors that names file and, where there is one, line."""
    with pytest.raises(ConfigErrors) as caught:
        value(text)
    assert str(caught.value).startswith(complaint)


def test_aliases_that_would_explode_are_refused() -> None:
    """The document stands for 10**9 nodes."""
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigErrors, match="excessive aliasing"):
        value("\n".join(lines))


def test_lines_are_found_by_path() -> None:
    """A path leads to its line; a missing part to the line above it; aliases and merges to where they are written."""
    document = goyaml.load(b"x: &x\n  q: 1\na:\n  - b: 1\n    on: 2\n  - <<: *x\n    c: 3\n", "f.yaml")
    assert document.line(("a", 0, "true")) == 5
    assert document.line(("a", 1, "c")) == 7
    assert document.line(("a", 1, "q")) == 2
    assert document.line(("a", 0, "nope", "deeper")) == 4
    assert document.line(("a", 9)) == 3
    assert document.line(()) == 1


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_problems(data: bytes) -> None:
    """Nothing but ConfigErrors comes out, whatever goes in."""
    with contextlib.suppress(ConfigErrors):
        assert goyaml.load(data, "f.yaml").line(()) >= 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_spelled_floats_read_back(number: float) -> None:
    """Go's spelling holds all digits needed."""
    assert float(goscalars.go_float(number)) == number
