"""Labels and annotations: computed, cut, mended or dropped."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api import names
from prow_async.api.prowjob import ProwJobSpec, Pull, Refs
from prow_async.core import labels

LONG = "a" * 62 + "-" + "b" * 20


def spec(**parts: Any) -> ProwJobSpec:
    return msgspec.structs.replace(ProwJobSpec(type="presubmit", job="unit", context="ci"), **parts)


@pytest.mark.parametrize(
    ("refs", "extra", "expected"),
    [
        (None, (), {}),
        (Refs("o", "r", base_ref="main"), (), {"org": "o", "repo": "r", "base_ref": "main"}),
        (
            Refs("o", "r", base_ref="main", pulls=(Pull(7, "a", "s"), Pull(8, "b", "t"))),
            (),
            {"org": "o", "repo": "r", "base_ref": "main", "pull": "7"},
        ),
        (None, (Refs("x", "y", base_ref="v1"), Refs("z", "z")), {"org": "x", "repo": "y", "base_ref": "v1"}),
        (Refs("o", "r"), (Refs("x", "y"),), {"org": "o", "repo": "r", "base_ref": ""}),
        (Refs("https://host/x", "r", base_ref="release/1.0"), (), {"org": "x", "repo": "r", "base_ref": "1.0"}),
    ],
)
def test_refs(refs: Refs | None, extra: tuple[Refs, ...], expected: dict[str, str]) -> None:
    """Refs make labels, the first extra ref where there are none; the pull is the first one."""
    found = labels.for_spec(spec(refs=refs, extra_refs=extra), {}, {}).labels
    assert {
        k.removeprefix("prow.k8s.io/refs."): v for k, v in found.items() if ".refs." in k or "io/refs" in k
    } == expected


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a" * 63, "a" * 63),
        ("a/b", "b"),
        ("a/b/", "b"),
        ("/", None),
        ("with space", None),
        ("-x", None),
        ("x.", None),
        ("a" * 64, None),
        ("é", None),
        ("x\n", None),
        (f"{'a' * 70}/tail", "tail"),
    ],
)
def test_values(value: str, label: str | None) -> None:
    """A value Kubernetes would refuse becomes its last path part, or goes, and is told about."""
    marks = labels.for_spec(spec(), {"k": value}, {})
    assert marks.labels.get("k") == label
    assert marks.dropped == ((f"k={value}",) if label is None else ())


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("short", "short"),
        ("a" * 63, "a" * 63),
        (LONG, "a" * 62),
        ("a" * 60 + "._-._-tail", "a" * 60),
        ("a" * 60 + "_.-" * 3, "a" * 60),
    ],
)
def test_long_names_are_cut(text: str, cut: str) -> None:
    """Job and context are cut at 63 bytes in labels and kept in full in annotations."""
    marks = labels.for_spec(spec(job=text, context=text), {}, {})
    assert marks.labels[names.JOB] == marks.labels[names.CONTEXT] == cut
    assert marks.annotations == {names.JOB: text, names.CONTEXT: text}


def test_extra_wins() -> None:
    """Extra labels and annotations overwrite the computed ones."""
    marks = labels.for_spec(spec(), {names.JOB: "mine", "k": "v"}, {names.CONTEXT: "theirs"})
    assert (marks.labels[names.JOB], marks.labels["k"]) == ("mine", "v")
    assert marks.annotations == {names.JOB: "unit", names.CONTEXT: "theirs"}
    assert marks.labels[names.CREATED_BY_PROW] == "true"
    assert marks.labels[names.TYPE_LABEL] == "presubmit"


@given(st.text(), st.text(), st.text())
def test_labels_are_always_valid(job: str, context: str, extra: str) -> None:
    """Whatever the names, no label has a value that Kubernetes would refuse."""
    marks = labels.for_spec(spec(job=job, context=context), {"k": extra}, {})
    assert all(labels.is_value(value) for value in marks.labels.values())
    assert len(marks.labels) + len(marks.dropped) == 5
