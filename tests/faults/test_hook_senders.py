"""Senders that are slow, odd, or not who they say they are: each gets its answer, and the next one gets in."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from prow_async.adapters.logs import Censor
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.adapters.web import express, hook, server
from prow_async.apps.hook import TokenFile
from prow_async.core import webhook
from tests.contract.inbox_parts import guid, inbox, waiting
from tests.contract.test_web_hook import BODY, SIZES, headers, request, world

pytestmark = pytest.mark.anyio


EMPTY = b"POST /hook HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
"""Refused by its head alone."""


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        with anyio.fail_after(20):
            head = await self.reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
            return int(head.split(b" ")[1]), await self.reader.readexactly(size)

    async def ended(self) -> bool:
        with anyio.fail_after(20):
            return await self.reader.read() == b""


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def sent(number: int, body: bytes = BODY, **changes: str | None) -> bytes:
    """One whole request as bytes."""
    lines = [f"{name}: {text}" for name, text in headers(body, number, **changes).items()]
    head = ["POST /hook HTTP/1.1", "Host: x", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


async def test_one_byte_at_a_time(tmp_path: Path) -> None:
    async with world(tmp_path) as there, wire(there.url) as one:
        for byte in sent(1):
            await one.say(bytes([byte]))
            await asyncio.sleep(0)
        assert await one.answer() == (200, b"Event received. Have a nice day.")
        assert await waiting(there.inbox) == {guid(1): BODY}


@pytest.mark.parametrize("seed", range(8))
async def test_many_requests_cut_anywhere(tmp_path: Path, seed: int) -> None:
    """1. Twenty requests on one connection, in pieces of any size. 2. As many answers, in order."""
    rng = random.Random(seed)
    wanted: list[int] = []
    data = b""
    for number in range(20):
        kind = rng.choice(("good", "forged", "get", "chunked", "other spelling"))
        body = BODY[:-1] + b',"x":"' + b"y" * rng.choice((0, 10, 70_000)) + b'"}'
        if kind == "good":
            data += sent(number, body)
        elif kind == "forged":
            data += sent(number, body, X_Hub_Signature_256="sha256=00")
        elif kind == "get":
            data += b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        elif kind == "other spelling":
            data += sent(number, body).replace(b"X-GitHub-Event", b"x-github-event")
        else:
            lines = "".join(f"{name}: {text}\r\n" for name, text in headers(body, number).items())
            head = f"POST /hook HTTP/1.1\r\nHost: x\r\n{lines}Transfer-Encoding: chunked\r\n\r\n".encode()
            data += head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        wanted.append(403 if kind == "forged" else 200)
    async with world(tmp_path) as there, wire(there.url) as one, anyio.create_task_group() as group:

        async def speak() -> None:
            at = 0
            while at < len(data):
                step = rng.choice((1, 7, 100, 5000, 200_000))
                await one.say(data[at : at + step])
                at += step
                await asyncio.sleep(0)

        group.start_soon(speak)
        assert [(await one.answer())[0] for _ in wanted] == wanted


async def test_a_head_that_does_not_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Up to a size; then it is refused and the connection closed."""
    async with world(tmp_path) as there, wire(there.url) as one:
        await one.say(b"POST /hook HTTP/1.1\r\nX: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                await one.say(b"x" * 4096)
        assert (await one.reader.read()).split(b" ")[1] == b"400"
        assert all(record.exc_info is None for record in caplog.records), "bad input gives no traceback"
        assert (await there.post())[0] == 200


async def test_many_that_are_refused_in_one_piece(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each hears so, in turn; and the same connection still brings webhooks."""
    async with world(tmp_path) as there, wire(there.url) as one:
        await one.say(EMPTY * 3000 + sent(1))
        assert [(await one.answer())[0] for _ in range(3001)] == [400] * 3000 + [200]
        assert all(record.exc_info is None for record in caplog.records), "bad input gives no traceback"


async def test_who_says_no_more_still_hears_every_answer(tmp_path: Path) -> None:
    """1. Three requests and a half, and the sender's end of the connection is closed. 2. Three answers."""
    async with world(tmp_path) as there, wire(there.url) as one:
        await one.say(b"".join(sent(number) for number in range(3)) + sent(3)[:40])
        one.writer.write_eof()
        assert [(await one.answer())[0] for _ in range(3)] == [200] * 3
        assert await one.ended()
        assert len(await waiting(there.inbox)) == 3


class Deaf(asyncio.Transport):
    """A connection whose peer reads nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.written, self.ended = True, 0, False

    def write(self, data: Any) -> None:
        self.written += len(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.ended

    def abort(self) -> None:
        self.ended = True


async def test_who_reads_no_answers_is_not_read_either(tmp_path: Path) -> None:
    """And is let go in the end, however much is still to be written."""
    async with inbox(tmp_path, SIZES) as box:
        door = hook.HookDoor(lambda: webhook.Tokens({}, "map"), box, PrometheusMetrics())
        front = express.Express({"/hook": door}, asyncio.Protocol)
        transport, connection = Deaf(), front()
        connection.connection_made(transport)
        connection.data_received(EMPTY)
        connection.pause_writing()
        written, came = transport.written, 0
        while transport.reading and came < 100 * express.AHEAD_BYTES:
            connection.data_received(EMPTY * 1000)
            came += len(EMPTY) * 1000
        assert not transport.reading
        assert transport.written == written
        connection.look_at_clock(express.IDLE_S * 1e6)
        assert transport.ended


@pytest.mark.parametrize(
    "spelled",
    [
        {"X-GitHub-Event": "X-GitHub-Event", "Content-Type": "content-type"},
        {"X-GitHub-Event": "X-GitHub-Event", "X-GitHub-Delivery": "X-Github-Delivery"},
        {"X-Hub-Signature-256": "x-hub-signature-256"},
        {"Content-Type": "Content-Type", "application/json": "\t application/json \t"},
    ],
)
async def test_headers_spelled_and_spaced_in_any_way(tmp_path: Path, spelled: dict[str, str]) -> None:
    data = sent(1)
    for usual, here in spelled.items():
        data = data.replace(usual.encode(), here.encode())
    async with world(tmp_path) as there, wire(there.url) as one:
        await one.say(data)
        assert (await one.answer())[0] == 200
        assert await waiting(there.inbox) == {guid(1): BODY}


@pytest.mark.parametrize("begun", ["G", "GET / HTTP/1.1\r\nHost: x\r\n", "\r\n\r\nPUT /hook HTTP/1.1\r\n"])
async def test_half_a_head_of_another_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: str) -> None:
    monkeypatch.setattr(express, "HEAD_S", 0.2)
    async with world(tmp_path) as there, wire(there.url) as one:
        await one.say(begun.encode())
        assert await one.ended()


async def test_a_head_of_another_request_in_pieces(tmp_path: Path) -> None:
    """It is answered, and so is what comes behind it."""
    async with world(tmp_path) as there, wire(there.url) as one:
        for piece in (b"\r\nG", b"ET / HTTP/1.1\r\nHost: x\r", b"\n\r", b"\n" + sent(1)):
            await one.say(piece)
            await asyncio.sleep(0.01)
        assert [(await one.answer())[0] for _ in range(2)] == [200, 200]


async def test_silent_connections_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a head, and nothing at all."""
    monkeypatch.setattr(express, "HEAD_S", 0.2)
    monkeypatch.setattr(express, "IDLE_S", 0.2)
    async with world(tmp_path) as there, wire(there.url) as one, wire(there.url) as other:
        await one.say(b"POST /hook HTTP/1.1\r\nHost:")
        assert await one.ended()
        assert await other.ended()


async def test_a_thousand_slow_senders_hold_nobody_up(tmp_path: Path) -> None:
    """Two hundred connections that have begun and say no more; a good delivery is thanked for at once."""
    async with world(tmp_path, unverified_bytes=1 << 20) as there, contextlib.AsyncExitStack() as stack:
        for _ in range(200):
            one = await stack.enter_async_context(wire(there.url))
            await one.say(request("Content-Length: 5000") + b" " * 1000)
        with anyio.fail_after(20):
            assert (await there.post())[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"X_GitHub_Event": "pu\xe9sh"},
        {"X_GitHub_Delivery": "\xff\xfe"},
        {"X_Hub_Signature_256": "sha256=\xb2\xb3"},
        {"X_Hub_Signature_256": "sha1=00"},
        {"X_Hub_Signature_256": "sha256=" + "0" * 63},
        {"X_Hub_Signature_256": "sha256=" + "0" * 64},
        {"X_Other": "\x80\x81"},
        {"X_Other": "a\tb"},
        {"Content_Type": "application/json; charset=utf-8"},
    ],
)
async def test_odd_headers_are_refused_or_kept(tmp_path: Path, changes: dict[str, str]) -> None:
    """Nothing but an answer comes of them, and the inbox opens again with whatever was accepted."""
    async with world(tmp_path) as there:
        async with wire(there.url) as one:
            await one.say(sent(1, **changes))
            status, _ = await one.answer()
        assert status in (200, 400, 403)
        assert len(await waiting(there.inbox)) == (status == 200)
        assert (await there.post(**headers(number=2)))[0] == 200
    async with inbox(tmp_path, SIZES) as box:
        assert len(await waiting(box)) == 1 + (status == 200)


async def test_two_lengths_are_refused(tmp_path: Path) -> None:
    """Whoever stands in front of us may have believed the other one."""
    async with world(tmp_path) as there, wire(there.url) as one:
        await one.say(request(f"Content-Length: {len(BODY)}", "Content-Length: 5") + BODY)
        assert (await one.answer())[0] == 400
        assert await waiting(there.inbox) == {}


async def test_one_guid_with_many_bodies(tmp_path: Path) -> None:
    """The first counts; replays are thanked for, counted, and change nothing."""
    async with world(tmp_path) as there:
        for extra in range(5):
            body = json.dumps({"repository": {"full_name": "org/repo"}, "extra": extra}).encode()
            assert (await there.post(body, **headers(body)))[0] == 200
        (kept,) = (await waiting(there.inbox)).values()
        assert json.loads(kept)["extra"] == 0
        assert "prow_async_webhooks_known_total 4.0" in there.metrics.render().decode()


async def test_secrets_are_rotated_while_we_run(tmp_path: Path) -> None:
    """1. One secret. 2. The new one beside it: both are good. 3. The old one is gone: refused."""
    file = tmp_path / "hmac"
    file.write_text('"*": [{value: old}]\n')
    tokens = TokenFile(str(file), Censor())
    async with inbox(tmp_path / "inbox", SIZES) as box:
        site = hook.hook_site(tokens, box, PrometheusMetrics())
        async with server.serving(site, "127.0.0.1", 0) as url:

            async def status(number: int, secret: bytes) -> int:
                async with wire(url) as one:
                    await one.say(sent(number, X_Hub_Signature_256=webhook.sign(BODY, secret)))
                    return (await one.answer())[0]

            assert [await status(1, b"old"), await status(2, b"new")] == [200, 403]
            file.write_text('"*": [{value: old, created_at: "2020-01-01T00:00:00Z"}, {value: new}]\n')
            assert [await status(3, b"old"), await status(4, b"new")] == [200, 200]
            file.write_text('"*": [{value: new}]\norg: [{value: of-org}]\norg/other: [{value: of-other}]\n')
            found = [await status(5 + n, secret) for n, secret in enumerate((b"old", b"new", b"of-org", b"of-other"))]
            assert found == [403, 403, 200, 403], "the most specific level that is there counts alone"
            file.write_text("  \n")
            assert await status(9, b"of-org") == 200, "a file that says nothing changes nothing"


async def test_shutting_down_answers_who_has_sent(tmp_path: Path) -> None:
    """1. A request is being stored. 2. The server closes. 3. It is still thanked for; idle connections are closed."""
    metrics = PrometheusMetrics()
    async with inbox(tmp_path, SIZES) as box:
        site = hook.hook_site(lambda: webhook.parse_tokens(b"secret"), box, metrics)
        stack = contextlib.AsyncExitStack()
        url = await stack.enter_async_context(server.serving(site, "127.0.0.1", 0))
        async with wire(url) as idle, wire(url) as one:
            await idle.say(sent(1))
            assert (await idle.answer())[0] == 200
            await one.say(sent(2))
            while len(await waiting(box)) < 2:
                await asyncio.sleep(0.001)
            await stack.aclose()
            assert (await one.answer())[0] == 200
            assert await one.ended()
            assert await idle.ended()
