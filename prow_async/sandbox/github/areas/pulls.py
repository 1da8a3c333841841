"""Pull requests."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.areas import issues
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.pulls import PullForm, pull_part
from prow_async.sandbox.github.records import Commit, IssueRecord
from prow_async.sandbox.github.refusal import forbidden, invalid


def listed(call: Call) -> Content:
    """List pull requests, newest first, by `state` and `base`."""
    wanted = call.query.get("state", "open")
    base = call.query.get("base", "")
    records = [
        r
        for r in reversed(call.repo.issues.values())
        if r.pull and wanted in ("all", r.state) and base in ("", r.pull.base_ref)
    ]
    return call.page(records, lambda record: shapes.pull(call.world, call.repo, record))


def one(call: Call) -> Content:
    return Content(200, shapes.pull(call.world, call.repo, _record(call)))


def change(call: Call) -> Content:
    _record(call)
    issues.change_record(call)
    return one(call)


def files(call: Call) -> Content:
    record = _record(call)
    return call.page(list(pull_part(record).files.values()), shapes.changed_file)


def commits(call: Call) -> Content:
    part = pull_part(_record(call))
    found: list[Commit] = []
    at = part.head_sha
    while at in call.repo.commits and at != part.base_sha and len(found) < 250:
        found.append(call.repo.commits[at])
        at = call.repo.commits[at].parent
    return call.page(found[::-1], lambda commit: shapes.commit(call.world, call.repo, commit))


def merge(call: Call) -> Content:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    sha = call.world.merge(call.org, call.repo_name, call.number, by=call.login, now_s=call.now_s, sha=call.text("sha"))
    return Content(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def create(call: Call) -> Content:
    """Open a pull request from a branch of the repository; `head` is `branch` or `org:branch`.

    Forks are not kept, so other people's branches are refused as GitHub refuses branches that are not there.
    """
    if not isinstance(call.content, dict):
        raise invalid("PullRequest", "head", "missing_field")
    owner, _, branch = call.text("head").rpartition(":")
    if owner.lower() not in ("", call.org.lower()):
        raise invalid("PullRequest", "head", "invalid")
    form = PullForm(call.text("title"), branch, call.text("body"), call.text("base"), call.content.get("draft") is True)
    record = call.world.open_pull_of_branch(call.org, call.repo_name, call.login, form, now_s=call.now_s)
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
    Route("PUT", "/repos/{org}/{repo}/pulls/{number:int}/merge", merge),
)
