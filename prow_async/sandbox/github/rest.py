"""The REST side of the world: one request in, one answer out, with GitHub's rules around every route.

In order: who asks (401), the hourly budget (403), the route (404), the body (400), the handler, then ETag and 304.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from prow_async.sandbox.github import apps, steps
from prow_async.sandbox.github.areas import (
    checks,
    gitdata,
    installations,
    issues,
    people,
    planning,
    protection,
    pulls,
    repos,
    reviews,
    search,
    statuses,
    teams,
    webhooks,
)
from prow_async.sandbox.github.call import Answer, Call, Content, Request, Route
from prow_async.sandbox.github.git.command import Failed
from prow_async.sandbox.github.graph import answer as graph
from prow_async.sandbox.github.limits import Bucket
from prow_async.sandbox.github.pages import site
from prow_async.sandbox.github.records import App
from prow_async.sandbox.github.refusal import Refusal, missing
from prow_async.sandbox.github.world import World

ROUTES: tuple[Route, ...] = (
    *people.ROUTES,
    *teams.ROUTES,
    *protection.ROUTES,
    *repos.ROUTES,
    *statuses.ROUTES,
    *checks.ROUTES,
    *gitdata.ROUTES,
    *issues.ROUTES,
    *planning.ROUTES,
    *pulls.ROUTES,
    *reviews.ROUTES,
    *search.ROUTES,
    *webhooks.ROUTES,
    *graph.ROUTES,
    *installations.ROUTES,
)
"""The first that fits answers: those with a path of any length come after those that end in a word of their own."""
_BY_METHOD: dict[str, list[Route]] = {}
for _route in ROUTES:
    _BY_METHOD.setdefault(_route.method, []).append(_route)

_AUTHORIZATION = re.compile(r"(?:bearer|token) +(\S+)", re.IGNORECASE)
GRAPHQL = "/graphql"
_FREE_PATHS = ("/rate_limit",)
"""Paths that cost nothing."""


def handle(world: World, request: Request, now_s: float) -> Answer:
    """Answer one request, doing all its work here. Never raises: what is wrong becomes a status, as on GitHub."""
    return steps.run_here(answering(world, request, now_s))


def answering(world: World, request: Request, now_s: float) -> steps.Steps[Answer]:
    """Answer one request in steps, for a door that has threads for the work between. Never raises, as `handle`."""
    path, _, query = request.path.partition("?")
    if request.method != "GET":
        world.changes += 1
    page = yield from site.find(world, request, now_s)
    if page is not None:
        return Answer(page.status, {"x-content-type-options": "nosniff", **page.headers}, page.raw or b"")
    try:
        who = _asker(world, path, request.headers.get("authorization", ""), now_s)
    except Refusal as refusal:
        return _refused(refusal, {})
    limits = world.graphql_limits if path == GRAPHQL else world.limits
    bucket = limits.bucket(who.budget, now_s)
    if path not in _FREE_PATHS:
        if bucket.exhausted:
            message = f"API rate limit exceeded for user ID {world.account(who.login).id}."
            if path == GRAPHQL:
                body = {"errors": [{"type": "RATE_LIMITED", "message": message}]}
                return _answer(request, Content(200, body), bucket)
            return _refused(Refusal(403, message), bucket.headers())
        bucket.used += 1
    pause_s = world.secondary.ask(who.budget, request.method, now_s) if world.secondary else None
    if pause_s is not None:
        message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return _refused(Refusal(403, message), bucket.headers() | {"retry-after": str(math.ceil(pause_s))})
    try:
        target = (path, dict(parse_qsl(query, keep_blank_values=True)))
        call = Call(world, who.login, now_s, {}, target)
        call.app, call.scope = who.app, who.scope
        content = yield from _perform(call, request)
    except Refusal as refusal:
        return _refused(refusal, bucket.headers())
    except Failed as failed:
        return _refused(Refusal(500, f"Server Error: {failed}"), bucket.headers())
    if request.method != "GET":
        world.changes += 1  # also after what the handler waited for
    return _answer(request, content, bucket)


def _perform(call: Call, request: Request) -> steps.Steps[Content]:
    for route in _BY_METHOD.get(request.method, ()):
        params = route.match(call.path)
        if params is not None:
            call.params = params
            _check_seen(call)
            if call.scope is not None:
                apps.check_rights(call.scope, request.method, call.path, call.params.get("org", ""))
            call.accept = request.headers.get("accept", "")
            if request.method != "GET":
                call.content = _decode(request.body)
            content = route.handler(call)
            return content if isinstance(content, Content) else (yield from content)
    raise missing()


def _check_seen(call: Call) -> None:
    """Deny that a private repository is there to who has nothing to do with it. Raises Refusal (404)."""
    if "org" in call.params and "repo" in call.params:
        repo = call.world.repositories.get((call.org.lower(), call.repo_name.lower()))
        elsewhere = call.scope is not None and call.org.lower() != call.scope[1]
        if repo is not None and repo.private and (elsewhere or call.world.permission(repo, call.login) is None):
            raise missing()


class _Asker(NamedTuple):
    """Who asks: an account; the App that asks as itself; the App and organization whose installation asks."""

    login: str
    app: App | None = None
    scope: tuple[App, str] | None = None

    @property
    def budget(self) -> str:
        """Whose budget is used: each installation has its own."""
        return f"{self.login} {self.scope[1]}" if self.scope else self.login


def _asker(world: World, path: str, authorization: str, now_s: float) -> _Asker:
    """Return who asks. Raises Refusal (401)."""
    if not authorization:
        raise Refusal(401, "Requires authentication")
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    token = found.group(1) if found else ""
    if token.count(".") == 2 and installations.is_asked_as_app(path):
        app = apps.proven(world, token, now_s)
        return _Asker(app.account.login, app)
    login = world.login_of(token, now_s) if token else None
    if login is None:
        raise Refusal(401, "Bad credentials")
    return _Asker(login, scope=world.scope_of(token))


def _decode(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal(400, "Problems parsing JSON") from None
    if not isinstance(content, dict | list):
        raise Refusal(400, "Body should be a JSON object")
    return content


def _answer(request: Request, content: Content, bucket: Bucket) -> Answer:
    body = b"" if content.content is None else msgspec.json.encode(content.content)
    body = body if content.raw is None else content.raw
    headers = _usual_headers(body) | content.headers
    if request.method == "GET" and content.status == 200 and body:
        etag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        headers |= {"etag": etag, "cache-control": "private, max-age=60, s-maxage=60"}
        if _matches(request.headers.get("if-none-match", ""), etag):
            if request.path.partition("?")[0] not in _FREE_PATHS:
                bucket.used -= 1
            return Answer(304, headers | bucket.headers(), b"")
    return Answer(content.status, headers | bucket.headers(), body)


def _matches(wanted: str, etag: str) -> bool:
    """Compare weakly, as RFC 9110 section 13.1.2 has it for If-None-Match."""
    known = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
    return etag.removeprefix("W/") in known


def _refused(refusal: Refusal, headers: Mapping[str, str]) -> Answer:
    body = refusal.body()
    return Answer(refusal.status, _usual_headers(body) | dict(headers), body)


def _usual_headers(body: bytes) -> dict[str, str]:
    headers = {
        "x-github-media-type": "github.v3; format=json",
        "x-github-api-version-selected": "2022-11-28",
        "x-oauth-scopes": "admin:org_hook, admin:repo_hook, repo",
        "vary": "Accept, Authorization",
        "x-content-type-options": "nosniff",
    }
    if body:
        headers["content-type"] = "application/json; charset=utf-8"
    return headers
