"""Google's Pub/Sub as the client speaks to it, and how it gets its tokens."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from prow_async.adapters import google_tokens, logs, outgoing, pubsub
from prow_async.adapters.google_tokens import Account, Tokens
from prow_async.api.errors import CannotStart, Missing, ProwError, Refused, Retry
from prow_async.ports import permit
from tests.contract.outlet_servers import Server, serving

pytestmark = pytest.mark.anyio
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer(200, {"messageIds": ["1"]})
        yield server


async def publish(server: Server, topic: str = "t") -> None:
    async with outgoing.opened("crier") as sender:
        await pubsub.PubSub(sender, None, pubsub.endpoint_of(server.host)).publish("proj", topic, b'{"status":"x"}')


async def test_the_request(server: Server) -> None:
    """One message, its data in base64, no attributes; an emulator gets no token."""
    await publish(server)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v1/projects/proj/topics/t:publish")
    assert seen.headers["content-type"] == "application/json"
    assert "authorization" not in seen.headers
    assert json.loads(seen.body) == {"messages": [{"data": base64.b64encode(b'{"status":"x"}').decode()}]}


async def test_no_message_without_its_permit(server: Server) -> None:
    """A token may take its time: whether the message may still go is asked when it does."""

    def gone() -> None:
        raise Retry("not yours any more")

    with permit.needed(gone), pytest.raises(Retry, match="not yours"):
        await publish(server)
    assert server.seen == []


async def test_names_cannot_lead_elsewhere(server: Server) -> None:
    await publish(server, "../x?y#z")
    assert server.seen[0].path == "/v1/projects/proj/topics/..%2Fx%3Fy%23z:publish"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, Retry) for status in (429, 500, 502, 503, 504, 202)],
        *[(status, Refused) for status in (400, 401, 403)],
        (404, Missing),
    ],
)
async def test_answers(server: Server, status: int, kind: type[ProwError]) -> None:
    server.answer(status, {"error": {"code": status, "message": "Resource not found", "status": "NOT_FOUND"}})
    with pytest.raises(kind) as caught:
        await publish(server)
    assert isinstance(caught.value, Refused | Retry)
    assert caught.value.status == status
    assert str(caught.value) == f"publishing to projects/proj/topics/t: {status} NOT_FOUND Resource not found"


async def test_an_answer_that_is_no_json(server: Server) -> None:
    server.answer(503, b"<html>", Retry_After="7")
    with pytest.raises(Retry) as caught:
        await publish(server)
    assert caught.value.after_s == 7


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_service_account(server: Server) -> None:
    """It signs its tokens itself, for this API alone; one is good for most of an hour, another one after a 401."""
    account = Account(type="service_account", client_email="ci@x", private_key=PEM, private_key_id="k1")
    clock, censor = Clock(), logs.Censor()
    async with outgoing.opened("crier") as sender:
        tokens = Tokens(sender, "https://pubsub.googleapis.com/", account, censor, clock)
        client = pubsub.PubSub(sender, tokens, server.url)
        for later_s in (0, 3000, 600):
            clock.now_s += later_s
            await client.publish("p", "t", b"x")
        server.answer(401, {})
        clock.now_s += 1
        for _ in range(2):
            with pytest.raises(Refused):
                await client.publish("p", "t", b"x")
    sent = [seen.headers["authorization"].removeprefix("Bearer ") for seen in server.seen]
    assert [sent.index(token) for token in sent] == [0, 0, 2, 2, 4]
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(
        sent[0], KEY.public_key(), algorithms=["RS256"], audience="https://pubsub.googleapis.com/", options=options
    )
    assert (claims["iss"], claims["sub"], claims["exp"] - claims["iat"]) == ("ci@x", "ci@x", 3600)
    assert jwt.get_unverified_header(sent[0])["kid"] == "k1"
    assert sent[0].encode() not in censor(f"token {sent[0]}".encode())


async def test_a_key_that_is_none(server: Server) -> None:
    account = Account(type="service_account", client_email="ci@x", private_key="nonsense")
    async with outgoing.opened("crier") as sender:
        tokens = Tokens(sender, "a", account, logs.Censor())
        with pytest.raises(Refused, match="no RSA key as PEM") as caught:
            await pubsub.PubSub(sender, tokens, server.url).publish("p", "t", b"x")
    assert "nonsense" not in str(caught.value)
    assert server.seen == []


async def test_a_persons_login(server: Server) -> None:
    """What gcloud keeps is exchanged for a token at the address that it names."""
    server.answer(200, {"access_token": "ya29.person", "expires_in": 3599})
    account = Account("authorized_user", "", "", "", "id", "secret", "refresh", f"{server.url}/token")
    async with outgoing.opened("crier") as sender:
        assert await Tokens(sender, "a", account, logs.Censor()).token() == "ya29.person"
    (seen,) = server.seen
    assert seen.path == "/token"
    assert parse_qs(seen.body.decode()) == {
        "grant_type": ["refresh_token"],
        "client_id": ["id"],
        "client_secret": ["secret"],
        "refresh_token": ["refresh"],
    }


async def test_the_machines_own(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the metadata server is asked; once, while its token is good."""
    monkeypatch.setenv("GCE_METADATA_HOST", server.host)
    server.answer(200, {"access_token": "ya29.machine", "expires_in": 1000, "token_type": "Bearer"})
    clock = Clock()
    async with outgoing.opened("crier") as sender:
        tokens = Tokens(sender, "a", None, logs.Censor(), clock)
        assert [await tokens.token() for _ in range(3)] == ["ya29.machine"] * 3
        clock.now_s += 900
        await tokens.token()
    assert [seen.path for seen in server.seen] == ["/computeMetadata/v1/instance/service-accounts/default/token"] * 2
    assert server.seen[0].headers["metadata-flavor"] == "Google"


@pytest.mark.parametrize(("status", "body", "kind"), [(500, {}, Retry), (404, {}, Refused), (200, b"<", Retry)])
async def test_no_token(
    server: Server, monkeypatch: pytest.MonkeyPatch, status: int, body: object, kind: type[ProwError]
) -> None:
    monkeypatch.setenv("GCE_METADATA_HOST", server.host)
    server.answer(status, body)
    async with outgoing.opened("crier") as sender:
        with pytest.raises(kind, match="the metadata server of this machine gives no token"):
            await Tokens(sender, "a", None, logs.Censor()).token()


def test_where_credentials_are_looked_for(tmp_path: Path) -> None:
    """The variable, then gcloud's file, then the machine; a named file must read."""
    assert google_tokens.account_of({}, tmp_path) is None
    usual = tmp_path / ".config/gcloud/application_default_credentials.json"
    usual.parent.mkdir(parents=True)
    usual.write_text('{"type": "authorized_user", "client_id": "usual"}')
    found = google_tokens.account_of({}, tmp_path)
    assert found is not None
    assert found.client_id == "usual"
    named = tmp_path / "named.json"
    for text, why in (("{", "does not read"), ('{"type": "external_account"}', "external_account"), (None, "read")):
        named.unlink(missing_ok=True)
        if text is not None:
            named.write_text(text)
        with pytest.raises(CannotStart, match=why):
            google_tokens.account_of({google_tokens.VARIABLE: str(named)}, tmp_path)
