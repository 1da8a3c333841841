"""The failure table: its rows are its memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.actions import CreateComment, DeleteComment, EditComment
from prow_async.api.github import Comment, User
from prow_async.api.views import JobView
from prow_async.core import report_comment
from tests.unit.core import samples

BOT = "robot"


def row(context: str, sha: str = "5" * 40) -> str:
    return f"{context} | {sha} | [link](https://ci.example/1) | true | `/test {context}`"


def job(context: str, state: str = "failure") -> JobView:
    return samples.view(job=context, context=context, state=state, rerun_command=f"/test {context}")


def table(number: int, *contexts: str, by: str = BOT) -> Comment:
    body = report_comment.render_body([row(c) for c in contexts], "ann")
    return Comment(id=number, body=body, user=User(login=by))


def brief(actions: tuple[report_comment.CommentAction, ...]) -> list[str]:
    """Each action as a word, its comment and the contexts its table shows."""
    found = []
    for action in actions:
        match action:
            case DeleteComment(comment_id=number):
                found.append(f"delete {number}")
            case CreateComment(body=body):
                found.append(f"create {contexts(body)}")
            case EditComment(comment_id=number, body=body):
                found.append(f"edit {number} {contexts(body)}")
    return found


def contexts(body: str) -> str:
    return ",".join(line.split(" | ")[0] for line in report_comment.parse_rows(body))


@pytest.mark.parametrize(
    ("jobs", "comments", "done"),
    [
        ([], [table(1, "a")], []),
        ([job("a")], [], ["create a"]),
        ([job("a", "success")], [], []),
        ([job("a", "error")], [], []),
        ([job("a", "aborted")], [], []),
        ([job("a")], [table(1, "b")], ["create b,a", "delete 1"]),
        ([job("a")], [table(1, "a", "b")], ["create b,a", "delete 1"]),
        ([job("a", "success")], [table(1, "a", "b")], ["edit 1 b"]),
        ([job("a", "error")], [table(1, "a", "b")], ["edit 1 b"]),
        ([job("a", "success")], [table(1, "a")], ["delete 1"]),
        ([job("a", "success")], [table(1, "b")], []),
        ([job("c", "success")], [table(1, "a"), table(2, "b")], ["edit 2 a,b", "delete 1"]),
        (
            [job("c")],
            [table(1, "a"), table(2, "b"), table(3, "a")],
            ["create b,a,c", "delete 1", "delete 2", "delete 3"],
        ),
        ([job("b", "success")], [table(1, "a", by="eve")], []),
        ([job("a")], [Comment(id=1, body="hello", user=User(login=BOT))], ["create a"]),
        ([job("a")], [Comment(id=1, body=None, user=User(login=BOT))], ["create a"]),
        ([job("a"), job("b", "success"), job("c")], [table(1, "b", "d")], ["create d,a,c", "delete 1"]),
        ([job("b", "success")], [table(1, "a", "b", by="robot[bot]")], []),
    ],
)
def test_plan(jobs: list[JobView], comments: list[Comment], done: list[str]) -> None:
    """Rows of other jobs stay, the reported ones are renewed; deletions come last."""
    assert brief(report_comment.plan_comment(jobs, comments, BOT)) == done


def test_a_report_written_before_is_only_finished() -> None:
    """After a crash between the new comment and the deletions, or between both and the record."""
    (written, *_) = report_comment.plan_comment([job("a")], [table(1, "b")], BOT)
    assert isinstance(written, CreateComment)
    new = Comment(id=2, body=written.body, user=User(login=BOT))
    assert brief(report_comment.plan_comment([job("a")], [table(1, "b"), new], BOT)) == ["delete 1"]
    assert report_comment.plan_comment([job("a")], [new], BOT) == ()


@pytest.mark.parametrize(
    ("state", "comments", "done"),
    [
        ("success", [], ["create "]),
        ("success", [table(1, "unit")], ["create ", "delete 1"]),
        ("success", [table(1, "unit", "b")], ["edit 1 b"]),
        ("failure", [], ["create unit"]),
    ],
)
def test_summary(state: str, comments: list[Comment], done: list[str]) -> None:
    """Where a comment is wanted anyway, it is written without failures too."""
    plan = report_comment.plan_comment([job("unit", state)], comments, BOT, must_comment=True)
    assert brief(plan) == done
    assert isinstance(plan[0], CreateComment | EditComment)
    assert ("all tests **passed!**" in plan[0].body) is (done[0] == "create ")


@pytest.mark.parametrize(
    ("changes", "required"),
    [
        ({"optional": False}, "true"),
        ({"optional": True}, "false"),
        ({"optional": None}, "unknown"),
        ({"type": "postsubmit", "optional": True}, "unknown"),
    ],
)
def test_row(changes: dict[str, object], required: str) -> None:
    """A row has context, commit, link, whether it is required, and how to run it again."""
    made = report_comment.render_row(samples.view(**changes))
    assert made == f"ci/unit | {'5' * 40} | [link](https://ci.example/1) | {required} | `/test unit`"


@pytest.mark.parametrize(("count", "words"), [(1, "following test **failed**"), (2, "following tests **failed**")])
def test_body(count: int, words: str) -> None:
    """The body names the author and the count, shows the table and the template's text, and ends with the mark."""
    rows = [row(f"c{n}") for n in range(count)]
    lines = report_comment.render_body(rows, "ann", "see the guide").split("\n")
    assert lines[0].startswith(f"@ann: The {words}")
    assert lines[1:4] == [
        "",
        "Test name | Commit | Details | Required | Rerun command",
        "--- | --- | --- | --- | ---",
    ]
    assert lines[4 : 4 + count + 3] == [*rows, "", "see the guide", ""]
    assert lines[4 + count + 3] == "<details>"
    assert lines[-2:] == ["</details>", report_comment.MARKER]


def test_rows_end_at_an_empty_line() -> None:
    """Only the lines from the rule to the next empty line are rows, however lines end."""
    assert report_comment.parse_rows("a\r\n--- | ---\r\nx | 1\r\n y | 2 \r\n\r\nz | 3") == ["x | 1", "y | 2"]


CONTEXTS = st.text(min_size=1, max_size=12).filter(lambda t: t.strip() and not t.strip().startswith("---"))


@given(st.lists(CONTEXTS, min_size=1, max_size=5, unique_by=lambda t: " ".join(t.splitlines()).strip().split(" | ")[0]))
def test_round_trip(names: list[str]) -> None:
    """Whatever the contexts, the rows that are written are the rows that are read back."""
    jobs = [job(name) for name in names]
    (made,) = report_comment.plan_comment(jobs, [], BOT)
    assert isinstance(made, CreateComment)
    assert report_comment.parse_rows(made.body) == [report_comment.render_row(j) for j in jobs]
    standing = [Comment(id=1, body=made.body, user=User(login=BOT))]
    healed = [job(name, "success") for name in names]
    assert brief(report_comment.plan_comment(healed, standing, BOT)) == ["delete 1"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["failure", "success", "error"])), max_size=8))
def test_table_shows_what_failed_last(history: list[tuple[str, str]]) -> None:
    """After any history of reports, one comment shows just the jobs whose last report was a failure."""
    comments: list[Comment] = []
    for number, (name, state) in enumerate(history):
        for action in report_comment.plan_comment([job(name, state)], comments, BOT):
            match action:
                case DeleteComment(comment_id=gone):
                    comments = [c for c in comments if c.id != gone]
                case CreateComment(body=body):
                    comments.append(Comment(id=100 + number, body=body, user=User(login=BOT)))
                case EditComment(comment_id=kept, body=body):
                    comments = [Comment(id=c.id, body=body, user=c.user) if c.id == kept else c for c in comments]
    failed = {name for name, state in dict(history).items() if state == "failure"}
    assert len(comments) == bool(failed)
    assert {r.split(" | ")[0] for c in comments for r in report_comment.parse_rows(c.body or "")} == failed


def test_a_template_that_makes_too_much() -> None:
    """GitHub would refuse the whole comment, and the table with it."""
    most = report_comment.LONGEST - len(report_comment.render_body([row("a")], "ann", "x")) + 1
    whole, cut = (report_comment.render_body([row("a")], "ann", "x" * size) for size in (most, most + 1))
    assert len(whole) == report_comment.LONGEST
    assert "too long for a comment" in cut
    assert report_comment.parse_rows(cut) == [row("a")]
