"""Commit statuses, single and combined."""

from typing import cast

from prow_async.api.github import Status, StatusState
from prow_async.sandbox.github import ground, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.git.names import is_sha
from prow_async.sandbox.github.records import StatusRecord
from prow_async.sandbox.github.refusal import Refusal, missing
from prow_async.sandbox.github.steps import Steps


def create(call: Call) -> Steps[Content]:
    """Post a status. Without push access GitHub denies that the repository is there."""
    if not call.world.may_push(call.repo, call.login):
        raise missing()
    status = Status(
        state=cast("StatusState", call.text("state")),  # checked by the world, which answers as GitHub does
        target_url=call.text("target_url") or None,
        description=call.text("description") or None,
        context=call.text("context"),
    )
    sha = call.params["sha"]
    if is_sha(sha):
        try:
            yield from ground.known(call.world, call.repo, sha)
        except Refusal:
            raise Refusal(422, f"No commit found for SHA: {sha}") from None
    record = call.world.post_status(call.org, call.repo_name, sha, status, by=call.login, now_s=call.now_s)
    return Content(201, _shape(call, sha, record) | {"creator": shapes.user(call.world, record.creator)})


def listed(call: Call) -> Steps[Content]:
    """List all statuses of a commit, newest first."""
    sha = yield from ground.known(call.world, call.repo, call.params["ref"])
    records = call.repo.statuses.get(sha, [])[::-1]
    return call.page(
        records,
        lambda record: _shape(call, sha, record) | {"creator": shapes.user(call.world, record.creator)},
    )


def combined(call: Call) -> Steps[Content]:
    """Answer the newest status of each context and what they come to together."""
    sha = yield from ground.known(call.world, call.repo, call.params["ref"])
    newest = call.world.newest_statuses(call.repo, sha)
    shown, headers = call.slice(newest)
    content = {
        "state": overall([record.state for record in newest]),
        "statuses": [_shape(call, sha, record) for record in shown],
        "sha": sha,
        "total_count": len(newest),
        "repository": shapes.repository(call.world, call.repo),
        "url": f"{call.world.address}/repos/{call.repo.full_name}/commits/{sha}/status",
    }
    return Content(200, content, headers)


def overall(states: list[StatusState]) -> StatusState:
    """Combine: failure if any failed, pending if there is none or any is pending, else success."""
    if any(state in ("error", "failure") for state in states):
        return "failure"
    return "success" if states and all(state == "success" for state in states) else "pending"


def _shape(call: Call, sha: str, record: StatusRecord) -> shapes.Json:
    return shapes.status(call.world, call.repo, sha, record)


ROUTES = (
    Route("POST", "/repos/{org}/{repo}/statuses/{sha}", create),
    Route("GET", "/repos/{org}/{repo}/statuses/{ref:path}", listed),
    Route("GET", "/repos/{org}/{repo}/commits/{ref:path}/statuses", listed),
    Route("GET", "/repos/{org}/{repo}/commits/{ref:path}/status", combined),
)
