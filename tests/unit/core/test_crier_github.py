"""What the GitHub reporter says of a job, and when."""

from typing import Any

import msgspec
import pytest

from prow_async.api.actions import Action, CreateComment, PostStatus
from prow_async.api.config import GitHubReporter
from prow_async.api.views import JobView, PullView
from prow_async.core import crier_github
from tests.unit.core import samples

QUIET = GitHubReporter(no_comment_repos=("o",))
SUMMARY = GitHubReporter(summary_comment_repos=("o/r",))
PULL, OTHER = PullView(5, "5" * 40, "ann"), PullView(4, "4" * 40, "bob")


def facts(job: JobView | None = None, **changes: Any) -> crier_github.Facts:
    given: dict[str, Any] = {"settings": GitHubReporter(), "comments": (), "bot_login": "robot", **changes}
    return crier_github.Facts(job=job or samples.view(), **given)


def actions(made: crier_github.Facts) -> list[Action]:
    return [*crier_github.decide_status(made).actions, *crier_github.decide_comment(made).actions]


def done(made: crier_github.Facts) -> list[str]:
    return [type(action).__name__ for action in actions(made)]


STATUS, COMMENT = "PostStatus", "CreateComment"


@pytest.mark.parametrize(
    ("job", "changes", "expected"),
    [
        ({}, {}, [STATUS, COMMENT]),
        ({"state": "success"}, {}, [STATUS]),
        ({"state": "error"}, {}, [STATUS]),
        ({"state": "pending", "completion_s": None}, {}, [STATUS]),
        ({"state": "triggered", "completion_s": None}, {}, [STATUS]),
        ({"state": "aborted", "completion_s": None}, {}, [STATUS]),
        ({"completion_s": None}, {}, [STATUS]),
        ({"type": "postsubmit", "pulls": ()}, {}, [STATUS]),
        ({}, {"settings": GitHubReporter(job_types_to_report=("postsubmit",))}, []),
        ({}, {"settings": QUIET}, [STATUS]),
        ({}, {"settings": GitHubReporter(no_comment_repos=("o/r",))}, [STATUS]),
        ({}, {"settings": GitHubReporter(no_comment_repos=("o/other",))}, [STATUS, COMMENT]),
        ({"pulls": (PullView(1, "a"), PullView(2, "b"))}, {}, []),
        ({}, {"comments": None}, [STATUS]),
        ({}, {"superseded": True, "outdated": True}, []),
        ({}, {"outdated": True}, [STATUS]),
    ],
)
def test_reports(job: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    """Status first, comment next; or nothing, with the reason."""
    made = facts(samples.view(**job), **changes)
    assert done(made) == expected
    assert crier_github.decide_status(made).why
    assert crier_github.decide_comment(made).why


@pytest.mark.parametrize(
    ("job", "agent", "speaks"),
    [
        ({}, "", True),
        ({}, "kubernetes", True),
        ({}, "jenkins", False),
        ({"state": "scheduling"}, "", False),
        ({"state": ""}, "", False),
        ({"report": False}, "", False),
        ({"gerrit": True}, "", False),
        ({"type": "periodic"}, "", False),
        ({"type": "batch"}, "", False),
        ({"type": "postsubmit"}, "", True),
    ],
)
def test_silence(job: dict[str, Any], agent: str, speaks: bool) -> None:
    """What has no place on GitHub, no words yet or another crier is not told, and the reason is."""
    assert (crier_github.silence(samples.view(**job), agent) is None) is speaks


def test_contents() -> None:
    """The status goes to the head commit, the comment to the pull request."""
    status, comment = actions(facts())
    assert isinstance(status, PostStatus)
    assert (status.org, status.repo, status.sha, status.status.state) == ("o", "r", "5" * 40, "failure")
    assert isinstance(comment, CreateComment)
    assert (comment.org, comment.repo, comment.number) == ("o", "r", 5)


@pytest.mark.parametrize(
    ("job", "settings", "wants"),
    [
        ({}, GitHubReporter(), True),
        ({"state": "success"}, GitHubReporter(), True),
        ({"completion_s": None}, GitHubReporter(), False),
        ({"type": "postsubmit", "pulls": ()}, GitHubReporter(), False),
        ({"report": False}, GitHubReporter(), False),
        ({}, QUIET, False),
        ({}, GitHubReporter(job_types_to_report=()), False),
    ],
)
def test_wants_comments(job: dict[str, Any], settings: GitHubReporter, wants: bool) -> None:
    """Comments are read only where one may have to change."""
    assert crier_github.wants_comments(facts(samples.view(**job), settings=settings)) is wants


def sibling(name: str, **changes: Any) -> JobView:
    return samples.view(name=f"pj-{name}", job=name, context=name, **changes)


@pytest.mark.parametrize(
    ("siblings", "rows"),
    [
        ((sibling("a"), sibling("b")), ["a", "b"]),
        ((sibling("a"), sibling("b", state="success")), ["a"]),
        ((sibling("a", state="success"), sibling("b", state="success")), []),
        ((sibling("a"), sibling("b", completion_s=None, state="pending")), None),
        ((sibling("a"), sibling("b", completion_s=None, state="pending", type="batch")), None),
        ((sibling("a"), sibling("b", completion_s=None, type="batch", pulls=(PULL, OTHER))), None),
        ((sibling("a"), sibling("b", completion_s=None, type="batch", pulls=(OTHER, PULL))), ["a"]),
        ((sibling("a"), sibling("b", report=False)), ["a"]),
        ((sibling("a", created_s=1.0), sibling("a", created_s=2.0, state="success")), []),
        ((sibling("a", created_s=2.0), sibling("a", created_s=1.0, state="success")), ["a"]),
        ((sibling("a", state="success"), sibling("b", state="aborted")), None),
        ((sibling("a", type="batch"),), None),
    ],
)
def test_summary(siblings: tuple[JobView, ...], rows: list[str] | None) -> None:
    """One comment for all jobs of a pull request, once all are complete; the newest run of each job counts."""
    made = facts(siblings[0], settings=SUMMARY, siblings=siblings)
    comments = [a for a in actions(made) if isinstance(a, CreateComment)]
    found = [[line.split(" | ")[0] for line in c.body.split("\n") if "[link]" in line] for c in comments]
    assert found == ([] if rows is None else [rows])


def test_a_summary_that_waited_for_an_older_run() -> None:
    """The older of two runs ends last: it says nothing of itself, but now the whole can be told."""
    siblings = sibling("a", created_s=1.0), sibling("a", created_s=2.0, state="success")
    made = facts(siblings[0], settings=SUMMARY, siblings=siblings, superseded=True, outdated=True)
    assert done(made) == [COMMENT]
    assert not any(
        "[link]" in line for a in actions(made) if isinstance(a, CreateComment) for line in a.body.split("\n")
    )


@pytest.mark.parametrize(
    ("why", "counts"),
    [
        (
            'POST statuses: 422 {"message":"This SHA and context has reached the maximum number of statuses."}',
            True,
        ),
        ('404 {"message":"Not Found","documentation_url":"..."}', True),
        ("422 No commit found for SHA: abc", True),
        ("403 Resource not accessible by integration", False),
        ("", False),
    ],
)
def test_refusals(why: str, counts: bool) -> None:
    """Some reports GitHub can never take."""
    assert crier_github.is_hopeless(why) is counts


def test_told_once_more() -> None:
    """A status that stands word for word is not posted again; one that was written over is."""
    decision = crier_github.decide_status(facts())
    (post,) = decision.actions
    assert isinstance(post, PostStatus)
    over = msgspec.structs.replace(post.status, state="pending")
    assert crier_github.still_needed(decision, [over, post.status]).actions == ()
    for found in ([], [over]):
        assert crier_github.still_needed(decision, found).actions == (post,)
