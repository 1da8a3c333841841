"""Labels and milestones of repositories."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import MilestoneRecord, Repository
from prow_async.sandbox.github.refusal import forbidden, invalid, missing


def labels(call: Call) -> Content:
    names = sorted((label.name for label in call.repo.labels.values()), key=str.lower)
    return call.page(names, lambda name: shapes.label(call.world, call.repo, name))


def one_label(call: Call) -> Content:
    return Content(200, shapes.label(call.world, call.repo, call.world.label(call.repo, call.params["label"]).name))


def make_label(call: Call) -> Content:
    repo = _triaged(call)
    made = call.world.make_label(repo, call.text("name"), call.text("color", "ededed"), call.text("description"))
    return Content(201, shapes.label(call.world, repo, made.name))


def change_label(call: Call) -> Content:
    repo = _triaged(call)
    fields = {name: call.text(name) for name in ("color", "description") if call.has(name)}
    if call.has("new_name") or call.has("name"):
        fields["name"] = call.text("new_name") or call.text("name")
    changed = call.world.change_label(repo, call.params["label"], fields)
    return Content(200, shapes.label(call.world, repo, changed.name))


def delete_label(call: Call) -> Content:
    call.world.delete_label(_triaged(call), call.params["label"])
    return Content(204)


def milestones(call: Call) -> Content:
    wanted = call.query.get("state", "open")
    found = [one for one in call.repo.milestones.values() if wanted in ("all", one.state)]
    return call.page(found, lambda one: shapes.milestone(call.world, call.repo, one))


def one_milestone(call: Call) -> Content:
    return Content(200, shapes.milestone(call.world, call.repo, _milestone(call)))


def make_milestone(call: Call) -> Content:
    repo = _triaged(call)
    title, text = call.text("title"), call.text("description")
    number = call.world.make_milestone(repo, title, text, by=call.login, now_s=call.now_s)
    return Content(201, shapes.milestone(call.world, repo, repo.milestones[number]))


def change_milestone(call: Call) -> Content:
    _triaged(call)
    found = _milestone(call)
    state = call.text("state", found.state)
    if state not in ("open", "closed"):
        raise invalid("Milestone", "state", "invalid")
    found.state = state
    found.title = call.text("title", found.title)
    found.description = call.text("description", found.description)
    return one_milestone(call)


def delete_milestone(call: Call) -> Content:
    repo, number = _triaged(call), _milestone(call).number
    del repo.milestones[number]
    for record in repo.issues.values():
        if record.milestone == number:
            record.milestone = None
    return Content(204)


def _triaged(call: Call) -> Repository:
    if not call.world.may_triage(call.repo, call.login):
        raise forbidden()
    return call.repo


def _milestone(call: Call) -> MilestoneRecord:
    try:
        return call.repo.milestones[call.number]
    except KeyError:
        raise missing() from None


ROUTES = (
    Route("GET", "/repos/{org}/{repo}/labels", labels),
    Route("POST", "/repos/{org}/{repo}/labels", make_label),
    Route("GET", "/repos/{org}/{repo}/labels/{label:path}", one_label),
    Route("PATCH", "/repos/{org}/{repo}/labels/{label:path}", change_label),
    Route("DELETE", "/repos/{org}/{repo}/labels/{label:path}", delete_label),
    Route("GET", "/repos/{org}/{repo}/milestones", milestones),
    Route("POST", "/repos/{org}/{repo}/milestones", make_milestone),
    Route("GET", "/repos/{org}/{repo}/milestones/{number:int}", one_milestone),
    Route("PATCH", "/repos/{org}/{repo}/milestones/{number:int}", change_milestone),
    Route("DELETE", "/repos/{org}/{repo}/milestones/{number:int}", delete_milestone),
)
