"""Reviews of pull requests, comments on lines, and who is asked for a review."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.pulls import pull_part
from prow_async.sandbox.github.records import IssueRecord, ReviewComment
from prow_async.sandbox.github.refusal import forbidden, invalid, missing


def listed(call: Call) -> Content:
    """List reviews, oldest first."""
    return call.page(
        pull_part(_record(call)).reviews, lambda one: shapes.review(call.world, call.repo, _record(call), one)
    )


def one(call: Call) -> Content:
    found = call.world.find_review(_record(call), int(call.params["review_id"]))
    return Content(200, shapes.review(call.world, call.repo, _record(call), found))


def create(call: Call) -> Content:
    """Submit a review, with comments on lines if the body has some."""
    record = _record(call)
    entries = call.content.get("comments") or [] if isinstance(call.content, dict) else []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise invalid("PullRequestReview", "comments", "invalid")
    made = call.world.review(
        call.repo, record, call.text("event", "COMMENT"), call.text("body"), by=call.login, now_s=call.now_s
    )
    for entry in entries:
        line = entry.get("line", entry.get("position"))
        _comment(call, record, (str(entry.get("body", "")), str(entry.get("path", "")), line), made.id)
    return Content(200, shapes.review(call.world, call.repo, record, made))


def change(call: Call) -> Content:
    record, wanted = _record(call), int(call.params["review_id"])
    body = call.text("body")
    found = call.world.edit_review(call.repo, record, wanted, body, by=call.login, now_s=call.now_s)
    return Content(200, shapes.review(call.world, call.repo, record, found))


def dismiss(call: Call) -> Content:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    if not call.text("message"):
        raise invalid("PullRequestReview", "message", "missing_field")
    record, wanted = _record(call), int(call.params["review_id"])
    found = call.world.dismiss_review(call.repo, record, wanted, by=call.login, now_s=call.now_s)
    return Content(200, shapes.review(call.world, call.repo, record, found))


def comments(call: Call) -> Content:
    """List comments on lines of a pull request, or of one review of it."""
    record = _record(call)
    found = pull_part(record).review_comments
    if "review_id" in call.params:
        found = [one for one in found if one.review == int(call.params["review_id"])]
    return call.page(found, lambda one: shapes.review_comment(call.world, call.repo, record, one))


def add_comment(call: Call) -> Content:
    """Comment on a line, or answer such a comment (`in_reply_to`)."""
    record = _record(call)
    content = call.content if isinstance(call.content, dict) else {}
    reply = content.get("in_reply_to")
    above = next((one for one in pull_part(record).review_comments if one.id == reply), None)
    if reply is not None and above is None:
        raise missing()
    if above is None and not call.text("path"):
        raise invalid("PullRequestReviewComment", "path", "missing_field")
    path, line = (
        (above.path, above.line) if above else (call.text("path"), content.get("line", content.get("position")))
    )
    said = _comment(call, record, (call.text("body"), path, line), 0, above.id if above else None)
    return Content(201, shapes.review_comment(call.world, call.repo, record, said))


def requested(call: Call) -> Content:
    part = pull_part(_record(call))
    teams = call.world.org(call.org).teams
    users = [shapes.user(call.world, login) for login in part.requested]
    return Content(
        200, {"users": users, "teams": [shapes.team(call.world, call.org, teams[s]) for s in part.requested_teams]}
    )


def request(call: Call) -> Content:
    record, people, teams = _asked(call)
    call.world.request_reviews(call.repo, record, people, teams, by=call.login, now_s=call.now_s)
    return Content(201, shapes.pull(call.world, call.repo, record))


def unrequest(call: Call) -> Content:
    record, people, teams = _asked(call)
    call.world.unrequest_reviews(call.repo, record, people, teams, call.login, call.now_s)
    return Content(200, shapes.pull(call.world, call.repo, record))


def _asked(call: Call) -> tuple[IssueRecord, list[str], list[str]]:
    record = _record(call)
    if not call.world.may_triage(call.repo, call.login) and record.author.lower() != call.login.lower():
        raise forbidden()
    people = call.texts("reviewers") if call.has("reviewers") else []
    return record, people, call.texts("team_reviewers") if call.has("team_reviewers") else []


def _comment(
    call: Call, record: IssueRecord, what: tuple[str, str, object], review: int, reply: int | None = None
) -> ReviewComment:
    body, path, line = what
    number = line if isinstance(line, int) else None
    sha, world = pull_part(record).head_sha, call.world
    said = ReviewComment(world.next_id(), review, call.login, body, path, number, sha, call.now_s, reply)
    return world.comment_on_line(call.repo, record, said, by=call.login, now_s=call.now_s)


def _record(call: Call) -> IssueRecord:
    return call.world.pull_record(call.org, call.repo_name, call.number)


_PULL = "/repos/{org}/{repo}/pulls/{number:int}"
ROUTES = (
    Route("GET", f"{_PULL}/reviews", listed),
    Route("POST", f"{_PULL}/reviews", create),
    Route("GET", _PULL + "/reviews/{review_id:int}", one),
    Route("PUT", _PULL + "/reviews/{review_id:int}", change),
    Route("PUT", _PULL + "/reviews/{review_id:int}/dismissals", dismiss),
    Route("GET", _PULL + "/reviews/{review_id:int}/comments", comments),
    Route("GET", f"{_PULL}/comments", comments),
    Route("POST", f"{_PULL}/comments", add_comment),
    Route("GET", f"{_PULL}/requested_reviewers", requested),
    Route("POST", f"{_PULL}/requested_reviewers", request),
    Route("DELETE", f"{_PULL}/requested_reviewers", unrequest),
)
