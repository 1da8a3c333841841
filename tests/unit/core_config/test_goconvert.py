"""Fitting YAML values to Structs as Go's JSON decoding does."""

from typing import Any

import msgspec
import pytest

from prow_async.core import goconvert
from prow_async.core.goconvert import Report


class Inner(msgspec.Struct, frozen=True):
    text: str = "unset"
    flag: bool | None = None
    more: tuple["Inner", ...] = ()


class Outer(msgspec.Struct, frozen=True):
    name: str = ""
    count: int = 7
    ratio: float = 0.0
    words: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    inner: Inner = Inner()
    any: dict[str, Any] | None = None
    either: str | int | None = None
    mode_name: str = msgspec.field(default="", name="modeName")
    filled: str = "ours"


CONVERTER = goconvert.Converter(hidden=frozenset({"filled"}))


def convert(value: Any) -> tuple[Outer | None, Report]:
    report = Report()
    return CONVERTER.convert(value, Outer, report), report


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": True}, Outer(name="true")),
        ({"name": 12}, Outer(name="12")),
        ({"name": 1e6}, Outer(name="1e+06")),
        ({"name": 1.10}, Outer(name="1.1")),
        ({"name": None, "count": None}, Outer()),
        ({"count": 3.0, "ratio": 2}, Outer(count=3, ratio=2.0)),
        ({"words": ["a", 1, None, False]}, Outer(words=("a", "1", "", "false"))),
        ({"labels": {"a": 1, "b": None}}, Outer(labels={"a": "1", "b": ""})),
        (
            {"inner": {"flag": False, "more": [None, {"text": "x"}]}},
            Outer(inner=Inner("unset", False, (Inner(), Inner("x")))),
        ),
        ({"any": {"x": [1, None, True]}}, Outer(any={"x": [1, None, True]})),
        ({"either": 5}, Outer(either=5)),
        ({"modeName": "m"}, Outer(mode_name="m")),
        ({"mode_name": "m", "filled": "theirs", "nonsense": 1}, Outer()),
    ],
)
def test_values_are_fitted_to_their_fields(value: dict[str, Any], expected: Outer) -> None:
    """Scalars become text where text is wanted, null is absence, unknown and hidden keys are passed over."""
    found, report = convert(value)
    assert found == expected
    assert report.errors == []


def test_keys_match_in_any_case_and_the_exact_one_wins() -> None:
    """A key in other case is taken with a warning; beside the exact key it is not."""
    found, report = convert({"NAME": "a", "Count": 1, "count": 2, "INNER": {"Text": "t"}})
    assert found == Outer(name="a", count=2, inner=Inner("t"))
    assert [(w.path, w.text.split(";")[0]) for w in report.warnings] == [
        (("NAME",), 'key "NAME" is read as "name"'),
        (("Count",), 'key "Count" is read as "count"'),
        (("INNER",), 'key "INNER" is read as "inner"'),
        (("INNER", "Text"), 'key "Text" is read as "text"'),
    ]


def test_unknown_keys_are_collected_with_their_paths() -> None:
    """For those who check: what nobody reads."""
    _, report = convert({"inner": {"more": [{"nope": 1}]}, "filled": "x", "labels": {"free": "y"}})
    assert [finding.path for finding in report.unknown] == [("inner", "more", 0, "nope"), ("filled",)]


def test_all_errors_are_reported_with_their_paths() -> None:
    """One wrong value does not hide another."""
    wrong = {
        "name": ["x"],
        "count": "3",
        "ratio": True,
        "words": "w",
        "labels": [1],
        "inner": {"flag": "yes", "more": [5]},
        "any": 3,
        "either": {},
    }
    _, report = convert(wrong)
    assert [(f.path, f.text) for f in report.errors] == [
        (("name",), "expected text, found a list"),
        (("count",), 'expected a whole number, found text "3"'),
        (("ratio",), 'expected a number, found true or false "true"'),
        (("words",), 'expected a list, found text "w"'),
        (("labels",), "expected a mapping, found a list"),
        (("inner", "flag"), 'expected true or false, found text "yes"'),
        (("inner", "more", 0), 'expected a mapping, found a number "5"'),
        (("any",), 'expected a mapping, found a number "3"'),
        (("either",), "expected text or a number, found a mapping"),
    ]


def test_numbers_must_fit() -> None:
    """Go's int64 is the limit, and a fraction is no whole number."""
    _, report = convert({"count": 1 << 63})
    assert report.errors[0].text == "9223372036854775808 is too large a number"
    _, report = convert({"count": 1.5})
    assert report.errors[0].text == 'expected a whole number, found a number "1.5"'


def test_what_is_no_mapping_is_no_struct() -> None:
    """The document itself may be of the wrong kind."""
    assert convert([1])[0] is None
    assert convert("x")[1].errors[0].text == 'expected a mapping, found text "x"'
