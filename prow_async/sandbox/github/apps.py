"""GitHub Apps: who proves to be one with a JWT, where it is installed, and the tokens it is given.

Source: docs.github.com, authenticating as a GitHub App and as an installation. JWTs need the `app` extra.
"""

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


def new_token(world: Registry, app: App, now_s: float) -> tuple[str, float]:
    """Give an installation a token; return it and when it expires."""
    token, expires_s = f"ghs_{world.new_secret()}", now_s + TOKEN_LIFE_S
    world.add_token(app.account.login, token, expires_s)
    return token, expires_s
