"""The file of webhook secrets: read and written in upstream's shape, made, rotated, pruned."""

import itertools

import pytest

from prow_async.api.config_sections import ManagedWebhook, ManagedWebhooks
from prow_async.api.errors import UserMistake
from prow_async.core import hmac_file, webhook
from prow_async.core.hmac_file import Token

NOW_S = 1_800_000_000.0
OLD = Token("old", "2020-01-01T00:00:00Z")


def plan(found: hmac_file.Levels | str, legacy: bool = False, **wanted: str) -> hmac_file.Plan:
    scopes = {scope.replace("__", "/"): ManagedWebhook(after) for scope, after in wanted.items()}
    numbers = itertools.count(1)
    return hmac_file.plan(found, ManagedWebhooks(legacy, scopes), NOW_S, lambda: f"new-{next(numbers)}")


def test_what_is_written_is_read_again_by_the_tool_and_by_the_hook() -> None:
    levels: hmac_file.Levels = {"org/repo": (OLD, Token("123", "2021-01-01T00:00:00Z")), "*": (Token("0x10"),)}
    content = hmac_file.write(levels)
    assert hmac_file.read(content) == levels
    tokens = webhook.parse_tokens(content)
    assert tokens.levels == {"org/repo": (b"old", b"123"), "*": (b"0x10",)}


NO_TEXTS = (b'o: [{value: "\\uDCFF"}]', b'o: [{value: "\\U00110000"}]')
"""Escapes of what is no character."""


@pytest.mark.parametrize("content", [b"one secret\n", b"12345", b"- a\n- b", b"a: b", b"{", b"a: [b]", *NO_TEXTS])
def test_anything_else_is_one_secret(content: bytes) -> None:
    assert hmac_file.read(content) == content.decode().strip()


def test_bytes_that_are_no_text_are_told_of_and_stay() -> None:
    """The hook takes them for one secret; in a map there is no place for them."""
    assert webhook.parse_tokens(b"\xc3(secret").levels == {"*": (b"\xc3(secret",)}
    with pytest.raises(UserMistake, match="UTF-8"):
        hmac_file.read(b"\xc3(secret")


def test_nothing_is_no_secret() -> None:
    assert hmac_file.read(b" \n") == hmac_file.read(b"null") == hmac_file.read(b"{}") == {}


def test_a_new_scope_keeps_the_one_secret_for_all_until_its_webhook_has_changed() -> None:
    found = plan("legacy", legacy=True, org="")
    assert [token.value for token in found.levels["org"]] == ["legacy", "new-1"]
    assert found.levels["*"] == (Token("legacy"),)
    assert [token.value for token in hmac_file.settled(found, set())["org"]] == ["new-1"]
    assert [token.value for token in hmac_file.settled(found, {"org"})["org"]] == ["legacy", "new-1"]


def test_the_one_secret_for_all_is_not_thrown_away_by_accident() -> None:
    with pytest.raises(UserMistake, match="respect_legacy_global_token"):
        plan("legacy", org="")


def test_a_secret_that_is_too_old_gets_a_younger_one_beside_it() -> None:
    levels: hmac_file.Levels = {"a": (OLD,), "b": (OLD,)}
    found = plan(levels, a="2020-06-01T00:00:00Z", b="2019-06-01T00:00:00Z")
    assert list(found.new) == ["a"]
    assert [token.value for token in found.levels["a"]] == ["old", "new-1"]
    assert found.levels["b"] == (OLD,)
    assert hmac_file.settled(found, set())["a"] == (Token("new-1", "2027-01-15T08:00:00Z"),)


def test_a_scope_that_is_no_longer_managed_goes_once_its_webhook_has_gone() -> None:
    levels: hmac_file.Levels = {"gone": (OLD,), "stays/here": (OLD,), "*": (OLD,)}
    found = plan(levels, stays__here="")
    assert list(found.removed) == ["gone"]
    assert set(found.levels) == {"gone", "stays/here"}, "until then its deliveries are still signed with it"
    assert set(hmac_file.settled(found, set())) == {"stays/here"}
    assert set(hmac_file.settled(found, {"gone"})) == {"stays/here", "gone"}


@pytest.mark.parametrize(
    ("levels", "scope", "wanted"),
    [
        ({"*": ("all",)}, "org", ("all", "new")),
        ({"*": ("all",), "org": ("a", "b")}, "org/repo", ("a", "b", "new")),
        ({"*": ("all",), "org": ("a",)}, "org", ("a", "new")),
        ({"*": ("all",), "org": ()}, "org", ("new",)),
        ({}, "*", ("new",)),
    ],
)
def test_one_more_secret_takes_none_away(
    levels: dict[str, tuple[str, ...]], scope: str, wanted: tuple[str, ...]
) -> None:
    """What the scope's webhook is signed with is still known, until old ones are pruned."""
    found = {name: tuple(Token(value, "2020-01-01T00:00:00Z") for value in values) for name, values in levels.items()}
    after = hmac_file.add(found, scope, Token("new", "2021-01-01T00:00:00Z"))
    assert tuple(token.value for token in after[scope]) == wanted
    assert [token.value for token in hmac_file.newest(after[scope])] == ["new"]
    assert {name: one for name, one in after.items() if name != scope} == {
        name: one for name, one in found.items() if name != scope
    }


def test_scopes() -> None:
    assert all(map(hmac_file.is_scope, ("*", "o", "o.x/r_1-a")))
    assert not any(map(hmac_file.is_scope, ("", "/", "o/", "/r", "a/b/c", "a b", "*/r", "o/r ")))


def test_the_newest_stays() -> None:
    young = Token("young", "2024-01-01T00:00:00Z")
    assert hmac_file.newest((OLD, young, Token("ageless"), Token("odd", "yesterday"))) == (young,)
    assert hmac_file.newest((Token("a"), Token("b"))) == (Token("b"),)
    assert hmac_file.newest(()) == ()
