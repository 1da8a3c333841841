"""The comment that lists a pull request's failed jobs: read back, brought up to date, written anew.

The table in the newest comment is the only memory there is. Each report keeps the rows of other jobs, drops its own
old row, and adds a new one if it failed. A new failure makes a new comment, so that people are notified.

Source: upstream pkg/github/report/report.go.
"""

from collections.abc import Sequence

import msgspec

from prow_async.api.actions import CreateComment, DeleteComment, EditComment
from prow_async.api.github import Comment
from prow_async.api.views import JobView
from prow_async.core import replies

MARKER = "<!-- test report -->"
_COLUMN = " | "
_RULE = "--- | --- | --- | --- | ---"
_HEADER = "Test name | Commit | Details | Required | Rerun command"

LONGEST = 65_536
"""Characters that GitHub takes in a comment."""
_TOO_LONG = "(what the report template makes of this is too long for a comment)"

CommentAction = DeleteComment | CreateComment | EditComment


class Standing(msgspec.Struct, frozen=True):
    """What the bot's comments say now."""

    newest: int | None
    """Id of the newest report; None when there is none."""
    older: tuple[int, ...]
    rows: tuple[str, ...]
    """Of all reports, oldest first."""
    text: str = ""
    """Of the newest report."""


def parse_comments(comments: Sequence[Comment], bot_login: str) -> Standing:
    """Read the rows of the bot's reports. Comments come oldest first."""
    ids: list[int] = []
    rows: list[str] = []
    text = ""
    for comment in comments:
        if MARKER in (comment.body or "") and replies.wrote(comment.user.login, bot_login):
            ids.append(comment.id)
            text = comment.body or ""
            rows += parse_rows(text)
    return Standing(ids[-1] if ids else None, tuple(ids[:-1]), tuple(rows), text)


def parse_rows(body: str) -> list[str]:
    """Return the rows: the lines from behind a rule of dashes to the next empty line."""
    rows: list[str] = []
    inside = False
    for line in map(str.strip, body.split("\n")):
        if line.startswith("---"):
            inside = True
        elif not line:
            inside = False
        elif inside:
            rows.append(line)
    return rows


def render_row(job: JobView) -> str:
    """Render a failed job's row. Jobs that say nothing about being optional show `unknown`."""
    required = "unknown"
    if job.type == "presubmit" and job.optional is not None:
        required = "false" if job.optional else "true"
    columns = (job.context, job.pulls[0].sha, f"[link]({job.url})", required, f"`{job.rerun_command}`")
    return _COLUMN.join(map(_cell, columns))


def updated_rows(rows: Sequence[str], jobs: Sequence[JobView]) -> tuple[str, ...]:
    """Return the rows to show: the newest of each job not reported now, then the failed ones of `jobs`."""
    newest = {_job_of(row): place for place, row in enumerate(rows)}
    reported = {_job_of(_cell(job.context) + _COLUMN) for job in jobs}
    kept = [r for place, r in enumerate(rows) if newest[_job_of(r)] == place and _job_of(r) not in reported]
    return (*kept, *(render_row(job) for job in jobs if job.state == "failure"))


def _cell(text: str) -> str:
    """Keep a column on one line."""
    return " ".join(text.splitlines()).strip()


def _job_of(row: str) -> str:
    """Return the first column: the context, which names the job."""
    return row.split(_COLUMN, 1)[0]


def render_body(rows: Sequence[str], author: str, extra: str = "") -> str:
    """Render the comment. `extra`: what the report template made of the first job, left out where it is too long."""
    body = _rendered(rows, author, extra)
    return body if len(body) <= LONGEST or not extra else _rendered(rows, author, _TOO_LONG)


def _rendered(rows: Sequence[str], author: str, extra: str) -> str:
    if rows:
        tests = "test" if len(rows) == 1 else "tests"
        lines = [
            f"@{author}: The following {tests} **failed**. Say `/retest` to run all failed tests again, or "
            "`/retest-required` to run just the required ones:",
            "",
            _HEADER,
            _RULE,
            *rows,
        ]
    else:
        lines = [f"@{author}: all tests **passed!**"]
    if extra:
        lines += ["", extra]
    return "\n".join([*lines, "", replies.folded(replies.ABOUT_BOT), MARKER])


def plan_comment(
    jobs: Sequence[JobView], comments: Sequence[Comment], bot_login: str, extra: str = "", must_comment: bool = False
) -> tuple[CommentAction, ...]:
    """Bring the comments of a pull request up to date; deletions come last.

    The table is the only memory there is: it stands in a new comment before the old one goes, or a deletion that
    worked and a creation that did not would lose the rows of other jobs. When this very report was written before
    (its row names its run), only what is left of it is done.

    Args:
        jobs: the complete jobs to report, all of one pull request; none means nothing to do.
        comments: all of the pull request's, oldest first.
        must_comment: write a comment even when nothing failed.
    """
    if not jobs:
        return ()
    standing = parse_comments(comments, bot_login)
    rows = updated_rows(standing.rows, jobs)
    failed = any(job.state == "failure" for job in jobs)
    replace = failed or not rows or standing.newest is None
    if not rows and not must_comment:
        return _deletions(jobs[0], standing, all_of_them=True)
    body = render_body(rows, jobs[0].pulls[0].author, extra)
    if rows and standing.text == body:
        return _deletions(jobs[0], standing, all_of_them=False)
    return (_written(jobs, standing, body, replace), *_deletions(jobs[0], standing, all_of_them=replace))


def _written(jobs: Sequence[JobView], standing: Standing, body: str, replace: bool) -> CommentAction:
    first, names = jobs[0], ", ".join(job.job for job in jobs)
    if not replace and standing.newest is not None:
        why = f"{names} no longer belongs in the table"
        return EditComment(org=first.org, repo=first.repo, comment_id=standing.newest, body=body, why=why)
    failed = ", ".join(job.job for job in jobs if job.state == "failure")
    why = f"{failed} failed" if failed else "summary asked for"
    return CreateComment(org=first.org, repo=first.repo, number=first.pulls[0].number, body=body, why=why)


def _deletions(job: JobView, standing: Standing, all_of_them: bool) -> tuple[DeleteComment, ...]:
    """Delete older reports, and with `all_of_them` the newest too."""
    newest = () if standing.newest is None or not all_of_them else (standing.newest,)
    return tuple(
        DeleteComment(org=job.org, repo=job.repo, comment_id=old, why="a newer report takes its place")
        for old in (*standing.older, *newest)
    )
