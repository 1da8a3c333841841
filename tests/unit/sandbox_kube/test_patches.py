"""Patches: RFC 7386 and RFC 6902."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.sandbox.kube import patches

MERGES: list[tuple[Any, Any, Any]] = [
    # The examples of RFC 7386, appendix A.
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), MERGES)
def test_merge(target: Any, patch: Any, result: Any) -> None:
    """A merge patch gives what RFC 7386 says."""
    assert patches.merge(copy.deepcopy(target), patch) == result


APPLIES: list[tuple[Any, list[Any], Any]] = [
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
    ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
    ({"a": [1]}, [{"op": "replace", "path": "/a/0", "value": 2}], {"a": [2]}),
    ({}, [{"op": "replace", "path": "/a", "value": 1}], {"a": 1}),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
    ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    (
        {"a/b": 1, "m~n": 2},
        [{"op": "test", "path": "/a~1b", "value": 1}, {"op": "remove", "path": "/m~0n"}],
        {"a/b": 1},
    ),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"": 1}, [{"op": "test", "path": "/", "value": 1}], {"": 1}),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
]


@pytest.mark.parametrize(("document", "operations", "result"), APPLIES)
def test_apply(document: Any, operations: list[Any], result: Any) -> None:
    """A JSON patch gives what RFC 6902 says."""
    assert patches.apply(copy.deepcopy(document), operations) == result


REFUSED: list[list[Any]] = [
    [{"op": "remove", "path": "/nope"}],
    [{"op": "test", "path": "/a", "value": "1"}],
    [{"op": "test", "path": "/a", "value": True}],
    [{"op": "test", "path": "/nope", "value": None}],
    [{"op": "add", "path": "/list/3", "value": 1}],
    [{"op": "add", "path": "/list/01", "value": 1}],
    [{"op": "add", "path": "/list/-1", "value": 1}],
    [{"op": "replace", "path": "/list/-", "value": 1}],
    [{"op": "add", "path": "/x/y", "value": 1}],
    [{"op": "add", "path": "a", "value": 1}],
    [{"op": "add", "path": "/b"}],
    [{"op": "move", "from": "/o", "path": "/o/p"}],
    [{"op": "copy", "path": "/b"}],
    [{"op": "zap", "path": "/a"}],
    [{"path": "/a"}],
    [7],
]


@pytest.mark.parametrize("operations", REFUSED)
def test_a_patch_that_does_not_apply_is_refused(operations: list[Any]) -> None:
    """Whatever is wrong with an operation, it is a PatchError."""
    with pytest.raises(patches.PatchError):
        patches.apply({"a": 1, "list": [1, 2], "o": {"p": 1}}, operations)


def test_a_copy_is_independent() -> None:
    """What is copied does not change with its source."""
    operations = [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/a/x", "value": 1}]
    assert patches.apply({"a": {}}, operations) == {"a": {"x": 1}, "b": {}}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(_values, _values)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    """A merge patch is idempotent."""
    once = patches.merge(copy.deepcopy(target), copy.deepcopy(patch))
    assert patches.merge(copy.deepcopy(once), copy.deepcopy(patch)) == once


_paths = st.sampled_from(["", "/", "/a", "/a/0", "/a/-", "/b/c", "/~1", "x", "/a/00"])
_operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "test", "move", "copy"]), "path": _paths},
        optional={"from": _paths, "value": _values},
    ),
    max_size=4,
)


@given(_values, _operations)
def test_any_patch_applies_or_is_refused(document: Any, operations: list[Any]) -> None:
    """Nothing but PatchError comes out of a patch, whatever it holds."""
    try:
        patches.apply(document, operations)
    except patches.PatchError:
        return
