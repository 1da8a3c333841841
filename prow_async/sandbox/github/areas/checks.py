"""Check runs, and runs of workflows."""

from datetime import datetime

from prow_async.sandbox.github import ground, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import CheckRun, WorkflowRunRecord
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
    """List a repository's workflow runs, newest first, by `head_sha`, `branch`, and `status` (or conclusion)."""
    asked = call.query
    found = [
        run
        for run in reversed(call.repo.workflow_runs)
        if asked.get("head_sha") in (None, run.sha)
        and asked.get("branch") in (None, run.branch)
        and asked.get("status") in (None, run.status, run.conclusion)
    ]
    shown, headers = call.slice(found)
    rendered = [shapes.workflow_run(call.world, call.repo, run) for run in shown]
    return Content(200, {"total_count": len(found), "workflow_runs": rendered}, headers)


def rerun_failed(call: Call) -> Content:
    """Begin the failed jobs of a completed run again."""
    run = _workflow_run(call)
    if run.status != "completed":
        raise forbidden()
    run.status, run.conclusion, run.attempt = "queued", "", run.attempt + 1
    return Content(201, {})


def approve(call: Call) -> Content:
    """Let a run begin that waits because its author is new here."""
    run = _workflow_run(call)
    if run.conclusion != "action_required":
        raise forbidden()
    run.status, run.conclusion = "queued", ""
    return Content(201, {})


def _workflow_run(call: Call) -> WorkflowRunRecord:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden()
    for run in call.repo.workflow_runs:
        if run.id == call.number:
            return run
    raise missing()


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
    Route("POST", "/repos/{org}/{repo}/actions/runs/{number:int}/rerun-failed-jobs", rerun_failed),
    Route("POST", "/repos/{org}/{repo}/actions/runs/{number:int}/approve", approve),
)
