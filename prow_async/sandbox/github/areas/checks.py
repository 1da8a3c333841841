"""Check runs, and the workflow runs that the small GitHub has none of."""

from datetime import datetime

from prow_async.sandbox.github import ground, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import CheckRun
from prow_async.sandbox.github.refusal import forbidden, invalid, missing
from prow_async.sandbox.github.steps import Steps

_STATUSES = ("queued", "in_progress", "completed")
_CONCLUSIONS = (
    *("", "action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"),
)


def listed(call: Call) -> Steps[Content]:
    """List the newest check run of each name of a commit (`filter=all`: every one), by `check_name` and `status`."""
    sha = yield from ground.known(call.world, call.repo, call.params["ref"])
    runs = call.repo.check_runs.get(sha, [])
    if call.query.get("filter") != "all":
        runs = list({(run.app, run.name): run for run in runs}.values())
    name, status = call.query.get("check_name"), call.query.get("status")
    runs = [run for run in runs if name in (None, run.name) and status in (None, run.status)]
    shown, headers = call.slice(runs)
    rendered = [shapes.check_run(call.world, call.repo, run) for run in shown]
    return Content(200, {"total_count": len(runs), "check_runs": rendered}, headers)


def create(call: Call) -> Steps[Content]:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    if not call.text("name") or not call.text("head_sha"):
        raise invalid("CheckRun", "name", "missing_field")
    sha = yield from ground.known(call.world, call.repo, call.text("head_sha"))
    run = CheckRun(call.world.next_id(), sha, call.text("name"), call.login)
    _fill(call, run)
    call.repo.check_runs.setdefault(sha, []).append(run)
    return Content(201, shapes.check_run(call.world, call.repo, run))


def one(call: Call) -> Content:
    return Content(200, shapes.check_run(call.world, call.repo, _run(call)))


def change(call: Call) -> Content:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    run = _run(call)
    _fill(call, run)
    return Content(200, shapes.check_run(call.world, call.repo, run))


def workflow_runs(call: Call) -> Content:
    """Answer that there are none."""
    call.world.repo(call.org, call.repo_name)
    return Content(200, {"total_count": 0, "workflow_runs": []})


def _run(call: Call) -> CheckRun:
    for runs in call.repo.check_runs.values():
        for run in runs:
            if run.id == call.number:
                return run
    raise missing()


def _fill(call: Call, run: CheckRun) -> None:
    conclusion = call.text("conclusion", run.conclusion)
    status = call.text("status", "completed" if conclusion else run.status)
    if status not in _STATUSES or conclusion not in _CONCLUSIONS or (status == "completed") != bool(conclusion):
        raise invalid("CheckRun", "conclusion", "invalid")
    run.status, run.conclusion = status, conclusion
    run.details_url = call.text("details_url", run.details_url)
    run.started_s = _instant(call, "started_at") or run.started_s or call.now_s
    if conclusion:
        run.completed_s = _instant(call, "completed_at") or run.completed_s or call.now_s
    output = call.content.get("output")
    if isinstance(output, dict) and isinstance(output.get("title"), str):
        run.title = output["title"]


def _instant(call: Call, field: str) -> float | None:
    text = call.text(field)
    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        raise invalid("CheckRun", field, "invalid") from None


ROUTES = (
    Route("GET", "/repos/{org}/{repo}/commits/{ref:path}/check-runs", listed),
    Route("POST", "/repos/{org}/{repo}/check-runs", create),
    Route("GET", "/repos/{org}/{repo}/check-runs/{number:int}", one),
    Route("PATCH", "/repos/{org}/{repo}/check-runs/{number:int}", change),
    Route("GET", "/repos/{org}/{repo}/actions/runs", workflow_runs),
)
