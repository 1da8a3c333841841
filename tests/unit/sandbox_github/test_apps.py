"""GitHub Apps: JWTs that prove one, and the tokens of their installations."""

from functools import cache
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from prow_async.sandbox.github import apps, rest
from prow_async.sandbox.github.call import Request
from prow_async.sandbox.github.limits import Secondary
from prow_async.sandbox.github.records import App
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def made() -> tuple[World, App]:
    world = sample.make()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key(0).public_key().public_bytes(serialization.Encoding.PEM, form)
    return world, apps.add(world, "prow", public, ("acme",))


def token(app: App, *, of: int = 0, **claims: Any) -> str:
    known = {"iss": str(app.id), "iat": int(NOW_S), "exp": int(NOW_S) + 540}
    return jwt.encode(known | claims, key(of), algorithm="RS256")


def test_an_app_finds_its_installation_and_is_given_a_token() -> None:
    world, app = made()
    proof = token(app)
    assert sample.ask(world, "GET", "/app", token=proof)[1]["slug"] == "prow"
    (listed,) = sample.ask(world, "GET", "/app/installations", token=proof)[1]
    assert sample.ask(world, "GET", "/repos/acme/app/installation", token=proof)[1]["id"] == listed["id"]
    answer, given = sample.ask(world, "POST", f"/app/installations/{listed['id']}/access_tokens", token=proof)
    assert (answer.status, given["expires_at"]) == (201, "2023-11-14T23:13:20Z")
    installed = {"authorization": f"Bearer {given['token']}"}
    path = "/repos/acme/app"
    assert sample.ask(world, "GET", path, token=given["token"])[0].status == 200
    assert sample.ask(world, "GET", "/user", token=given["token"])[0].status == 403
    late = rest.handle(world, Request("GET", path, installed), NOW_S + 3601)
    assert late.status == 401
    assert sample.ask(world, "POST", "/app/installations/99/access_tokens", token=proof)[0].status == 404


@pytest.mark.parametrize(
    ("claims", "of"),
    [
        ({"exp": int(NOW_S) - 1}, 0),
        ({"exp": int(NOW_S) + 7200}, 0),
        ({"iss": "999"}, 0),
        ({"iss": "x"}, 0),
        ({}, 1),
    ],
)
def test_what_proves_nothing(claims: dict[str, Any], of: int) -> None:
    world, app = made()
    assert sample.ask(world, "GET", "/app", token=token(app, of=of, **claims))[0].status == 401


def test_a_jwt_without_signature_and_one_elsewhere_are_refused() -> None:
    world, app = made()
    bare = jwt.encode({"iss": str(app.id), "iat": int(NOW_S), "exp": int(NOW_S) + 60}, "", algorithm="none")
    assert sample.ask(world, "GET", "/app", token=bare)[0].status == 401
    assert sample.ask(world, "GET", "/repos/acme/app", token=token(app))[0].status == 401
    assert sample.ask(world, "GET", "/app")[0].status == 404


def test_the_webhook_of_an_app() -> None:
    """It hears of the organizations that have the App and of no other, and its log is the App's to read."""
    world, app = made()
    world.add_repo("other", "repo", now_s=NOW_S)
    hook = world.add_app_hook(app, "http://app.invalid/", b"secret", now_s=NOW_S)
    world.push_branch("acme", "app", "main", ["a"], by="olga", now_s=NOW_S)
    world.push_branch("other", "repo", "main", ["a"], by="olga", now_s=NOW_S)
    sent = list(iter(lambda: world.outbox.take(hook.id), None))
    assert [one.event for one in sent] == ["ping", "push"]
    assert sent[1].headers()["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert msgspec.json.decode(sent[1].body)["installation"]["id"] == app.installations["acme"]
    proof = token(app)
    assert sample.ask(world, "GET", "/app/hook/config", token=proof)[1]["url"] == "http://app.invalid/"
    (push, ping) = sample.ask(world, "GET", "/app/hook/deliveries", token=proof)[1]
    assert (push["event"], push["installation_id"], ping["event"]) == ("push", app.installations["acme"], "ping")
    again, _ = sample.ask(world, "POST", f"/app/hook/deliveries/{push['id']}/attempts", token=proof)
    assert again.status == 202
    assert [one.guid for one in world.outbox.waiting()] == [push["guid"]]
    assert sample.ask(world, "GET", "/app/hook/deliveries")[0].status == 404


def installed(world: World, app: App, org: str = "acme") -> str:
    path = f"/app/installations/{app.installations[org]}/access_tokens"
    given: str = sample.ask(world, "POST", path, token=token(app))[1]["token"]
    return given


def test_an_installation_ends_at_its_organization() -> None:
    """Elsewhere it reads what everybody may, writes nothing, and private repositories are not there."""
    world, app = made()
    world.add_repo("other", "open", now_s=NOW_S)
    world.add_repo("other", "secret", private=True, now_s=NOW_S)
    world.add_repo("acme", "private", private=True, now_s=NOW_S)
    ours = installed(world, app)
    statuses = {
        path: sample.ask(world, "GET", f"/repos/{path}", token=ours)[0].status
        for path in ("acme/private", "other/open", "other/secret")
    }
    assert statuses == {"acme/private": 200, "other/open": 200, "other/secret": 404}
    assert sample.ask(world, "POST", "/repos/acme/app/labels", {"name": "x"}, token=ours)[0].status == 201
    answer, said = sample.ask(world, "POST", "/repos/other/open/labels", {"name": "x"}, token=ours)
    assert (answer.status, said["message"]) == (403, "Resource not accessible by integration")


def test_an_installation_has_only_its_permissions() -> None:
    world, app = made()
    number = sample.open_pull(world)
    app.permissions = {"issues": "read", "statuses": "write", "pull_requests": "read"}
    ours = installed(world, app)
    sha = world.pull("acme", "app", number).head.sha

    def status(method: str, path: str, content: Any = None) -> int:
        return sample.ask(world, method, path, content, token=ours)[0].status

    assert status("POST", f"/repos/acme/app/statuses/{sha}", {"state": "success"}) == 201
    assert status("GET", f"/repos/acme/app/issues/{number}/comments") == 200
    assert status("POST", f"/repos/acme/app/issues/{number}/comments", {"body": "x"}) == 403
    assert status("GET", "/orgs/acme/hooks") == 403
    assert status("GET", "/repos/acme/app") == 200


def test_each_installation_has_its_own_budget() -> None:
    world, app = made()
    world.add_repo("other", "open", now_s=NOW_S)
    app.installations["other"] = world.next_id()
    ours, theirs = installed(world, app), installed(world, app, "other")
    world.limits.limit = 1
    for each in (ours, theirs):
        assert sample.ask(world, "GET", "/repos/other/open", token=each)[0].status == 200
        assert sample.ask(world, "GET", "/repos/other/open", token=each)[0].status == 403


def test_secondary_limits() -> None:
    """Too many writes a minute are refused with the time to wait, and taken again after it."""
    world = sample.make()
    number = sample.open_pull(world)
    world.secondary = Secondary(points=900, writes=3)
    path = f"/repos/acme/app/issues/{number}/comments"
    answers = [sample.ask(world, "POST", path, {"body": "x"})[0] for _ in range(4)]
    assert [answer.status for answer in answers] == [201, 201, 201, 403]
    assert answers[3].headers["retry-after"] == "60"
    assert b"secondary rate limit" in answers[3].body
    world.secondary = Secondary(points=2)
    assert [sample.ask(world, "GET", path)[0].status for _ in range(3)] == [200, 200, 403]
