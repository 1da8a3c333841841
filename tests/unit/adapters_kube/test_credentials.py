"""Loading credentials and renewing them."""

import base64
import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from prow_async.adapters.kube.credentials import CHECK_S, Access, Credentials, Source
from prow_async.api.errors import Retry
from tests.unit.adapters_kube import servers

pytestmark = pytest.mark.anyio
SERVER = "http://127.0.0.1:1"


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _credentials(tmp_path: Path, user: dict[str, Any], clock: Clock) -> Credentials:
    file = servers.kubeconfig(tmp_path / "config", SERVER, user)
    return Credentials(Source("x", (file,), "x"), monotonic_s=clock)


def _token(access: Access) -> str | None:
    return access.headers.get("Authorization")


@pytest.mark.parametrize(
    ("user", "headers"),
    [
        ({"token": "t"}, {"Authorization": "Bearer t"}),
        ({"username": "u", "password": "p"}, {"Authorization": "Basic dTpw"}),
        ({}, {}),
        ({"token": "t", "as": "other"}, {"Authorization": "Bearer t", "Impersonate-User": "other"}),
    ],
)
async def test_what_a_user_entry_becomes(
    tmp_path: Path, clock: Clock, user: dict[str, Any], headers: dict[str, str]
) -> None:
    """Each form of static credentials becomes its headers."""
    access = await _credentials(tmp_path, user, clock).current()
    assert (access.host, dict(access.headers)) == (SERVER, headers)


async def test_a_token_file_is_read_again(tmp_path: Path, clock: Clock) -> None:
    """A rotated token is in use within a minute, without its trailing newline; a file in the way changes nothing."""
    file = tmp_path / "token"
    file.write_text("one\n")
    credentials = _credentials(tmp_path, {"tokenFile": "token"}, clock)
    assert _token(await credentials.current()) == "Bearer one"
    file.write_text("two\n")
    assert _token(await credentials.current()) == "Bearer one"
    clock.now_s += CHECK_S
    assert _token(await credentials.current()) == "Bearer two"
    file.unlink()
    clock.now_s += CHECK_S
    assert _token(await credentials.current()) == "Bearer two"


async def test_the_pods_own_account(tmp_path: Path, clock: Clock) -> None:
    """Without its certificate the pod's account does not load, and the text says so."""
    (tmp_path / "token").write_text("t")
    source = Source("", in_cluster=True, token_file=str(tmp_path / "token"))
    environ = {"KUBERNETES_SERVICE_HOST": "::1", "KUBERNETES_SERVICE_PORT": "443"}
    with pytest.raises(Retry, match=r"cluster 'infra' \(this pod's service account\): .*ertification file"):
        await Credentials(source, environ, clock).current()


async def test_a_plugin_without_expiry_runs_once(tmp_path: Path, clock: Clock) -> None:
    """Its token is good until the server refuses it; then the plugin runs again, but not for every refusal."""
    credentials = _credentials(tmp_path, servers.plugin(tmp_path), clock)
    first = await credentials.current()
    clock.now_s += 10 * CHECK_S
    assert _token(await credentials.current()) == "Bearer token-1"
    second = await credentials.renew(first)
    assert _token(second) == "Bearer token-2"
    assert await credentials.renew(first) is second
    assert await credentials.renew(second) is second
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


@pytest.mark.parametrize(("minutes", "calls"), [(60, 1), (4, 2)])
async def test_a_plugins_token_is_renewed_before_it_expires(
    tmp_path: Path, clock: Clock, minutes: int, calls: int
) -> None:
    """Five minutes before its end a new one is fetched."""
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    credentials = _credentials(tmp_path, servers.plugin(tmp_path, expirationTimestamp=end.isoformat()), clock)
    await credentials.current()
    clock.now_s += CHECK_S
    assert _token(await credentials.current()) == f"Bearer token-{calls}"


async def test_a_plugin_that_fails(tmp_path: Path, clock: Clock) -> None:
    """Retry with what the plugin said; it is not run again for each request, but after some seconds."""
    user = servers.plugin(tmp_path)
    script = tmp_path / "plugin"
    working = script.read_text()
    script.write_text("#!/bin/sh\necho log in first >&2\nexit 3\n")
    credentials = _credentials(tmp_path, user, clock)
    with pytest.raises(Retry, match=r"process returned 3\. log in first"):
        await credentials.current()
    script.write_text(working)
    with pytest.raises(Retry, match="log in first"):
        await credentials.current()
    clock.now_s += 6
    assert _token(await credentials.current()) == "Bearer token-1"


async def test_errors_hold_no_secret(tmp_path: Path, clock: Clock) -> None:
    """A plugin entry that lacks its command is told without the environment beside it."""
    user = {"exec": {"apiVersion": "v1", "env": [{"name": "KEY", "value": "s3cret"}]}, "password": "s3cret"}
    with pytest.raises(Retry) as caught:
        await _credentials(tmp_path, user, clock).current()
    assert "missing key 'command'" in caught.value.why
    assert "s3cret" not in caught.value.why


async def test_a_changed_kubeconfig_is_read_again(tmp_path: Path, clock: Clock) -> None:
    """Within a minute, and at once after a 401, whatever it held before."""
    credentials = _credentials(tmp_path, servers.plugin(tmp_path), clock)
    assert _token(await credentials.current()) == "Bearer token-1"
    servers.kubeconfig(tmp_path / "config", SERVER, {**servers.plugin(tmp_path), "as": "somebody"})
    clock.now_s += CHECK_S
    first = await credentials.current()
    assert first.headers == {"Authorization": "Bearer token-2", "Impersonate-User": "somebody"}
    servers.kubeconfig(tmp_path / "config", SERVER, {"token": "second"})
    assert _token(await credentials.renew(first)) == "Bearer second"


def _jwt(minutes: float) -> str:
    end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)).timestamp()
    claims = base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")
    return f"e30.{claims}.x"


@pytest.mark.parametrize("minutes", [-1.0, 4.0, 60.0])
async def test_an_id_token_is_refreshed_before_it_expires(tmp_path: Path, clock: Clock, minutes: float) -> None:
    """An ID token with less than five minutes left is exchanged at the issuer; the refresh token rotates."""
    old, fresh = _jwt(minutes), [_jwt(60.0), _jwt(61.0)]
    asked: list[str] = []

    async def issuer(request: web.Request) -> web.Response:
        if request.path.endswith("/.well-known/openid-configuration"):
            return web.json_response({"token_endpoint": f"{request.url.origin()}/token"})
        asked.append(str((await request.post())["refresh_token"]))
        assert request.headers["Authorization"] == "Basic Y2xpZW50OnB3"
        return web.json_response({"id_token": fresh[len(asked) - 1], "refresh_token": f"r{len(asked)}"})

    async with servers.serving(issuer) as url:
        config = {
            "id-token": old, "refresh-token": "r0", "idp-issuer-url": f"{url}/", "client-id": "client",
            "client-secret": "pw",
        }  # fmt: skip
        user = {"auth-provider": {"name": "oidc", "config": config}}
        credentials = _credentials(tmp_path, user, clock)
        first = await credentials.current()
        good = minutes > 5
        assert _token(first) == f"Bearer {old if good else fresh[0]}"
        second = await credentials.renew(first)
        assert _token(second) == f"Bearer {fresh[0] if good else fresh[1]}"
    assert asked == (["r0"] if good else ["r0", "r1"])


@pytest.mark.parametrize(
    ("answer", "told"),
    [({}, "without an id_token"), (None, "gave no new ID token: ClientResponseError")],
)
async def test_an_issuer_that_gives_nothing(tmp_path: Path, clock: Clock, answer: Any, told: str) -> None:
    """Retry, with what happened."""

    async def issuer(request: web.Request) -> web.Response:
        if answer is None:
            return web.Response(status=400)
        return web.json_response({"token_endpoint": f"{request.url.origin()}/token", **answer})

    async with servers.serving(issuer) as url:
        config = {"refresh-token": "r0", "idp-issuer-url": url, "client-id": "c"}
        credentials = _credentials(tmp_path, {"auth-provider": {"name": "oidc", "config": config}}, clock)
        with pytest.raises(Retry, match=told):
            await credentials.current()


async def test_an_id_token_without_a_way_to_a_new_one(tmp_path: Path, clock: Clock) -> None:
    """The text names the missing settings."""
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": "no.jwt"}}}
    with pytest.raises(Retry, match="needs refresh-token, idp-issuer-url and client-id"):
        await _credentials(tmp_path, user, clock).current()
