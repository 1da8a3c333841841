"""Users, organizations, members, collaborators."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.areas.teams import rights
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import Account, Organization, Repository
from prow_async.sandbox.github.refusal import forbidden, invalid, missing


def me(call: Call) -> Content:
    return Content(200, _user(call, call.login))


def one_user(call: Call) -> Content:
    return Content(200, _user(call, call.params["login"]))


def one_org(call: Call) -> Content:
    return Content(200, shapes.organization(call.world, call.org))


def members(call: Call) -> Content:
    """List members, by `role` (admin, member, all).

    GitHub shows strangers only the public ones, and here membership is private.
    """
    org = call.world.org(call.org)
    wanted = call.query.get("role", "all")
    known = [
        account
        for login, account in org.members.items()
        if _sees_members(call) and wanted in ("all", "admin" if login in org.owners else "member")
    ]
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


def change_org(call: Call) -> Content:
    """Set what an organization says of itself."""
    org = _owned(call)
    named = ("name", "description", "company", "email", "location", "billing_email", "default_repository_permission")
    org.profile.update({name: call.text(name) for name in named if call.has(name)})
    return one_org(call)


def membership(call: Call) -> Content:
    """Say whether somebody is a member (`role` member) or an owner (`role` admin)."""
    org, login = call.world.org(call.org), call.params["login"]
    if not _sees_members(call) or not call.world.is_member(call.org, login):
        raise missing()
    role = "admin" if login.lower() in org.owners else "member"
    organization = shapes.organization(call.world, call.org)
    who = {"user": shapes.user(call.world, login), "organization": organization}
    return Content(200, {"state": "active", "role": role} | who)


def join(call: Call) -> Content:
    """Make somebody with an account a member or an owner, at once: there are no invitations here."""
    org = _owned(call)
    login, role = call.world.account(call.params["login"]).login, call.text("role", "member")
    if role not in ("member", "admin"):
        raise invalid("Membership", "role", "invalid")
    call.world.add_org(call.org, members=[login], owners=[login] if role == "admin" else [])
    if role == "member":
        org.owners.discard(login.lower())
    return membership(call)


def leave(call: Call) -> Content:
    _owned(call)
    call.world.remove_member(call.org, call.params["login"])
    return Content(204)


def add_collaborator(call: Call) -> Content:
    """Let somebody with an account in: 201 with an invitation as good as accepted, 204 when they were in already."""
    repo = _administered(call)
    account = call.world.account(call.params["login"])
    known = account.login.lower() in repo.collaborators
    role = call.text("permission", "push")
    role = {"read": "pull", "write": "push"}.get(role, role)
    call.world.add_collaborator(repo.org, repo.name, account.login, role)
    if known:
        return Content(204)
    shape = {"id": call.world.next_id(), "permissions": role, "invitee": shapes.user(call.world, account.login)}
    return Content(201, shape | {"repository": shapes.repository(call.world, repo)})


def remove_collaborator(call: Call) -> Content:
    _administered(call).collaborators.pop(call.params["login"].lower(), None)
    return Content(204)


def _owned(call: Call) -> Organization:
    org = call.world.org(call.org)
    if call.login.lower() not in org.owners and not call.world.account(call.login).everywhere:
        raise forbidden("You must be an organization owner.")
    return org


def _administered(call: Call) -> Repository:
    if call.world.permission(call.repo, call.login) != "admin":
        raise forbidden()
    return call.repo


def rate_limit(call: Call) -> Content:
    core = call.world.limits.bucket(call.login, call.now_s).shape()
    graphql = call.world.graphql_limits.bucket(call.login, call.now_s).shape()
    return Content(200, {"resources": {"core": core, "graphql": graphql, "search": core}, "rate": core})


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
    return shapes.user(call.world, account.login) | {"role_name": role, "permissions": rights(role)}


ROUTES = (
    Route("GET", "/user", me),
    Route("GET", "/users/{login}", one_user),
    Route("GET", "/rate_limit", rate_limit),
    Route("GET", "/orgs/{org}", one_org),
    Route("PATCH", "/orgs/{org}", change_org),
    Route("GET", "/orgs/{org}/memberships/{login}", membership),
    Route("PUT", "/orgs/{org}/memberships/{login}", join),
    Route("DELETE", "/orgs/{org}/memberships/{login}", leave),
    Route("GET", "/orgs/{org}/members", members),
    Route("GET", "/orgs/{org}/members/{login}", member),
    Route("GET", "/orgs/{org}/public_members/{login}", public_member),
    Route("GET", "/repos/{org}/{repo}/collaborators", collaborators),
    Route("GET", "/repos/{org}/{repo}/collaborators/{login}", collaborator),
    Route("PUT", "/repos/{org}/{repo}/collaborators/{login}", add_collaborator),
    Route("DELETE", "/repos/{org}/{repo}/collaborators/{login}", remove_collaborator),
    Route("GET", "/repos/{org}/{repo}/collaborators/{login}/permission", permission),
)
