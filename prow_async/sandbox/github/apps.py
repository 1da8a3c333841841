"""GitHub Apps: who proves to be one with a JWT, where it is installed, and the tokens it is given.

Source: docs.github.com, authenticating as a GitHub App and as an installation. JWTs need the `app` extra.
"""

import re
from typing import Any

from prow_async.sandbox.github.records import App
from prow_async.sandbox.github.refusal import Refusal
from prow_async.sandbox.github.registry import Registry

TOKEN_LIFE_S = 3600.0
JWT_LIFE_S = 600.0


def add(world: Registry, slug: str, public_key: bytes, organizations: tuple[str, ...]) -> App:
    """Make an App and install it; it acts as the bot `SLUG[bot]`, which may write everywhere."""
    account = world.add_user(f"{slug}[bot]", kind="Bot")
    account.everywhere = True
    app = App(world.next_id(), slug, public_key, account)
    for org in organizations:
        app.installations[world.org(org).account.login.lower()] = world.next_id()
    world.apps[app.id] = app
    return app


def proven(world: Registry, token: str, now_s: float) -> App:
    """Return the App whose JWT this is. Raises Refusal (401) in GitHub's words."""
    try:
        import jwt
    except ImportError:
        raise Refusal(401, "This GitHub cannot read JSON web tokens: install prow_async[app]") from None
    wrong = Refusal(401, "A JSON web token could not be decoded")
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        app = world.apps[int(claims.get("iss", 0))]
        jwt.decode(token, app.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False})
        issued_s, expires_s = float(claims["iat"]), float(claims["exp"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        raise wrong from None
    if expires_s <= now_s:
        raise Refusal(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time")
    if expires_s > now_s + JWT_LIFE_S or issued_s > now_s + 60:
        raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")
    return app


def new_token(world: Registry, app: App, org: str, now_s: float) -> tuple[str, float]:
    """Give an installation a token, good for its organization alone; return it and when it expires."""
    token, expires_s = f"ghs_{world.new_secret()}", now_s + TOKEN_LIFE_S
    world.add_token(app.account.login, token, expires_s)
    world.bind_token(token, app, org)
    return token, expires_s


_NEEDS = (
    (re.compile(r"/repos/[^/]+/[^/]+/statuses/.*|.*/commits/.*/status(?:es)?"), ("statuses",)),
    (re.compile(r".*/check-runs.*"), ("checks",)),
    (re.compile(r".*/actions/.*"), ("actions",)),
    (re.compile(r"/repos/[^/]+/[^/]+/hooks.*"), ("repository_hooks",)),
    (re.compile(r"/orgs/[^/]+/hooks.*"), ("organization_hooks",)),
    (re.compile(r"/orgs/[^/]+/(?:members|memberships|teams).*"), ("members",)),
    (re.compile(r".*/(?:contents|git|branches|merges|compare)(?:/.*)?"), ("contents",)),
    (re.compile(r".*/issues/[0-9]+/(?:comments|labels|assignees).*|.*/issues/comments.*"), ("issues", "pull_requests")),
    (re.compile(r".*/pulls.*"), ("pull_requests",)),
    (re.compile(r".*/(?:issues|labels|milestones).*"), ("issues",)),
)
"""What a path needs, one of several; the first that fits. Source: docs.github.com, permissions of GitHub Apps."""


def check_rights(scope: tuple[App, str], method: str, path: str, org: str) -> None:
    """Deny what an installation may not do: to write elsewhere, or without the permission. Raises Refusal (403)."""
    app, own = scope
    reads = method == "GET"
    refused = Refusal(403, "Resource not accessible by integration")
    if path == "/user" or (org and org.lower() != own and not reads):
        raise refused
    needed = next((names for pattern, names in _NEEDS if pattern.fullmatch(path)), ())
    enough = ("read", "write") if reads else ("write",)
    if app.permissions and needed and not any(app.permissions.get(name) in enough for name in needed):
        raise refused
