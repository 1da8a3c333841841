"""Issues, their comments, labels, assignees and reactions; pull requests are issues too."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import CommentRecord, HappenedRecord, IssueRecord
from prow_async.sandbox.github.refusal import forbidden, invalid, missing


def listed(call: Call) -> Content:
    """List issues and pull requests, newest first.

    By `state` (open, closed, all), `labels` (all of them), `creator`, `assignee`, `milestone` and `since`.
    """
    records = [r for r in reversed(call.repo.issues.values()) if _wanted(call, r)]
    if call.query.get("sort") == "updated":
        records.sort(key=lambda r: r.updated_s, reverse=True)
    if call.query.get("direction") == "asc":
        records.reverse()
    return call.page(records, lambda record: shapes.issue(call.world, call.repo, record))


def _wanted(call: Call, record: IssueRecord) -> bool:
    query = call.query
    on = {name.lower() for name in record.labels}
    assigned = [name.lower() for name in record.assignees]
    milestone = str(record.milestone) if record.milestone else "none"
    assignee = query.get("assignee", "*any*").lower()
    return (
        query.get("state", "open") in ("all", record.state)
        and all(name.lower() in on for name in query.get("labels", "").split(",") if name)
        and query.get("creator", record.author).lower() == record.author.lower()
        and (assignee == "*any*" or assignee in assigned or assignee == ("*" if assigned else "none"))
        and query.get("milestone", milestone) in (milestone, "*" if record.milestone else milestone)
        and query.get("since", "") <= (shapes.instant(record.updated_s) or "")
    )


def create(call: Call) -> Content:
    record = call.world.open_issue(
        call.org, call.repo_name, call.login, call.text("title"), call.text("body"), now_s=call.now_s
    )
    if call.world.may_triage(call.repo, call.login):
        _triage_fields(call, record)
    return Content(201, _shape(call, record))


def one(call: Call) -> Content:
    return Content(200, _shape(call, _record(call)))


def change(call: Call) -> Content:
    """Edit an issue, close it or open it again: its author may, and whoever may triage."""
    change_record(call)
    return Content(200, _shape(call, _record(call)))


def change_record(call: Call) -> None:
    """Apply `title`, `body`, `base`, `state`, `labels`, `assignees` and `milestone`, also for the pulls area.

    The last three change nothing for who may not triage, as on GitHub.
    """
    record = _record(call)
    if record.author.lower() != call.login.lower() and not call.world.may_triage(call.repo, call.login):
        raise forbidden()
    wanted = call.text("state", record.state)
    if wanted not in ("open", "closed"):
        raise invalid("Issue", "state", "invalid")
    fields = {name: call.text(name) for name in ("title", "body", "base") if call.has(name)}
    where = (call.org, call.repo_name, call.number)
    call.world.edit(*where, fields, by=call.login, now_s=call.now_s)
    if call.world.may_triage(call.repo, call.login):
        _triage_fields(call, record)
    if wanted != record.state:
        act = call.world.close if wanted == "closed" else call.world.reopen
        act(*where, by=call.login, now_s=call.now_s)


def _triage_fields(call: Call, record: IssueRecord) -> None:
    world, repo = call.world, call.repo
    where = (call.org, call.repo_name, record.number)
    if call.has("labels"):
        wanted = call.texts("labels")
        lowered = {name.lower() for name in wanted}
        for name in [on for on in record.labels if on.lower() not in lowered]:
            world.remove_label(*where, name, by=call.login, now_s=call.now_s)
        for name in wanted:
            world.add_label(*where, name, by=call.login, now_s=call.now_s)
    if call.has("assignees"):
        logins = call.texts("assignees")
        lowered = {name.lower() for name in logins}
        gone = [on for on in record.assignees if on.lower() not in lowered]
        world.unassign(repo, record, gone, by=call.login, now_s=call.now_s)
        world.assign(repo, record, logins, by=call.login, now_s=call.now_s)
    if isinstance(call.content, dict) and "milestone" in call.content:
        number = call.content["milestone"]
        if number is not None and not isinstance(number, int):
            raise invalid("Issue", "milestone", "invalid")
        world.set_milestone(repo, record, number, by=call.login, now_s=call.now_s)


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


def set_labels(call: Call) -> Content:
    record = _triaged(call)
    _triage_fields(call, record)
    return Content(200, [shapes.label(call.world, call.repo, name) for name in record.labels])


def clear_labels(call: Call) -> Content:
    record = _triaged(call)
    for name in list(record.labels):
        call.world.remove_label(call.org, call.repo_name, call.number, name, by=call.login, now_s=call.now_s)
    return Content(204)


def assign(call: Call) -> Content:
    record = _triaged(call)
    call.world.assign(call.repo, record, call.texts("assignees"), by=call.login, now_s=call.now_s)
    return Content(201, _shape(call, record))


def unassign(call: Call) -> Content:
    record = _triaged(call)
    call.world.unassign(call.repo, record, call.texts("assignees"), by=call.login, now_s=call.now_s)
    return Content(200, _shape(call, record))


def lock(call: Call) -> Content:
    record = _triaged(call)
    reason = call.text("lock_reason")
    if reason not in ("", "off-topic", "too heated", "resolved", "spam"):
        raise invalid("Issue", "lock_reason", "invalid")
    call.world.lock(call.repo, record, reason, by=call.login, now_s=call.now_s)
    return Content(204)


def unlock(call: Call) -> Content:
    call.world.lock(call.repo, _triaged(call), None, by=call.login, now_s=call.now_s)
    return Content(204)


def history(call: Call) -> Content:
    """List what happened to an issue: labels put on and taken off, closed, reopened."""

    def shape(one: HappenedRecord) -> shapes.Json:
        actor, at = shapes.user(call.world, one.actor), shapes.instant(one.at_s)
        found = {"id": one.id, "event": one.event, "actor": actor, "created_at": at, "commit_id": None}
        return found | ({"label": shapes.label(call.world, call.repo, one.label)} if one.label else {})

    return call.page(_record(call).happened, shape)


def comments_of_repo(call: Call) -> Content:
    """List all comments of a repository, oldest first."""
    found = sorted(call.repo.comments.items())
    return call.page(found, lambda entry: _comment(call, *entry[1]))


def reactions(call: Call) -> Content:
    return call.page(_reacted(call).reactions, lambda one: shapes.reaction(call.world, one))


def react(call: Call) -> Content:
    made, new = call.world.react(_reacted(call), call.text("content"), by=call.login, now_s=call.now_s)
    return Content(201 if new else 200, shapes.reaction(call.world, made))


def unreact(call: Call) -> Content:
    to, wanted = _reacted(call), int(call.params["reaction_id"])
    for one in to.reactions:
        if one.id == wanted and one.login.lower() == call.login.lower():
            to.reactions.remove(one)
            return Content(204)
    raise missing()


def _reacted(call: Call) -> IssueRecord | CommentRecord:
    return _record(call) if "number" in call.params else _found_comment(call)[1]


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


def _reaction_routes(where: str) -> tuple[Route, ...]:
    return (
        Route("GET", where, reactions),
        Route("POST", where, react),
        Route("DELETE", where + "/{reaction_id:int}", unreact),
    )


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
    Route("PUT", "/repos/{org}/{repo}/issues/{number:int}/labels", set_labels),
    Route("DELETE", "/repos/{org}/{repo}/issues/{number:int}/labels", clear_labels),
    Route("POST", "/repos/{org}/{repo}/issues/{number:int}/assignees", assign),
    Route("DELETE", "/repos/{org}/{repo}/issues/{number:int}/assignees", unassign),
    Route("PUT", "/repos/{org}/{repo}/issues/{number:int}/lock", lock),
    Route("DELETE", "/repos/{org}/{repo}/issues/{number:int}/lock", unlock),
    Route("GET", "/repos/{org}/{repo}/issues/{number:int}/events", history),
    Route("GET", "/repos/{org}/{repo}/issues/comments", comments_of_repo),
    *_reaction_routes("/repos/{org}/{repo}/issues/{number:int}/reactions"),
    *_reaction_routes("/repos/{org}/{repo}/issues/comments/{comment_id:int}/reactions"),
)
