"""What a GitHub App asks as itself: who it is, where it is installed, a token for an installation."""

from prow_async.sandbox.github import apps, shapes
from prow_async.sandbox.github.call import Call, Content, Route
from prow_async.sandbox.github.records import App
from prow_async.sandbox.github.refusal import missing


def myself(call: Call) -> Content:
    app = _app(call)
    about = {"id": app.id, "slug": app.slug, "name": app.slug, "node_id": shapes.node_id("A", app.id)}
    return Content(
        200, about | {"permissions": app.permissions, "events": [], "installations_count": len(app.installations)}
    )


def installations(call: Call) -> Content:
    app = _app(call)
    return call.page(list(app.installations), lambda org: _installation(call, app, org))


def of_org(call: Call) -> Content:
    """Show the installation of an organization, or of the one a repository belongs to."""
    app = _app(call)
    owner = call.repo.org if "repo" in call.params else call.org
    if owner.lower() not in app.installations:
        raise missing()
    return Content(200, _installation(call, app, owner.lower()))


def all_of_org(call: Call) -> Content:
    """List the Apps installed in an organization."""
    owner = call.world.org(call.org).account.login.lower()
    found = [_installation(call, app, owner) for app in call.world.apps.values() if owner in app.installations]
    return Content(200, {"total_count": len(found), "installations": found})


def new_token(call: Call) -> Content:
    app = _app(call)
    org = next((name for name, number in app.installations.items() if number == call.number), None)
    if org is None:
        raise missing()
    token, expires_s = apps.new_token(call.world, app, org, call.now_s)
    content: shapes.Json = {"token": token, "expires_at": shapes.instant(expires_s), "permissions": app.permissions}
    return Content(201, content | {"repository_selection": "all"})


def _app(call: Call) -> App:
    if call.app is None:
        raise missing()
    return call.app


def _installation(call: Call, app: App, org: str) -> shapes.Json:
    account = shapes.user(call.world, org)
    url = f"{call.world.address}/app/installations/{app.installations[org]}"
    return {
        "id": app.installations[org],
        "app_id": app.id,
        "app_slug": app.slug,
        "target_type": account["type"],
        "account": account,
        "access_tokens_url": f"{url}/access_tokens",
        "repository_selection": "all",
        "permissions": app.permissions,
        "events": [],
        "suspended_at": None,
    }


ROUTES = (
    Route("GET", "/app", myself),
    Route("GET", "/app/installations", installations),
    Route("POST", "/app/installations/{number:int}/access_tokens", new_token),
    Route("GET", "/orgs/{org}/installation", of_org),
    Route("GET", "/repos/{org}/{repo}/installation", of_org),
    Route("GET", "/orgs/{org}/installations", all_of_org),
)


def is_asked_as_app(path: str) -> bool:
    """Say whether an address is for Apps, which come with a JWT."""
    return path == "/app" or path.startswith("/app/") or path.endswith("/installation")
