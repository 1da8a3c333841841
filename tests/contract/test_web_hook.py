"""The webhook door over real connections: upstream's answers, and nothing said before it is stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import structlog
from aiohttp import ClientSession

from prow_async.adapters.inbox.durable import DurableInbox
from prow_async.adapters.inbox.store import Settings
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.adapters.web import hook, server
from prow_async.core import webhook
from tests.contract.inbox_parts import guid, inbox, waiting

pytestmark = pytest.mark.anyio
BODY = b'{"repository":{"full_name":"org/repo"}}'
SIZES = Settings(segment_bytes=1 << 20, spares=0)
TOKENS = webhook.parse_tokens(b"secret")
WRONG = "misconfigured webhook secret from organization/repo: org/repo"
BAD = "403 Forbidden: Invalid X-Hub-Signature-256 - "


def headers(body: bytes = BODY, number: int = 1, **changes: str | None) -> dict[str, str]:
    found: dict[str, str | None] = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": guid(number),
        "X-Hub-Signature-256": webhook.sign(body, b"secret"),
        "Content-Type": "application/json",
    }
    found |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name: value for name, value in found.items() if value is not None}


class World:
    """A running hook server and what belongs to it."""

    def __init__(self, url: str, box: DurableInbox, metrics: PrometheusMetrics, client: ClientSession) -> None:
        self.url = url
        self.inbox = box
        self.metrics = metrics
        self.client = client

    async def post(self, body: bytes = BODY, path: str = "/hook", **sent: str) -> tuple[int, str]:
        async with self.client.post(self.url + path, data=body, headers=sent or headers(body)) as answer:
            return answer.status, await answer.text()

    async def raw(self, data: bytes, hang_up: bool = False) -> bytes:
        """Send bytes as they are; return the answer, or hang up without waiting for one."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(data)
            await writer.drain()
            if hang_up:
                return b""
            with anyio.fail_after(10):
                head = await reader.readuntil(b"\r\n\r\n")
                return head + await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def counted(self, name: str) -> list[str]:
        return [line for line in self.metrics.render().decode().splitlines() if line.startswith(name + "{")]


@asynccontextmanager
async def world(folder: Path, **limits: float) -> AsyncIterator[World]:
    metrics = PrometheusMetrics()
    async with inbox(folder, SIZES) as box, ClientSession() as client:
        site = hook.hook_site(lambda: TOKENS, box, metrics)
        if limits:
            door = hook.HookDoor(
                lambda: TOKENS,
                box,
                metrics,
                body_timeout_s=limits.get("body_timeout_s", 30),
                unverified_bytes=int(limits.get("unverified_bytes", 1 << 20)),
            )
            hook.open_door(site, "/hook", door)
        async with server.serving(site, "127.0.0.1", 0) as url:
            yield World(url, box, metrics, client)


async def test_a_good_delivery_is_stored_and_thanked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        with structlog.testing.capture_logs() as logged:
            async with there.client.post(there.url + "/hook", data=BODY, headers=headers(X_Extra="kept")) as answer:
                assert (answer.status, await answer.read()) == (200, b"Event received. Have a nice day.")
                assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        (delivery,) = await there.inbox.pending(0, 10)
        assert (delivery.guid, delivery.event, delivery.body) == (guid(1), "push", BODY)
        assert delivery.headers["X-Extra"] == "kept"
        assert there.counted("prow_webhook_counter") == ['prow_webhook_counter{event_type="push"} 1.0']
        assert there.counted("prow_webhook_response_codes") == ['prow_webhook_response_codes{response_code="200"} 1.0']
        (line,) = [entry for entry in logged if entry["event"] == "webhook accepted"]
        assert (line["event-GUID"], line["event_type"], line["repo"]) == (guid(1), "push", "org/repo")


async def test_every_line_of_a_header_is_kept(tmp_path: Path) -> None:
    """Proxies add lines of their own under one name; external plugins get them all."""
    lines = ("X-Forwarded-For: 1.1.1.1", "x-forwarded-for: 2.2.2.2", f"Content-Length: {len(BODY)}")
    async with world(tmp_path) as there:
        assert (await there.raw(request(*lines) + BODY)).startswith(b"HTTP/1.1 200 ")
        [delivery] = await there.inbox.pending(0, 10)
        assert delivery.headers["X-Forwarded-For"] == "1.1.1.1, 2.2.2.2"
        assert delivery.headers["X-GitHub-Event"] == "push"


async def test_a_delivery_sent_again_is_thanked_for_and_kept_once(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        answers = [await there.post() for _ in range(3)]
        assert {status for status, _ in answers} == {200}
        assert len(await waiting(there.inbox)) == 1


async def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(lambda n=number: there.post(**headers(number=n)))
        assert set(await waiting(there.inbox)) == {guid(number) for number in range(60)}


@pytest.mark.parametrize(
    ("body", "changes", "status", "text"),
    [
        (BODY, {"X_GitHub_Event": None}, 400, "400 Bad Request: Missing X-GitHub-Event Header"),
        (BODY, {"X_GitHub_Delivery": None}, 400, "400 Bad Request: Missing X-GitHub-Delivery Header"),
        (BODY, {"X_Hub_Signature_256": None}, 403, "403 Forbidden: Missing X-Hub-Signature-256"),
        (
            BODY,
            {"Content_Type": "application/x-www-form-urlencoded"},
            400,
            "400 Bad Request: Hook only accepts content-type: application/json"
            " - please reconfigure this hook on GitHub",
        ),
        (BODY, {"X_Hub_Signature_256": "sha256=00"}, 403, BAD + WRONG),
        (BODY, {"X_Hub_Signature_256": "sha256=äé"}, 403, BAD + "invalid signature"),
        (b"{broken", {}, 403, BAD + "invalid payload"),
        (b"", {}, 403, BAD + "invalid payload"),
    ],
)
async def test_refusals(tmp_path: Path, body: bytes, changes: dict[str, str | None], status: int, text: str) -> None:
    async with world(tmp_path) as there:
        async with there.client.post(there.url + "/hook", data=body, headers=headers(body, **changes)) as answer:
            assert (answer.status, await answer.text()) == (status, text + "\n")
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert await waiting(there.inbox) == {}
        assert there.counted("prow_webhook_counter") == []
        line = f'prow_webhook_response_codes{{response_code="{status}"}} 1.0'
        assert there.counted("prow_webhook_response_codes") == [line]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_brings_webhooks(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as there, there.client.request(method, there.url + "/hook") as answer:
        assert answer.status == 405
        assert await answer.text() == ("" if method == "HEAD" else "405 Method not allowed\n")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/"), ("GET", "/hook/"), ("PUT", "/what?x=1"), ("GET", "/favicon.ico")]
)
async def test_every_other_path_is_200_and_empty(tmp_path: Path, method: str, path: str) -> None:
    async with world(tmp_path) as there, there.client.request(method, there.url + path) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_an_unknown_event_is_stored_and_counted(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        assert (await there.post(**headers(X_GitHub_Event="brand_new")))[0] == 200
        assert there.counted("prow_webhook_counter") == ['prow_webhook_counter{event_type="brand_new"} 1.0']


async def test_a_compressed_body_is_taken_as_it_is(tmp_path: Path) -> None:
    """What was signed is what was sent: nothing is unpacked before the signature is checked."""
    async with world(tmp_path) as there:
        assert (await there.post(**headers(Content_Encoding="gzip")))[0] == 200
        assert await waiting(there.inbox) == {guid(1): BODY}


def request(*lines: str) -> bytes:
    fixed = [f"{name}: {value}" for name, value in headers().items()]
    return "\r\n".join(["POST /hook HTTP/1.1", "Host: x", *fixed, *lines, "", ""]).encode()


async def test_a_body_over_25_mb_is_refused(tmp_path: Path) -> None:
    """At once where its length is announced, else as soon as it has come to that."""
    size = webhook.MAX_BODY_BYTES + 1
    async with world(tmp_path, unverified_bytes=2 * size) as there:
        answer = await there.raw(request(f"Content-Length: {size}"))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"413 Request Entity Too Large" in answer.split(b"\r\n\r\n", 1)[1]

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(26):
                yield b" " * (1 << 20)

        async with there.client.post(there.url + "/hook", data=endless(), headers=headers()) as refused:
            assert refused.status == 413
        assert there.counted("prow_webhook_response_codes") == ['prow_webhook_response_codes{response_code="413"} 2.0']
        assert (await there.post())[0] == 200


async def test_a_body_cut_off_is_no_delivery(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        await there.raw(request("Content-Length: 1000") + BODY, hang_up=True)
        with anyio.fail_after(10):
            while not there.counted("prow_webhook_response_codes"):
                await anyio.sleep(0.005)
        assert there.counted("prow_webhook_response_codes") == ['prow_webhook_response_codes{response_code="500"} 1.0']
        assert await waiting(there.inbox) == {}
        assert (await there.post())[0] == 200


async def test_a_body_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path, body_timeout_s=0.05) as there:
        answer = await there.raw(request("Content-Length: 1000") + BODY)
        head, text = answer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 500 ")
        assert text == b"500 Internal Server Error: Failed to read request body\n"


async def test_broken_chunks_are_no_delivery(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        answer = await there.raw(request("Transfer-Encoding: chunked") + b"5\r\n{}   \r\nxyz\r\n")
        assert answer.split(b" ")[1] in (b"400", b"500")
        assert await waiting(there.inbox) == {}
        assert (await there.post())[0] == 200


async def test_a_body_in_many_pieces_is_put_together(tmp_path: Path) -> None:
    body = b'{"repository":{"full_name":"org/repo"},"x":"' + b"y" * 300_000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    async with world(tmp_path) as there:
        async with there.client.post(there.url + "/hook", data=pieces(), headers=headers(body)) as answer:
            assert answer.status == 200
        assert await waiting(there.inbox) == {guid(1): body}


async def test_unverified_bodies_have_only_so_much_room(tmp_path: Path) -> None:
    """Nobody without the secret fills the memory; what was held is free again afterwards."""
    async with world(tmp_path, unverified_bytes=100_000) as there:
        for _ in range(3):
            answer = await there.raw(request("Content-Length: 200000") + b" " * 150_000)
            assert answer.startswith(b"HTTP/1.1 503 ")
        assert (await there.post())[0] == 200


async def test_a_disk_that_takes_nothing_is_503_and_no_thanks(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        there.inbox.close()
        status, text = await there.post()
        assert status == 503
        assert text == "503 Service Unavailable: Hook cannot store the event now - please redeliver it later\n"
        assert there.counted("prow_webhook_response_codes") == ['prow_webhook_response_codes{response_code="503"} 1.0']
