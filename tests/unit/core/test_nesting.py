"""JSON is cut at a level, whatever stands in its texts."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import nesting

LEAVES = st.none() | st.integers(-9, 9) | st.text(alphabet='a{}[]"\\é\n', max_size=6)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='k{]"\\', max_size=3), inner)
)


@given(TREES, st.integers(0, 6))
def test_what_is_deeper_becomes_a_text(tree: Any, deepest: int) -> None:
    """All else stays as it is."""
    found = msgspec.json.decode(nesting.cut(msgspec.json.encode(tree), deepest))
    assert found == _pruned(tree, deepest)


def test_no_depth_is_too_much() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        json = opening * 200_000 + b"1" + closing * 200_000
        assert nesting.cut(json, 1).replace(b'{"a":', b"[").replace(b"}", b"]") == b"[" + nesting.CUT + b"]"


def test_what_ends_too_early_is_still_no_json() -> None:
    for json in (b'[[["', b"[[[1", b'{"a": {"b": [', b"]]]", b'"\\'):
        for deepest in (0, 1, 5):
            try:
                msgspec.json.decode(nesting.cut(json, deepest))
            except msgspec.DecodeError:
                continue
            raise AssertionError((json, deepest))


def _pruned(tree: Any, levels: int) -> Any:
    if not isinstance(tree, list | dict):
        return tree
    if levels == 0:
        return msgspec.json.decode(nesting.CUT)
    if isinstance(tree, list):
        return [_pruned(one, levels - 1) for one in tree]
    return {name: _pruned(one, levels - 1) for name, one in tree.items()}
