"""Users, organizations, members, collaborators."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import Account, Repository
from prow_async.sandbox.github.refusal import forbidden, missing


def me(call: Call) -> Content:
    return Content(200, _user(call, call.login))


def one_user(call: Call) -> Content:
    return Content(200, _user(call, call.params["login"]))


def one_org(call: Call) -> Content:
    return Content(200, shapes.organization(call.world, call.org))


def members(call: Call) -> Content:
    """List members. GitHub shows strangers only the public ones, and here membership is private."""
    org = call.world.org(call.org)
    known = list(org.members.values()) if _sees_members(call) else []
    return call.page(known, lambda account: shapes.user(call.world, account.login))


def member(call: Call) -> Content:
    """Say 204 or 404; an asker from outside is sent on (302) to the public members."""
    call.world.org(call.org)
    login = call.params["login"]
    if not _sees_members(call):
        return Content(302, None, {"location": f"{call.world.address}/orgs/{call.org}/public_members/{login}"})
    if not call.world.is_member(call.org, login):
        raise missing()
    return Content(204)


def public_member(call: Call) -> Content:
    raise missing()


def collaborators(call: Call) -> Content:
    repo = _pushable(call)
    world = call.world
    logins = [*repo.collaborators, *(m for m in world.org(repo.org).members if m not in repo.collaborators)]
    return call.page([world.account(login) for login in logins], lambda account: _collaborator(call, repo, account))


def collaborator(call: Call) -> Content:
    repo = _pushable(call)
    if call.world.permission(repo, call.params["login"]) is None:
        raise missing()
    return Content(204)


def permission(call: Call) -> Content:
    repo = _pushable(call)
    account = call.world.account(call.params["login"])
    role = call.world.permission(repo, account.login) or "read"
    level = {"pull": "read", "triage": "read", "push": "write", "maintain": "write"}.get(role, role)
    return Content(200, {"permission": level, "role_name": role, "user": shapes.user(call.world, account.login)})


def rate_limit(call: Call) -> Content:
    core = call.world.limits.bucket(call.login, call.now_s).shape()
    return Content(200, {"resources": {"core": core}, "rate": core})


def _user(call: Call, login: str) -> shapes.Json:
    account = call.world.account(login)
    return shapes.user(call.world, login) | {"name": account.name or None, "email": None, "bio": None}


def _sees_members(call: Call) -> bool:
    return call.world.is_member(call.org, call.login) or call.world.account(call.login).everywhere


def _pushable(call: Call) -> Repository:
    if not call.world.may_push(call.repo, call.login):
        raise forbidden("Must have push access to view repository collaborators.")
    return call.repo


def _collaborator(call: Call, repo: Repository, account: Account) -> shapes.Json:
    role = call.world.permission(repo, account.login) or "pull"
    return shapes.user(call.world, account.login) | {"role_name": role}


ROUTES = (
    Route("GET", "/user", me),
    Route("GET", "/users/{login}", one_user),
    Route("GET", "/rate_limit", rate_limit),
    Route("GET", "/orgs/{org}", one_org),
    Route("GET", "/orgs/{org}/members", members),
    Route("GET", "/orgs/{org}/members/{login}", member),
    Route("GET", "/orgs/{org}/public_members/{login}", public_member),
    Route("GET", "/repos/{org}/{repo}/collaborators", collaborators),
    Route("GET", "/repos/{org}/{repo}/collaborators/{login}", collaborator),
    Route("GET", "/repos/{org}/{repo}/collaborators/{login}/permission", permission),
)
