"""Issues, comments and labels; pull requests are issues too."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import CommentRecord, IssueRecord
from prow_async.sandbox.github.refusal import forbidden, invalid, missing


def listed(call: Call) -> Content:
    """List issues and pull requests, newest first; `state` is open (the default), closed or all."""
    wanted = call.query.get("state", "open")
    records = [r for r in reversed(call.repo.issues.values()) if wanted in ("all", r.state)]
    return call.page(records, lambda record: shapes.issue(call.world, call.repo, record))


def create(call: Call) -> Content:
    record = call.world.open_issue(
        call.org, call.repo_name, call.login, call.text("title"), call.text("body"), now_s=call.now_s
    )
    return Content(201, _shape(call, record))


def one(call: Call) -> Content:
    return Content(200, _shape(call, _record(call)))


def change(call: Call) -> Content:
    """Edit an issue, close it or open it again: its author may, and whoever may triage."""
    change_record(call)
    return Content(200, _shape(call, _record(call)))


def change_record(call: Call) -> None:
    """Apply `title`, `body`, `base` and `state` of the body, also for the pulls area."""
    record = _record(call)
    if record.author.lower() != call.login.lower() and not call.world.may_triage(call.repo, call.login):
        raise forbidden()
    wanted = call.text("state", record.state)
    if wanted not in ("open", "closed"):
        raise invalid("Issue", "state", "invalid")
    fields = {name: call.text(name) for name in ("title", "body", "base") if call.has(name)}
    where = (call.org, call.repo_name, call.number)
    call.world.edit(*where, fields, by=call.login, now_s=call.now_s)
    if wanted != record.state:
        act = call.world.close if wanted == "closed" else call.world.reopen
        act(*where, by=call.login, now_s=call.now_s)


def comments(call: Call) -> Content:
    record = _record(call)
    return call.page(record.comments, lambda said: _comment(call, record, said))


def add_comment(call: Call) -> Content:
    said = call.world.comment(call.org, call.repo_name, call.number, call.login, call.text("body"), now_s=call.now_s)
    return Content(201, _comment(call, _record(call), said))


def one_comment(call: Call) -> Content:
    record, said = _found_comment(call)
    return Content(200, _comment(call, record, said))


def change_comment(call: Call) -> Content:
    record, said = _found_comment(call)
    call.world.edit_comment(call.org, call.repo_name, said.id, call.text("body"), by=call.login, now_s=call.now_s)
    return Content(200, _comment(call, record, said))


def delete_comment(call: Call) -> Content:
    _, said = _found_comment(call)
    call.world.delete_comment(call.org, call.repo_name, said.id, by=call.login, now_s=call.now_s)
    return Content(204)


def labels(call: Call) -> Content:
    return call.page(_record(call).labels, lambda name: shapes.label(call.world, call.repo, name))


def add_labels(call: Call) -> Content:
    record = _triaged(call)
    for name in call.texts("labels"):
        call.world.add_label(call.org, call.repo_name, call.number, name, by=call.login, now_s=call.now_s)
    return Content(200, [shapes.label(call.world, call.repo, name) for name in record.labels])


def remove_label(call: Call) -> Content:
    record = _triaged(call)
    name = call.params["label"]
    call.world.remove_label(call.org, call.repo_name, call.number, name, by=call.login, now_s=call.now_s)
    return Content(200, [shapes.label(call.world, call.repo, name) for name in record.labels])


def labels_of_repo(call: Call) -> Content:
    names = sorted(call.repo.labels.values())
    return call.page(names, lambda name: shapes.label(call.world, call.repo, name))


def _record(call: Call) -> IssueRecord:
    return call.world.issue(call.org, call.repo_name, call.number)


def _triaged(call: Call) -> IssueRecord:
    record = _record(call)
    if not call.world.may_triage(call.repo, call.login):
        raise forbidden()
    return record


def _found_comment(call: Call) -> tuple[IssueRecord, CommentRecord]:
    comment_id = int(call.params["comment_id"])
    if comment_id not in call.repo.comments:
        raise missing()
    return call.repo.comments[comment_id]


def _shape(call: Call, record: IssueRecord) -> shapes.Json:
    return shapes.issue(call.world, call.repo, record)


def _comment(call: Call, record: IssueRecord, said: CommentRecord) -> shapes.Json:
    return shapes.comment(call.world, call.repo, record, said)


ROUTES = (
    Route("GET", "/repos/{org}/{repo}/issues", listed),
    Route("POST", "/repos/{org}/{repo}/issues", create),
    Route("GET", "/repos/{org}/{repo}/issues/{number:int}", one),
    Route("PATCH", "/repos/{org}/{repo}/issues/{number:int}", change),
    Route("GET", "/repos/{org}/{repo}/issues/{number:int}/comments", comments),
    Route("POST", "/repos/{org}/{repo}/issues/{number:int}/comments", add_comment),
    Route("GET", "/repos/{org}/{repo}/issues/comments/{comment_id:int}", one_comment),
    Route("PATCH", "/repos/{org}/{repo}/issues/comments/{comment_id:int}", change_comment),
    Route("DELETE", "/repos/{org}/{repo}/issues/comments/{comment_id:int}", delete_comment),
    Route("GET", "/repos/{org}/{repo}/issues/{number:int}/labels", labels),
    Route("POST", "/repos/{org}/{repo}/issues/{number:int}/labels", add_labels),
    Route("DELETE", "/repos/{org}/{repo}/issues/{number:int}/labels/{label:path}", remove_label),
    Route("GET", "/repos/{org}/{repo}/labels", labels_of_repo),
)
