"""What a payload may stand for: fresh ones only, and only of their own object."""

import pytest

from prow_async.api.github import Comment, Issue, IssueCommentEvent, Label, PullRequest, PullRequestEvent, Repo, User
from prow_async.core import instants, payload

NOW_S = 1_800_000_000.0
REPO = Repo(name="r", owner=User(login="O"))


def at(ago_s: float) -> str:
    return instants.rfc3339(NOW_S - ago_s)


def pull(updated_at: str) -> PullRequestEvent:
    thing = PullRequest(number=7, labels=(Label("lgtm"), Label("size/S")), updated_at=updated_at)
    return PullRequestEvent(action="labeled", number=7, pull_request=thing, repository=REPO)


def comment(issue_at: str, comment_at: str) -> IssueCommentEvent:
    issue = Issue(number=7, labels=(Label("lgtm"),), updated_at=issue_at)
    return IssueCommentEvent(action="edited", issue=issue, comment=Comment(updated_at=comment_at), repository=REPO)


def test_fresh_payload_tells_labels() -> None:
    known = payload.known((("pull_request", pull(at(2))),), NOW_S - 1, NOW_S)
    assert known.labels == ("lgtm", "size/S")
    assert known.of("o", "R", 7)
    assert not known.of("o", "R", 8)
    assert not known.of("o", "other", 7)


def test_a_comment_is_as_fresh_as_its_newest_part() -> None:
    assert payload.known((("issue_comment", comment(at(500), at(3))),), NOW_S, NOW_S).labels == ("lgtm",)


@pytest.mark.parametrize(
    ("event", "received_s"),
    [
        (pull(at(30)), NOW_S),  # sent again long after
        (pull(at(2)), NOW_S - 30),  # waited here
        (pull(""), NOW_S),  # does not say how old it is
        (pull("yesterday"), NOW_S),
        (comment(at(40), at(31)), NOW_S),
    ],
)
def test_old_payloads_tell_nothing(event: PullRequestEvent | IssueCommentEvent, received_s: float) -> None:
    kind = "pull_request" if isinstance(event, PullRequestEvent) else "issue_comment"
    assert payload.known(((kind, event),), received_s, NOW_S) is payload.NOTHING


@pytest.mark.parametrize(("told", "late"), [(at(30), True), (at(29), False), ("", False), ("yesterday", False)])
def test_what_came_late(told: str, late: bool) -> None:
    """By the time between writing and receipt: waiting here makes nothing late."""
    assert payload.came_late((("pull_request", pull(told)),), NOW_S) is late
    assert not payload.came_late((("issue_comment", comment(at(500), at(400))),), NOW_S)
