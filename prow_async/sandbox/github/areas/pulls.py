"""Pull requests."""

from functools import partial
from typing import cast

from prow_async.sandbox.github import comparing, ground, merging, shapes
from prow_async.sandbox.github.areas import issues
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.git import reading
from prow_async.sandbox.github.git.writing import Method
from prow_async.sandbox.github.merging import MergeForm
from prow_async.sandbox.github.pulls import PullForm, pull_part
from prow_async.sandbox.github.records import Commit, IssueRecord
from prow_async.sandbox.github.refusal import forbidden, invalid, missing
from prow_async.sandbox.github.steps import Steps, ask


def listed(call: Call) -> Content:
    """List pull requests, newest first, by `state`, `base` and `head` (`owner:branch`)."""
    query = call.query
    wanted, base, head = query.get("state", "open"), query.get("base", ""), query.get("head", "").lower()
    records = [
        r
        for r in reversed(call.repo.issues.values())
        if r.pull
        and wanted in ("all", r.state)
        and base in ("", r.pull.base_ref)
        and head in ("", f"{shapes.head_owner(call.repo, r)}:{r.pull.head_ref}".lower())
    ]
    if query.get("sort") == "updated":
        records.sort(key=lambda r: r.updated_s, reverse=True)
    if query.get("direction", "desc") == "asc":
        records.reverse()
    return call.page(records, lambda record: shapes.pull(call.world, call.repo, record))


def one(call: Call) -> Steps[Content]:
    """Answer a pull request, or by Accept its difference or patches as text."""
    record = _record(call)
    yield from comparing.looked_at(call.world, call.repo, record)
    for kind in ("diff", "patch"):
        if f".{kind}" in call.accept and call.world.git is not None:
            part, git = pull_part(record), ground.git_of(call.world, call.repo)
            base = yield from ask(partial(reading.merge_base, git, part.base_sha, part.head_sha))
            text = yield from ask(
                partial(reading.patch, git, base or part.base_sha, part.head_sha, mail=kind == "patch")
            )
            return Content(200, None, {"content-type": f"application/vnd.github.v3.{kind}; charset=utf-8"}, text)
    return Content(200, shapes.pull(call.world, call.repo, record))


def change(call: Call) -> Steps[Content]:
    record = _record(call)
    if call.world.git is not None and f"heads/{call.text('base')}" in call.repo.refs:
        yield from ground.alone(call.world, call.repo)
        yield from comparing.prepare(call.world, call.repo, record, pull_part(record).head_sha, base=call.text("base"))
    issues.change_record(call)
    return Content(200, shapes.pull(call.world, call.repo, record))


def files(call: Call) -> Content:
    record = _record(call)
    return call.page(list(pull_part(record).files.values()), shapes.changed_file)


def commits(call: Call) -> Steps[Content]:
    """List the commits a pull request brings, oldest first; at most 250."""
    part = pull_part(_record(call))
    if call.world.git is not None:
        git, wanted = ground.git_of(call.world, call.repo), [part.head_sha, f"^{part.base_sha}"]
        read = yield from ask(partial(reading.commits, git, wanted, reading.COMMITS_LIMIT))
        ground.remember(call.world, call.repo, read)
        known = [call.repo.commits[commit.sha] for commit in reversed(read)]
        return call.page(known, lambda commit: shapes.commit(call.world, call.repo, commit))
    found: list[Commit] = []
    at = part.head_sha
    while at in call.repo.commits and at != part.base_sha and len(found) < 250:
        found.append(call.repo.commits[at])
        at = call.repo.commits[at].parent
    return call.page(found[::-1], lambda commit: shapes.commit(call.world, call.repo, commit))


def merge(call: Call) -> Steps[Content]:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    method = call.text("merge_method", "merge")
    if method not in ("merge", "squash", "rebase"):
        raise invalid("PullRequest", "merge_method", "invalid")
    form = MergeForm(cast("Method", method), call.text("commit_title"), call.text("commit_message"), call.text("sha"))
    sha = yield from merging.merge(call.world, call.repo, call.number, form, by=call.login, now_s=call.now_s)
    return Content(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def is_merged(call: Call) -> Content:
    if not pull_part(_record(call)).merged:
        raise missing()
    return Content(204)


def update_branch(call: Call) -> Steps[Content]:
    """Merge the base branch into the head branch of a pull request from the repository itself."""
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    yield from merging.update_branch(
        call.world, call.repo, call.number, call.text("expected_head_sha"), by=call.login, now_s=call.now_s
    )
    return Content(202, {"message": "Updating pull request branch.", "url": f"{call.world.address}{call.path}"})


def create(call: Call) -> Steps[Content]:
    """Open a pull request from a branch of the repository or of a fork of it; `head` is `branch` or `owner:branch`."""
    if not isinstance(call.content, dict):
        raise invalid("PullRequest", "head", "missing_field")
    draft = call.content.get("draft") is True
    form = PullForm(call.text("title"), call.text("head"), call.text("body"), call.text("base"), draft)
    record = yield from merging.open_pull(call.world, call.repo, call.login, form, call.now_s)
    return Content(201, shapes.pull(call.world, call.repo, record))


def _record(call: Call) -> IssueRecord:
    return call.world.pull_record(call.org, call.repo_name, call.number)


ROUTES = (
    Route("GET", "/repos/{org}/{repo}/pulls", listed),
    Route("POST", "/repos/{org}/{repo}/pulls", create),
    Route("GET", "/repos/{org}/{repo}/pulls/{number:int}", one),
    Route("PATCH", "/repos/{org}/{repo}/pulls/{number:int}", change),
    Route("GET", "/repos/{org}/{repo}/pulls/{number:int}/files", files),
    Route("GET", "/repos/{org}/{repo}/pulls/{number:int}/commits", commits),
    Route("GET", "/repos/{org}/{repo}/pulls/{number:int}/merge", is_merged),
    Route("PUT", "/repos/{org}/{repo}/pulls/{number:int}/merge", merge),
    Route("PUT", "/repos/{org}/{repo}/pulls/{number:int}/update-branch", update_branch),
)
