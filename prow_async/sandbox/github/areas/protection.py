"""Protection of branches, as branchprotector and people set it."""

from typing import Any

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.refusal import Refusal, invalid, missing

_SWITCHES = (
    *("enforce_admins", "required_linear_history", "allow_force_pushes", "allow_deletions", "block_creations"),
    *("required_conversation_resolution", "lock_branch", "allow_fork_syncing"),
)
_REQUIRED = ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")


def one(call: Call) -> Content:
    return Content(200, _shape(call, _put(call)))


def put(call: Call) -> Content:
    """Protect a branch. All of GitHub's four required fields have to be there; null switches one off."""
    branch = _branch(call)
    content = call.content
    if not isinstance(content, dict):
        raise Refusal(422, "Invalid request.")
    for name in _REQUIRED:
        if name not in content:
            raise Refusal(422, f'Invalid request.\n\n"{name}" has to be supplied.')
    checks = content["required_status_checks"]
    if checks is not None:
        _check_checks(checks)
    reviews = content["required_pull_request_reviews"]
    if reviews is not None and not isinstance(reviews, dict):
        raise invalid("ProtectedBranch", "required_pull_request_reviews", "invalid")
    count = (reviews or {}).get("required_approving_review_count", 1)
    if not isinstance(count, int) or not 0 <= count <= 6:
        raise invalid("ProtectedBranch", "required_approving_review_count", "invalid")
    if reviews is not None:
        content = content | {"required_pull_request_reviews": {"required_approving_review_count": count} | reviews}
    old = call.repo.protections.get(branch, {})
    call.repo.protections[branch] = dict(content) | {"signatures": old.get("signatures", False)}
    return one(call)


def remove(call: Call) -> Content:
    _put(call)
    del call.repo.protections[_branch(call)]
    return Content(204)


def signatures(call: Call) -> Content:
    return Content(200, {"url": _url(call) + "/required_signatures", "enabled": bool(_put(call).get("signatures"))})


def require_signatures(call: Call) -> Content:
    _put(call)["signatures"] = True
    return signatures(call)


def waive_signatures(call: Call) -> Content:
    _put(call)["signatures"] = False
    return Content(204)


def _check_checks(checks: Any) -> None:
    contexts = checks.get("contexts", []) if isinstance(checks, dict) else None
    if not isinstance(contexts, list) or not all(isinstance(context, str) for context in contexts):
        raise invalid("ProtectedBranch", "required_status_checks", "invalid")
    entries = checks.get("checks") or []
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("context"), str) for e in entries
    ):
        raise invalid("ProtectedBranch", "checks", "invalid")
    if entries and not contexts:
        checks["contexts"] = [entry["context"] for entry in entries]


def _branch(call: Call) -> str:
    if call.world.permission(call.repo, call.login) != "admin":
        raise missing()
    branch = call.params["branch"]
    if f"heads/{branch}" not in call.repo.refs:
        raise Refusal(404, "Branch not found")
    return branch


def _put(call: Call) -> dict[str, Any]:
    found = call.repo.protections.get(_branch(call))
    if found is None:
        raise Refusal(404, "Branch not protected")
    return found


def _url(call: Call) -> str:
    return f"{call.world.address}/repos/{call.repo.full_name}/branches/{call.params['branch']}/protection"


def _shape(call: Call, put: dict[str, Any]) -> shapes.Json:
    shape: shapes.Json = {"url": _url(call)}
    checks = put["required_status_checks"]
    if checks is not None:
        contexts = checks.get("contexts", [])
        shape["required_status_checks"] = {
            "strict": bool(checks.get("strict")),
            "contexts": contexts,
            "checks": [{"context": context, "app_id": None} for context in contexts],
        }
    if put["required_pull_request_reviews"] is not None:
        asked = put["required_pull_request_reviews"]
        reviews: shapes.Json = {"dismiss_stale_reviews": False, "require_code_owner_reviews": False} | {
            name: value for name, value in asked.items() if isinstance(value, bool | int)
        }
        for name in ("dismissal_restrictions", "bypass_pull_request_allowances"):
            if asked.get(name):
                reviews[name] = _people(call, asked[name])
        shape["required_pull_request_reviews"] = {"required_approving_review_count": 1} | reviews
    if put["restrictions"] is not None:
        shape["restrictions"] = _people(call, put["restrictions"])
    switches = {name: {"enabled": bool(put.get(name))} for name in _SWITCHES}
    return shape | switches | {"required_signatures": {"enabled": bool(put.get("signatures"))}}


def _people(call: Call, asked: Any) -> shapes.Json:
    """Render who is named, leaving out those who are not there."""
    if not isinstance(asked, dict):
        raise invalid("ProtectedBranch", "restrictions", "invalid")
    world, teams = call.world, call.world.org(call.org).teams

    def named(kind: str) -> list[str]:
        return [name for name in asked.get(kind) or [] if isinstance(name, str)]

    users = [shapes.user(world, login) for login in named("users") if login.lower() in world.accounts]
    shown = [shapes.team(world, call.org, teams[slug]) for slug in named("teams") if slug in teams]
    return {"users": users, "teams": shown, "apps": [{"slug": slug, "name": slug} for slug in named("apps")]}


_HERE = "/repos/{org}/{repo}/branches/{branch:path}/protection"
ROUTES = (
    Route("GET", _HERE, one),
    Route("PUT", _HERE, put),
    Route("DELETE", _HERE, remove),
    Route("GET", f"{_HERE}/required_signatures", signatures),
    Route("POST", f"{_HERE}/required_signatures", require_signatures),
    Route("DELETE", f"{_HERE}/required_signatures", waive_signatures),
)
