"""What the GitHub reporter says of a job, and when."""

from typing import Any

import msgspec
import pytest

from prow_async.api.actions import CreateComment, PatchProwJob, PostStatus
from prow_async.api.config import GitHubReporter
from prow_async.api.views import JobView, PullView
from prow_async.core import crier
from tests.unit.core import samples

QUIET = GitHubReporter(no_comment_repos=("o",))
SUMMARY = GitHubReporter(summary_comment_repos=("o/r",))


def facts(job: JobView | None = None, **changes: Any) -> crier.Facts:
    given: dict[str, Any] = {"settings": GitHubReporter(), "comments": (), "bot_login": "robot", **changes}
    return crier.Facts(job=job or samples.view(), **given)


def done(made: crier.Facts) -> list[str]:
    return [type(action).__name__ for action in crier.decide(made).actions]


STATUS, COMMENT, RECORD = "PostStatus", "CreateComment", "PatchProwJob"


@pytest.mark.parametrize(
    ("job", "changes", "expected"),
    [
        ({}, {}, [STATUS, COMMENT, RECORD]),
        ({"state": "success"}, {}, [STATUS, RECORD]),
        ({"state": "error"}, {}, [STATUS, RECORD]),
        ({"state": "pending", "completion_s": None}, {}, [STATUS, RECORD]),
        ({"state": "triggered", "completion_s": None}, {}, [STATUS, RECORD]),
        ({"state": "aborted", "completion_s": None}, {}, [STATUS, RECORD]),
        ({"completion_s": None}, {}, [STATUS, RECORD]),
        ({"state": "scheduling", "completion_s": None}, {}, []),
        ({"state": ""}, {}, []),
        ({"report": False}, {}, []),
        ({"gerrit": True}, {}, []),
        ({"type": "periodic"}, {}, []),
        ({"type": "batch"}, {}, []),
        ({"type": "postsubmit", "pulls": ()}, {}, [STATUS, RECORD]),
        ({}, {"agent": "kubernetes"}, [STATUS, COMMENT, RECORD]),
        ({}, {"agent": "jenkins"}, []),
        ({"reported": {"github-reporter": "failure"}}, {}, []),
        ({"reported": {"github-reporter": "pending"}}, {}, [STATUS, COMMENT, RECORD]),
        ({"reported": {"gcsreporter": "failure"}}, {}, [STATUS, COMMENT, RECORD]),
        ({}, {"settings": GitHubReporter(job_types_to_report=("postsubmit",))}, [RECORD]),
        ({}, {"settings": QUIET}, [STATUS, RECORD]),
        ({}, {"settings": GitHubReporter(no_comment_repos=("o/r",))}, [STATUS, RECORD]),
        ({}, {"settings": GitHubReporter(no_comment_repos=("o/other",))}, [STATUS, COMMENT, RECORD]),
        ({"pulls": (PullView(1, "a"), PullView(2, "b"))}, {}, [RECORD]),
        ({}, {"comments": None}, [STATUS, RECORD]),
    ],
)
def test_reports(job: dict[str, Any], changes: dict[str, Any], expected: list[str]) -> None:
    """Status first, comment next, the record last; or nothing, with the reason."""
    made = facts(samples.view(**job), **changes)
    assert done(made) == expected
    assert crier.decide(made).why
    assert (crier.silence(made) is None) is bool(expected)


def test_contents() -> None:
    """The status goes to the head commit, the comment to the pull request, the record to the job."""
    status, comment, record = crier.decide(facts()).actions
    assert isinstance(status, PostStatus)
    assert (status.org, status.repo, status.sha, status.status.state) == ("o", "r", "5" * 40, "failure")
    assert isinstance(comment, CreateComment)
    assert (comment.org, comment.repo, comment.number) == ("o", "r", 5)
    assert isinstance(record, PatchProwJob)
    assert (record.namespace, record.name, record.resource_version) == ("ci", "job-1", "7")
    assert record.patch == {"status": {"prev_report_states": {"github-reporter": "failure"}}}


@pytest.mark.parametrize(
    ("job", "settings", "wants"),
    [
        ({}, GitHubReporter(), True),
        ({"state": "success"}, GitHubReporter(), True),
        ({"completion_s": None}, GitHubReporter(), False),
        ({"type": "postsubmit", "pulls": ()}, GitHubReporter(), False),
        ({"report": False}, GitHubReporter(), False),
        ({"reported": {"github-reporter": "failure"}}, GitHubReporter(), False),
        ({}, QUIET, False),
        ({}, GitHubReporter(job_types_to_report=()), False),
    ],
)
def test_wants_comments(job: dict[str, Any], settings: GitHubReporter, wants: bool) -> None:
    """Comments are read only where one may have to change."""
    assert crier.wants_comments(facts(samples.view(**job), settings=settings)) is wants


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
    comments = [a for a in crier.decide(made).actions if isinstance(a, CreateComment)]
    found = [[line.split(" | ")[0] for line in c.body.split("\n") if "[link]" in line] for c in comments]
    assert found == ([] if rows is None else [rows])


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
    """A report that GitHub can never take counts as made; any other is tried again."""
    decision = crier.after_refusal(facts(), why)
    assert (decision is not None) is counts
    if decision is not None:
        assert decision.actions == (crier.record(samples.view()),)


@pytest.mark.parametrize(
    ("change", "recorded", "left"),
    [
        ({}, True, [COMMENT]),
        ({}, False, [COMMENT, RECORD]),
        ({"state": "pending"}, True, [STATUS, COMMENT]),
        ({"target_url": "http://elsewhere"}, True, [STATUS, COMMENT]),
        ({"context": "other"}, False, [STATUS, COMMENT, RECORD]),
    ],
)
def test_what_is_told_once_more(change: dict[str, Any], recorded: bool, left: list[str]) -> None:
    """A status that stands as it was told is not posted again; a state that is recorded is not recorded again."""
    decision = crier.decide(facts())
    posted = decision.actions[0]
    assert isinstance(posted, PostStatus)
    stands = msgspec.structs.replace(posted.status, **change)
    needed = crier.still_needed(decision, (stands,), recorded)
    assert [type(action).__name__ for action in needed.actions] == left
