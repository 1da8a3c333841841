"""From webhook JSON to events and generic comments."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api import github
from prow_async.api.errors import UserMistake
from prow_async.core import webhook_decode

REPO = {"name": "repo", "full_name": "org/repo", "owner": {"login": "org"}}
PULL = {
    "number": 7,
    "title": "a title",
    "body": "/test all",
    "state": "open",
    "html_url": "https://x/pull/7",
    "user": {"login": "author"},
    "base": {"ref": "main", "repo": {"name": "base", "owner": {"login": "home"}}},
}
ISSUE = {"number": 7, "title": "t", "body": "text", "state": "open", "html_url": "https://x/7", "user": {"login": "a"}}
COMMENT = {"id": 99, "body": "/retest", "user": {"login": "c"}, "html_url": "https://x/7#99"}
REVIEW = {"id": 5, "body": "/lgtm", "user": {"login": "r"}, "html_url": "https://x/7#r"}


def decode(event: str, payload: object) -> webhook_decode.Parsed:
    return webhook_decode.decode(event, msgspec.json.encode(payload), "guid")


def generic(parsed: webhook_decode.Parsed) -> github.GenericComment | None:
    found = [event for kind, event in parsed.events if kind == "generic_comment"]
    assert all(isinstance(event, github.GenericComment) for event in found)
    return found[0] if found else None  # type: ignore[return-value]  # asserted one line above


@pytest.mark.parametrize(
    ("event", "payload", "kinds", "owner", "said"),
    [
        (
            "pull_request",
            {"action": "opened", "pull_request": PULL},
            ["pull_request", "generic_comment"],
            "home/base",
            ("created", True, "/test all", "author", None),
        ),
        ("pull_request", {"action": "synchronize", "pull_request": PULL}, ["pull_request"], "home/base", None),
        (
            "issue_comment",
            {"action": "created", "issue": ISSUE | {"pull_request": {"url": "x"}}, "comment": COMMENT},
            ["issue_comment", "generic_comment"],
            "org/repo",
            ("created", True, "/retest", "c", 99),
        ),
        (
            "issue_comment",
            {"action": "deleted", "issue": ISSUE | {"pull_request": None}, "comment": COMMENT},
            ["issue_comment", "generic_comment"],
            "org/repo",
            ("deleted", False, "/retest", "c", 99),
        ),
        (
            "issues",
            {"action": "edited", "issue": ISSUE},
            ["issues", "generic_comment"],
            "org/repo",
            ("edited", False, "text", "a", None),
        ),
        ("issues", {"action": "labeled", "issue": ISSUE}, ["issues"], "org/repo", None),
        (
            "pull_request_review",
            {"action": "submitted", "pull_request": PULL, "review": REVIEW},
            ["pull_request_review", "generic_comment"],
            "home/base",
            ("created", True, "/lgtm", "r", None),
        ),
        (
            "pull_request_review",
            {"action": "dismissed", "pull_request": PULL, "review": REVIEW | {"body": None}},
            ["pull_request_review", "generic_comment"],
            "home/base",
            ("deleted", True, "", "r", None),
        ),
        (
            "pull_request_review_comment",
            {"action": "created", "pull_request": PULL, "comment": COMMENT},
            ["pull_request_review_comment", "generic_comment"],
            "home/base",
            ("created", True, "/retest", "c", 99),
        ),
        ("status", {"state": "success"}, ["status"], "org/repo", None),
        ("never heard of", {}, [], "org/repo", None),
    ],
)
def test_events_and_what_is_said_in_them(
    event: str,
    payload: dict[str, object],
    kinds: list[str],
    owner: str,
    said: tuple[str, bool, str, str, int | None] | None,
) -> None:
    """Native events come first; the text's author speaks, not the sender; pull requests belong to their base."""
    parsed = decode(event, {"repository": REPO, "sender": {"login": "sender"}} | payload)
    assert [kind for kind, _ in parsed.events] == kinds
    assert f"{parsed.org}/{parsed.repo}" == owner
    assert (parsed.repository_org, parsed.repository_name) == ("org", "repo")
    comment = generic(parsed)
    if said is None:
        assert comment is None
    else:
        assert comment is not None
        assert (comment.action, comment.is_pr, comment.body, comment.user.login, comment.comment_id) == said
        assert (comment.guid, comment.number, comment.issue_state, comment.repo.full_name) == (
            "guid",
            7,
            "open",
            "org/repo",
        )


@pytest.mark.parametrize(
    ("owner", "looked_up"), [({"name": "by-name", "login": "by-login"}, "by-name"), ({"login": "by-login"}, "by-login")]
)
def test_a_push_belongs_to_its_owners_name(owner: dict[str, str], looked_up: str) -> None:
    parsed = decode("push", {"ref": "refs/heads/main", "repository": REPO | {"owner": owner}})
    assert (parsed.org, parsed.repository_org) == (looked_up, "by-login")
    ((kind, event),) = parsed.events
    assert kind == "push"
    assert isinstance(event, github.PushEvent)
    assert event.branch == "main"


def test_null_stands_for_the_zero_value() -> None:
    """A deleted account or repository is null in GitHub's payloads; the rest of the event is still read."""
    pull = PULL | {"user": None, "labels": [None, {"name": "ok-to-test"}], "head": {"sha": "s", "repo": None}}
    parsed = decode("pull_request", {"action": "opened", "pull_request": pull, "repository": REPO, "sender": None})
    event = parsed.events[0][1]
    assert isinstance(event, github.PullRequestEvent)
    assert event.pull_request.user == github.User()
    assert [label.name for label in event.pull_request.labels] == ["ok-to-test"]
    assert event.pull_request.head.sha == "s"


@pytest.mark.parametrize("event", ["push", "pull_request", "issues", "issue_comment", "status", "other"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"repository":7}', b"[" * 100_000])
def test_what_cannot_be_read_names_its_delivery(event: str, body: bytes) -> None:
    with pytest.raises(UserMistake, match="delivery the-guid: .* cannot be read"):
        webhook_decode.decode(event, body, "the-guid")


@pytest.mark.parametrize(
    ("event", "payload", "lane"),
    [
        ("pull_request", {"repository": REPO, "number": 7, "pull_request": {"number": 7}}, "org/repo#7"),
        ("issue_comment", {"repository": REPO, "issue": {"number": 7}}, "org/repo#7"),
        ("pull_request_review", {"repository": REPO, "pull_request": {"number": 7}}, "org/repo#7"),
        ("push", {"repository": REPO, "ref": "refs/heads/main"}, "org/repo@refs/heads/main"),
        ("push", {"repository": REPO}, ""),
        ("status", {"repository": REPO}, ""),
        ("pull_request", {"pull_request": {"number": 7}}, ""),
        ("pull_request", {"repository": None, "pull_request": None}, ""),
        ("pull_request", [], ""),
    ],
)
def test_lanes(event: str, payload: object, lane: str) -> None:
    """All that is about one pull request shares a lane, whatever the kind of event."""
    assert webhook_decode.lane(event, msgspec.json.encode(payload)) == lane


@given(st.sampled_from(["push", "pull_request", "issues", "x"]), st.binary())
def test_a_lane_is_found_without_raising(event: str, body: bytes) -> None:
    assert webhook_decode.lane(event, body) == ""


@pytest.mark.parametrize("event", ["issue_comment", "issues", "pull_request"])
def test_of_endless_texts_the_beginning_counts(event: str) -> None:
    """Every plugin looks through it: what GitHub never sends must not take their time."""
    endless = "/kind bug\n" * 100_000
    thing = {"number": 1, "body": endless}
    payload = {"action": "created" if event == "issue_comment" else "opened", "repository": {}, "issue": thing}
    said = generic(decode(event, {**payload, "pull_request": thing, "comment": {"body": endless}}))
    assert said is not None
    assert said.body == endless[: webhook_decode.TEXT_CHARS]
    assert said.issue_body == said.body
    assert webhook_decode.TEXT_CHARS > 65_536
