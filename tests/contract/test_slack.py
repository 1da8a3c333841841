"""Slack's Web API as the client speaks to it: the shape of its requests, and what each answer means."""

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from prow_async.adapters import outgoing
from prow_async.adapters.slack import SlackClient
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from tests.contract.outlet_servers import Server, serving

pytestmark = pytest.mark.anyio
TOKENS = {"*": lambda: "xoxb-default", "other": lambda: "xoxb-other"}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.answer(200, {"ok": True, "ts": "1.2"})
        yield server


async def post(server: Server, host: str = "*", channel: str = "#ci", text: str = "Job <x> & y: ✗") -> None:
    async with outgoing.opened("crier") as sender:
        await SlackClient(sender, TOKENS, f"{server.url}/api/").post(host, channel, text)


@pytest.mark.parametrize(("host", "token"), [("*", "xoxb-default"), ("other", "xoxb-other")])
async def test_the_request(server: Server, host: str, token: str) -> None:
    """A form with upstream's name and icon, and the token of the host."""
    await post(server, host)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/api/chat.postMessage")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(seen.body.decode(), strict_parsing=True) == {
        "username": ["prow"],
        "icon_emoji": [":prow:"],
        "token": [token],
        "channel": ["#ci"],
        "text": ["Job <x> & y: ✗"],
    }


async def test_a_host_without_a_token(server: Server) -> None:
    """Nothing is sent; the error says which hosts there are."""
    with pytest.raises(Refused, match=r"no Slack token is known for host 'nowhere' \(there are: \*, other\)"):
        await post(server, "nowhere")
    assert server.seen == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (200, {"ok": False, "error": "channel_not_found"}, Missing, 404),
        (200, {"ok": False, "error": "is_archived"}, Missing, 404),
        (200, {"ok": False, "error": "not_in_channel"}, Refused, 403),
        (200, {"ok": False, "error": "invalid_auth"}, Refused, 403),
        (200, {"ok": False, "error": "msg_too_long"}, Refused, 422),
        (200, {"ok": False}, Refused, 422),
        (200, {}, Refused, 422),
        (200, {"ok": False, "error": "ratelimited"}, Retry, None),
        (200, {"ok": False, "error": "internal_error"}, Retry, None),
        (500, {}, Retry, 500),
        (503, b"<html>", Retry, 503),
        (200, b"<html>", Retry, 200),
        (404, {"ok": False, "error": "unknown_method"}, Refused, 422),
        (302, {"ok": True}, Refused, 422),
    ],
)
async def test_answers(server: Server, status: int, body: object, kind: type[ProwError], said: int | None) -> None:
    server.answer(status, body)
    with pytest.raises(kind) as caught:
        await post(server)
    assert isinstance(caught.value, Refused | Retry)
    assert caught.value.status == said
    assert "xoxb" not in str(caught.value)


async def test_a_rate_limit_is_waited_for(server: Server) -> None:
    server.answer(429, {"ok": False, "error": "ratelimited"}, Retry_After="30")
    with pytest.raises(Retry) as caught:
        await post(server)
    assert caught.value.after_s == 30


async def test_an_answer_in_pieces(server: Server) -> None:
    """It is read to its end: half of it would be trouble, and the message sent again."""
    server.pieces = True
    await post(server)
    assert len(server.seen) == 1


@pytest.mark.parametrize("endpoint", ["http://[", "nonsense"])
async def test_no_address(endpoint: str) -> None:
    async with outgoing.opened("crier") as sender:
        with pytest.raises(Refused, match="this is no address"):
            await SlackClient(sender, TOKENS, endpoint).post("*", "c", "t")


async def test_nobody_there(server: Server) -> None:
    """Neither a cut connection nor a closed port is more than trouble for now."""
    server.cut = True
    with pytest.raises(Retry):
        await post(server)
    async with outgoing.opened("crier") as sender:
        with pytest.raises(Retry, match="127.0.0.1"):
            await SlackClient(sender, TOKENS, "http://127.0.0.1:1").post("*", "c", "t")
