"""The checks a webhook goes through: upstream's order, statuses and words."""

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import webhook, webhook_decode
from prow_async.core.webhook import Answer, Tokens, Verified

BODY = b'{"repository":{"full_name":"org/repo"},"organization":{"login":"org"}}'
SECRET = Tokens({"*": (b"abc",)}, "single")
BAD = "403 Forbidden: Invalid X-Hub-Signature-256 - "


def headers(**changes: str | None) -> dict[str, str]:
    found: dict[str, str | None] = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "guid",
        "X-Hub-Signature-256": webhook.sign(BODY, b"abc"),
        "Content-Type": "application/json",
    }
    found |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize(
    ("method", "changes", "status", "text"),
    [
        ("GET", {"X_GitHub_Event": None}, 405, "405 Method not allowed"),
        ("post", {}, 405, "405 Method not allowed"),
        (
            "POST",
            {"X_GitHub_Event": None, "X_GitHub_Delivery": None},
            400,
            "400 Bad Request: Missing X-GitHub-Event Header",
        ),
        (
            "POST",
            {"X_GitHub_Delivery": "", "X_Hub_Signature_256": None},
            400,
            "400 Bad Request: Missing X-GitHub-Delivery Header",
        ),
        (
            "POST",
            {"X_Hub_Signature_256": None, "X_Hub_Signature": "sha1=00", "Content_Type": "text/xml"},
            403,
            "403 Forbidden: Missing X-Hub-Signature-256",
        ),
        (
            "POST",
            {"Content_Type": "application/json; charset=utf-8", "X_Hub_Signature_256": "nonsense"},
            400,
            "400 Bad Request: Hook only accepts content-type: application/json"
            " - please reconfigure this hook on GitHub",
        ),
        ("POST", {"X_Hub_Signature_256": "sha1=00"}, 403, BAD + "invalid signature"),
        ("POST", {"X_Hub_Signature_256": "sha256=0"}, 403, BAD + "invalid signature"),
        ("POST", {"X_Hub_Signature_256": "sha256=00 00"}, 403, BAD + "invalid signature"),
        ("POST", {"X_Hub_Signature_256": "sha256=zz"}, 403, BAD + "invalid signature"),
        ("POST", {"X_Hub_Signature_256": "sha256=äö"}, 403, BAD + "invalid signature"),
        ("POST", {"X_Hub_Signature_256": "ſha256=00"}, 403, BAD + "invalid signature"),
        (
            "POST",
            {"X_Hub_Signature_256": "sha256="},
            403,
            BAD + "misconfigured webhook secret from organization/repo: org/repo",
        ),
    ],
)
def test_refusals_come_in_upstreams_order_and_words(
    method: str, changes: dict[str, str | None], status: int, text: str
) -> None:
    """Where several things are wrong, the first in upstream's order is answered."""
    assert webhook.verify(method, headers(**changes), BODY, SECRET) == Answer(status, text)


def test_a_right_signature_is_accepted_in_either_case_of_hex() -> None:
    for signature in (webhook.sign(BODY, b"abc"), "sha256=" + webhook.sign(BODY, b"abc")[7:].upper()):
        found = webhook.verify("POST", headers(X_Hub_Signature_256=signature), BODY, SECRET)
        assert isinstance(found, Verified)
        assert (found.event, found.guid, found.owner) == ("push", "guid", "org/repo")


@pytest.mark.parametrize("form", ["single", "map"])
def test_a_body_signed_well_with_everybodys_secret_is_read_once(form: Literal["single", "map"]) -> None:
    tokens = Tokens({"*": (b"other", b"abc")}, form)
    found = webhook.verify("POST", headers(), BODY, tokens)
    assert isinstance(found, Verified)
    assert found.parsed == webhook_decode.decode("push", BODY, "guid")


@pytest.mark.parametrize(
    "body", [b'{"repository":{"full_name":"org/repo"},"ref":5}', b'{"organization":{"login":"org"}}']
)
def test_one_that_is_not_of_its_events_shape_or_of_no_repository_is_accepted_all_the_same(body: bytes) -> None:
    found = webhook.verify("POST", headers(X_Hub_Signature_256=webhook.sign(body, b"abc")), body, SECRET)
    assert isinstance(found, Verified)
    assert (found.owner, found.parsed) == ("org/repo" if b"full_name" in body else "org", None)


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"repository":{"full_name":1}}'])
def test_no_webhook_is_refused_however_well_it_is_signed(body: bytes) -> None:
    found = webhook.verify("POST", headers(X_Hub_Signature_256=webhook.sign(body, b"abc")), body, SECRET)
    assert found == Answer(403, BAD + "invalid payload")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}x",
        b"\xff",
        b'{"repository":[]}',
        b'{"repository":{"full_name":1}}',
        b'{"repository":{"full_name":"\xff"}}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
)
def test_a_body_that_is_no_webhook_is_refused_before_its_signature_is_looked_at(body: bytes) -> None:
    found = webhook.verify("POST", headers(X_Hub_Signature_256="nonsense"), body, SECRET)
    assert found == Answer(403, BAD + "invalid payload")


REPO = b'{"repository":{"full_name":"org/repo"}}'
ORG = b'{"organization":{"login":"org"},"repository":null}'
NOBODY = b'{"zen":"x"}'
LEVELS: dict[str, tuple[bytes, ...]] = {"*": (b"all",), "org": (b"org", b"older"), "org/repo": (b"one",)}


@pytest.mark.parametrize(
    ("body", "levels", "signed_with", "reason"),
    [
        (REPO, LEVELS, b"one", None),
        (REPO, LEVELS, b"org", "misconfigured webhook secret from organization/repo: org/repo"),
        (REPO, LEVELS, b"all", "misconfigured webhook secret from organization/repo: org/repo"),
        (
            REPO,
            {"*": (b"all",), "org/repo": ()},
            b"all",
            "misconfigured webhook secret from organization/repo: org/repo",
        ),
        (REPO, {"org": (b"org", b"older")}, b"older", None),
        (ORG, LEVELS, b"org", None),
        (ORG, {"*": (b"all",)}, b"all", None),
        (NOBODY, LEVELS, b"all", None),
        (NOBODY, LEVELS, b"org", "misconfigured webhook secret from organization/repo: "),
        (REPO, {"other": (b"x",)}, b"x", "failed to get an appropriate hmac secret"),
        (REPO, {}, b"", "failed to get an appropriate hmac secret"),
    ],
)
def test_the_most_specific_level_wins_entirely(
    body: bytes, levels: dict[str, tuple[bytes, ...]], signed_with: bytes, reason: str | None
) -> None:
    signature = webhook.sign(body, signed_with)
    found = webhook.verify("POST", headers(X_Hub_Signature_256=signature), body, Tokens(levels, "map"))
    if reason is None:
        assert isinstance(found, Verified)
    else:
        assert found == Answer(403, BAD + reason)


@pytest.mark.parametrize(
    ("repository", "organization", "signed_with", "refused"),
    [
        ({"full_name": "org/repo", "name": "repo", "owner": {"login": "Org", "name": "org"}}, None, b"one", False),
        ({"full_name": "org/repo", "owner": {"login": "org"}}, None, b"one", False),
        ({"full_name": "org/other", "name": "other", "owner": {"login": "org"}}, "org", b"older", False),
        ({"full_name": "org/repo", "name": "repo", "owner": {"login": "victim"}}, None, b"one", True),
        ({"full_name": "org/repo", "name": "repo", "owner": {"login": "org", "name": "victim"}}, None, b"one", True),
        ({"full_name": "org/repo", "name": "other", "owner": {"login": "org"}}, None, b"one", True),
        ({"name": "repo", "owner": {"login": "victim"}}, "org", b"org", True),
        ({"name": "repo", "owner": {"login": "org"}}, None, b"all", True),
    ],
)
def test_a_secret_speaks_for_its_owners_repositories_alone(
    repository: dict[str, Any], organization: str | None, signed_with: bytes, refused: bool
) -> None:
    """Plugins go by owner and name, the secret by the full name: whoever holds one secret writes all of them."""
    body = msgspec.json.encode({"repository": repository, "organization": organization and {"login": organization}})
    signed = headers(X_Hub_Signature_256=webhook.sign(body, signed_with))
    found = webhook.verify("POST", signed, body, Tokens(LEVELS, "map"))
    assert isinstance(found, Answer) is refused
    assert not isinstance(found, Answer) or "repository.owner" in found.text
    for_all = webhook.sign(body, b"all")
    alone = webhook.verify("POST", headers(X_Hub_Signature_256=for_all), body, Tokens({"*": (b"all",)}, "map"))
    assert isinstance(alone, Verified), "with one secret for all there is nobody to pass for"


@pytest.mark.parametrize(
    ("content", "levels", "form"),
    [
        (b"s3cret\n", {"*": (b"s3cret",)}, "single"),
        (b"  12345 ", {"*": (b"12345",)}, "single"),
        (b"key: value", {"*": (b"key: value",)}, "single"),
        (b"- a\n- b", {"*": (b"- a\n- b",)}, "single"),
        (b"{[", {"*": (b"{[",)}, "single"),
        (b"*x", {"*": (b"*x",)}, "single"),
        (b"\x00\x01\x02", {"*": (b"\x00\x01\x02",)}, "single"),
        (b"org: [token]", {"*": (b"org: [token]",)}, "single"),
        (b"? [a]\n: b", {"*": (b"? [a]\n: b",)}, "single"),
        (b'o: [{value: "\\uDCFF"}]', {"*": (b'o: [{value: "\\uDCFF"}]',)}, "single"),
        (b'o: [{value: "\\U00110000"}]', {"*": (b'o: [{value: "\\U00110000"}]',)}, "single"),
        (b"", {}, "map"),
        (b"# nothing\n", {}, "map"),
        (b"{}", {}, "map"),
        (b"org:\n", {"org": ()}, "map"),
        (
            b"'*':\n- value: all\n  created_at: 2020-10-02T15:00:00Z\n"
            b"org:\n- value: a\n- value: b\n  created_at: 2021-01-01T00:00:00Z\norg/repo:\n- value: 00123\n",
            {"*": (b"all",), "org": (b"a", b"b"), "org/repo": (b"00123",)},
            "map",
        ),
        (b"org:\n- value: ''\n- value: null\n- created_at: x\n", {"org": ()}, "map"),
    ],
)
def test_token_files_in_all_their_forms(content: bytes, levels: dict[str, tuple[bytes, ...]], form: str) -> None:
    """Anything but a map from owners to lists of values is one secret; empty secrets never count."""
    assert webhook.parse_tokens(content) == Tokens(levels, form)  # type: ignore[arg-type]  # a Literal in a table


def test_every_secret_can_be_kept_out_of_logs() -> None:
    assert Tokens(LEVELS, "map").every() == {b"all", b"org", b"older", b"one"}


@given(st.binary(max_size=200))
def test_no_token_file_raises(content: bytes) -> None:
    tokens = webhook.parse_tokens(content)
    assert all(token for token in tokens.every())


@given(st.text(max_size=20), st.dictionaries(st.sampled_from(list(headers())), st.text(max_size=30)), st.binary())
def test_no_request_raises(method: str, strange: dict[str, str], body: bytes) -> None:
    """Whatever is sent gets an answer; without the secret it is never a welcome."""
    found = webhook.verify(method, headers() | strange, body, SECRET)
    assert isinstance(found, Answer)
    assert found.status in (400, 403, 405)
