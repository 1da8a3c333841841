"""Updates of a ConfigMap: whatever comes first and however often, each key is of the newest."""

import base64
import itertools
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api import names
from prow_async.api.actions import UpdateConfigMap
from prow_async.core import config_maps

Json = dict[str, Any]


def update(order: str, removed: tuple[str, ...] = (), binary: tuple[str, ...] = (), **data: str) -> UpdateConfigMap:
    texts = {key.upper() if key == "version" else key: value for key, value in data.items()}
    return UpdateConfigMap(
        cluster="default",
        namespace="n",
        name="m",
        data=texts,
        binary_data=dict.fromkeys(binary, b"\xff"),
        removed=removed,
        order=order,
        why="w",
    )


def merged(target: Json, patch: Json) -> Json:
    """Apply a JSON merge patch (RFC 7396)."""
    found = dict(target)
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            found[key] = merged(found.get(key) or {}, value)
        else:
            found[key] = value
    return found


def after(*updates: UpdateConfigMap) -> Json:
    """Return the ConfigMap that all of them leave, in the order they are written in."""
    stands = msgspec.json.decode(config_maps.body(updates[0]), type=Json)
    for one in updates[1:]:
        due = config_maps.due(one, msgspec.json.encode(stands))
        if due is not None:
            stands = merged(stands, config_maps.patch(due, msgspec.json.encode(stands)))
    return stands


def content(stands: Json) -> Json:
    return {**stands.get("data", {}), **stands.get("binaryData", {})}


OLD = update("2026-01-01T00:00:00Z 000000010", version="a", x="old", y="old")
NEW = update("2026-01-01T00:00:00Z 000000011", version="b", x="new", removed=("z",))
FIRST = update("2025-01-01T00:00:00Z 000000001", version="0", z="first")


def test_the_older_merge_written_last_changes_what_is_its_own() -> None:
    """A key both have is of the newer one, a key the newer one removed stays away, VERSION never goes back."""
    assert content(after(FIRST, NEW, OLD)) == {"VERSION": "b", "x": "new", "y": "old"}
    assert content(after(FIRST, OLD, NEW)) == content(after(FIRST, NEW, OLD))
    again = update(OLD.order, version="a", x="old")
    assert config_maps.due(again, msgspec.json.encode(after(NEW))) is None
    removal = update(OLD.order, removed=("x",))
    assert config_maps.due(removal, msgspec.json.encode(after(NEW))) is None
    kinds = update(OLD.order, binary=("x",))
    assert config_maps.due(kinds, msgspec.json.encode(after(NEW))) is None


def test_what_has_no_order_is_written() -> None:
    """A decision that an earlier version recorded; and what such a one wrote yields to any order."""
    plain = update("", version="c", x="plain")
    assert content(after(NEW, plain)) == {"VERSION": "c", "x": "plain"}
    assert content(after(plain, OLD)) == {"VERSION": "a", "x": "old", "y": "old"}
    assert "annotations" not in config_maps.patch(plain, b"{}")["metadata"]


def test_the_patch_holds_for_what_was_read_alone() -> None:
    stands = {"metadata": {"resourceVersion": "7", "labels": {"a": "b"}}}
    assert config_maps.patch(OLD, msgspec.json.encode(stands))["metadata"]["resourceVersion"] == "7"


def test_notes_of_strangers_say_nothing() -> None:
    for text in ("no JSON", "[]", '{"9": "x"}', '{"9": [1]}'):
        stands = {"metadata": {"annotations": {names.UPDATED_KEYS: text}}, "data": {"x": "1"}}
        assert config_maps.due(OLD, msgspec.json.encode(stands)) == OLD
        assert config_maps.patch(OLD, msgspec.json.encode(stands))["metadata"]["annotations"]


def test_notes_are_bounded() -> None:
    """The newest stay; even an update that is too long by itself is made."""
    stands = after(*(update(f"{n:03}", **{f"key-{n}-{'k' * 200}": "v"}) for n in range(600)))
    text = stands["metadata"]["annotations"][names.UPDATED_KEYS]
    assert 0.9 * config_maps.MAX_NOTES_BYTES < len(text) <= config_maps.MAX_NOTES_BYTES
    assert len(stands["data"]) == 600
    assert "599" in msgspec.json.decode(text)
    huge = update("999", **{f"key-{n}-{'k' * 200}": "v" for n in range(600)})
    assert len(after(FIRST, huge)["data"]) == 602


UPDATES = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("xyz"), st.sampled_from("123")),
        st.frozensets(st.sampled_from("xyz")),
        st.frozensets(st.sampled_from("xyz")),
    ),
    min_size=1,
    max_size=4,
)


@given(UPDATES, st.randoms(use_true_random=False))
def test_any_order_of_writing_ends_the_same(drawn: list[Any], random: Any) -> None:
    """Each update twice, in any order, between them: as if each had come once, in the order of the merges."""
    start = update("0", version="0", x="0", y="0", z="0")
    updates = [
        update(
            f"{number}",
            version=f"{number}",
            removed=tuple(removed - set(data)),
            binary=tuple(binary - set(data) - removed),
            **data,
        )
        for number, (data, removed, binary) in enumerate(drawn, 1)
    ]
    wanted = content(after(start, *updates))
    doubled = [*updates, *updates]
    random.shuffle(doubled)
    assert content(after(start, *doubled)) == wanted
    for few in itertools.islice(itertools.permutations(updates), 24):
        assert content(after(start, *few)) == wanted


def test_binary_content_is_as_it_was() -> None:
    assert after(update("1", binary=("x",)))["binaryData"] == {"x": base64.b64encode(b"\xff").decode()}
