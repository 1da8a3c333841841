"""Teams: their members and the repositories they may do something in."""

from prow_async.sandbox.github import shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import Team
from prow_async.sandbox.github.refusal import forbidden, missing


def listed(call: Call) -> Content:
    _seen(call)
    return call.page(list(call.world.org(call.org).teams.values()), lambda team: _shape(call, team))


def create(call: Call) -> Content:
    _owned(call)
    above = call.content.get("parent_team_id") if isinstance(call.content, dict) else None
    teams = call.world.org(call.org).teams
    parent = next((team.slug for team in teams.values() if team.id == above), "")
    members = call.texts("maintainers") if call.has("maintainers") else []
    made = call.world.add_team(call.org, call.text("name"), members, parent=parent)
    made.description, made.privacy = call.text("description"), call.text("privacy", "closed")
    return Content(201, _shape(call, made))


def one(call: Call) -> Content:
    _seen(call)
    return Content(200, _shape(call, _team(call)))


def change(call: Call) -> Content:
    _owned(call)
    team = _team(call)
    team.name = call.text("name", team.name)
    team.description = call.text("description", team.description)
    team.privacy = call.text("privacy", team.privacy)
    return Content(200, _shape(call, team))


def delete(call: Call) -> Content:
    _owned(call)
    call.world.delete_team(call.org, call.params["slug"])
    return Content(204)


def members(call: Call) -> Content:
    """List members, by `role` (member, maintainer, all)."""
    _seen(call)
    wanted = call.query.get("role", "all")
    found = [login for login, role in _team(call).members.items() if wanted in ("all", role)]
    return call.page(found, lambda login: shapes.user(call.world, login))


def membership(call: Call) -> Content:
    _seen(call)
    role = _team(call).members.get(call.params["login"].lower())
    if role is None:
        raise missing()
    return Content(200, _membership(call, role))


def join(call: Call) -> Content:
    _owned(call)
    call.world.account(call.params["login"])
    call.world.join_team(call.org, call.params["slug"], call.params["login"], call.text("role", "member"))
    return membership(call)


def leave(call: Call) -> Content:
    _owned(call)
    call.world.leave_team(call.org, call.params["slug"], call.params["login"])
    return Content(204)


def repos(call: Call) -> Content:
    _seen(call)
    team = _team(call)

    def shape(name: str) -> shapes.Json:
        repo = call.world.repo(call.org, name)
        return shapes.repository(call.world, repo) | {
            "role_name": team.repos[name],
            "permissions": rights(team.repos[name]),
        }

    return call.page(list(team.repos), shape)


def give(call: Call) -> Content:
    _owned(call)
    call.world.give_team(call.org, call.params["slug"], call.repo_name, call.text("permission", "push"))
    return Content(204)


def take(call: Call) -> Content:
    _owned(call)
    _team(call).repos.pop(call.repo_name.lower(), None)
    return Content(204)


def of_repo(call: Call) -> Content:
    """List the teams of a repository."""
    name = call.repo.name.lower()
    found = [team for team in call.world.org(call.org).teams.values() if name in team.repos]
    return call.page(found, lambda team: _shape(call, team) | {"permission": team.repos[name]})


def members_by_id(call: Call) -> Content:
    """List members of a team by its number, GitHub's older way."""
    for org in call.world.organizations.values():
        for team in org.teams.values():
            if team.id == call.number:
                return call.page(list(team.members), lambda login: shapes.user(call.world, login))
    raise missing()


def nobody(call: Call) -> Content:
    """Answer an empty list: the small GitHub lets people in at once and keeps no invitations."""
    return Content(200, [])


def rights(role: str) -> dict[str, bool]:
    """Render a permission as GitHub's map of what it allows."""
    order = ("pull", "triage", "push", "maintain", "admin")
    return {name: order.index(name) <= order.index(role) for name in order}


def _team(call: Call) -> Team:
    return call.world.team(call.org, call.params["slug"])


def _seen(call: Call) -> None:
    world = call.world
    world.org(call.org)
    if not world.is_member(call.org, call.login) and not world.account(call.login).everywhere:
        raise missing()


def _owned(call: Call) -> None:
    owners = call.world.org(call.org).owners
    if call.login.lower() not in owners and not call.world.account(call.login).everywhere:
        raise forbidden("Must be an organization owner.") if call.world.is_member(call.org, call.login) else missing()


def _shape(call: Call, team: Team) -> shapes.Json:
    counts = {"members_count": len(team.members), "repos_count": len(team.repos)}
    return shapes.team(call.world, call.org, team) | counts


def _membership(call: Call, role: str) -> shapes.Json:
    url = f"{call.world.address}/orgs/{call.org}/teams/{call.params['slug']}/memberships/{call.params['login']}"
    return {"url": url, "role": role, "state": "active"}


_TEAM = "/orgs/{org}/teams/{slug}"
ROUTES = (
    Route("GET", "/orgs/{org}/teams", listed),
    Route("POST", "/orgs/{org}/teams", create),
    Route("GET", _TEAM, one),
    Route("PATCH", _TEAM, change),
    Route("DELETE", _TEAM, delete),
    Route("GET", f"{_TEAM}/members", members),
    Route("GET", f"{_TEAM}/invitations", nobody),
    Route("GET", _TEAM + "/memberships/{login}", membership),
    Route("PUT", _TEAM + "/memberships/{login}", join),
    Route("DELETE", _TEAM + "/memberships/{login}", leave),
    Route("GET", f"{_TEAM}/repos", repos),
    Route("PUT", _TEAM + "/repos/{owner}/{repo}", give),
    Route("DELETE", _TEAM + "/repos/{owner}/{repo}", take),
    Route("GET", "/repos/{org}/{repo}/teams", of_repo),
    Route("GET", "/teams/{number:int}/members", members_by_id),
    Route("GET", "/orgs/{org}/invitations", nobody),
    Route("GET", "/orgs/{org}/failed_invitations", nobody),
    Route("GET", "/repos/{org}/{repo}/invitations", nobody),
    Route("GET", "/user/repository_invitations", nobody),
    Route("GET", "/user/memberships/orgs", nobody),
)
