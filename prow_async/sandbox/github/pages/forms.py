"""What a signed-in person sends from a page. Each ends on a page that shows what came of it."""

from typing import cast

from prow_async.sandbox.github import forks, landing, merging
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.git import names
from prow_async.sandbox.github.git.writing import Method
from prow_async.sandbox.github.merging import MergeForm
from prow_async.sandbox.github.pages import html, views
from prow_async.sandbox.github.pulls import PullForm
from prow_async.sandbox.github.refusal import Refusal, forbidden
from prow_async.sandbox.github.steps import Steps


def open_pull(call: Call) -> Steps[Content]:
    repo = views.visible(call)
    form = PullForm(call.text("title"), call.text("head"), call.text("body"), call.text("base"))
    record = yield from merging.open_pull(call.world, repo, call.login, form, call.now_s)
    return html.go(html.path(repo.org, repo.name, "pull", record.number))


def fork(call: Call) -> Steps[Content]:
    made = yield from forks.make(call.world, views.visible(call), call.login, call.now_s)
    return html.go(html.path(made.org, made.name))


def commit(call: Call) -> Steps[Content]:
    """Commit one file to a branch; a new branch begins at the default one."""
    repo, world = views.visible(call), call.world
    if not world.may_push(repo, call.login):
        raise forbidden("You may not push here: fork the repository.")
    branch, path = call.text("branch").strip(), call.text("path").strip()
    if world.git is None or not branch:
        raise Refusal(422, "A commit needs a branch, and git behind the repository.")
    if not names.is_path(path):
        raise Refusal(422, "That is no name of a file.")
    if f"heads/{branch}" not in repo.refs:
        start = (f"heads/{branch}", repo.refs[f"heads/{repo.default_branch}"])
        yield from landing.set_ref(world, repo, start, by=call.login, now_s=call.now_s, force=False)
    content = call.text("content").replace("\r\n", "\n").encode("utf-8", "replace")
    what = (call.text("message") or f"Change {path}", {path: content})
    sha = yield from landing.commit_files(world, repo, branch, what, call.login, call.now_s)
    return html.go(html.path(repo.org, repo.name, "commit", sha))


def open_issue(call: Call) -> Content:
    repo = views.visible(call)
    title, body = call.text("title"), call.text("body")
    record = call.world.open_issue(repo.org, repo.name, call.login, title, body, now_s=call.now_s)
    return html.go(html.path(repo.org, repo.name, "issues", record.number))


def comment(call: Call) -> Content:
    repo = views.visible(call)
    said = call.world.comment(repo.org, repo.name, call.number, call.login, call.text("body"), now_s=call.now_s)
    return html.go(f"{_back(call)}#issuecomment-{said.id}")


def state(call: Call) -> Content:
    """Close or open again: the author may, and whoever may triage."""
    repo = views.visible(call)
    record = call.world.issue(repo.org, repo.name, call.number)
    if record.author.lower() != call.login.lower() and not call.world.may_triage(repo, call.login):
        raise forbidden()
    act = call.world.close if call.text("state") == "closed" else call.world.reopen
    act(repo.org, repo.name, call.number, by=call.login, now_s=call.now_s)
    return html.go(_back(call))


def review(call: Call) -> Content:
    repo = views.visible(call)
    record = call.world.pull_record(repo.org, repo.name, call.number)
    call.world.review(repo, record, call.text("event"), call.text("body"), by=call.login, now_s=call.now_s)
    return html.go(_back(call))


def merge(call: Call) -> Steps[Content]:
    repo = views.visible(call)
    if not call.world.may_push(repo, call.login):
        raise forbidden()
    method = call.text("method", "merge")
    if method not in ("merge", "squash", "rebase"):
        raise Refusal(422, f"There is no way to merge called {method}.")
    form = MergeForm(cast("Method", method))
    yield from merging.merge(call.world, repo, call.number, form, by=call.login, now_s=call.now_s)
    return html.go(_back(call))


def _back(call: Call) -> str:
    record = call.world.issue(call.org, call.repo_name, call.number)
    return html.path(call.repo.org, call.repo.name, "pull" if record.pull else "issues", call.number)


_ONE = "/{org}/{repo}/(?:pull|issues)/{number:int}"
ROUTES = (
    Route("POST", "/{org}/{repo}/pulls", open_pull),
    Route("POST", "/{org}/{repo}/fork", fork),
    Route("POST", "/{org}/{repo}/commit", commit),
    Route("POST", "/{org}/{repo}/issues", open_issue),
    Route("POST", f"{_ONE}/comment", comment),
    Route("POST", f"{_ONE}/state", state),
    Route("POST", f"{_ONE}/review", review),
    Route("POST", f"{_ONE}/merge", merge),
)
