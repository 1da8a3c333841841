"""Health, metrics and the pages for people, over real connections; and how servers start and stop."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import ClientError, ClientSession, web

from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.adapters.web import health, metrics_page, pages, server
from prow_async.api.errors import CannotStart, Missing, Retry

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def visiting(site: server.Site) -> AsyncIterator[tuple[ClientSession, str]]:
    async with server.serving(site, "127.0.0.1", 0) as url, ClientSession() as client:
        yield client, url


async def fetch(client: ClientSession, url: str) -> tuple[int, str]:
    async with client.get(url) as answer:
        return answer.status, await answer.text()


async def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"^cannot listen on 127.0.0.1:{port}: .*in use") as told:
            async with server.serving(server.Site(server.not_found), "127.0.0.1", port):
                pass
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99999), ("no-such-host.invalid", 0)])
async def test_an_address_that_cannot_be_is_one_clear_line(host: str, port: int) -> None:
    with pytest.raises(CannotStart, match=f"^cannot listen on {host}:{port}: "):
        async with server.serving(server.Site(server.not_found), host, port):
            pass


async def test_a_request_under_way_is_finished_before_the_server_is_gone() -> None:
    started, go_on = anyio.Event(), anyio.Event()
    answers: list[tuple[int, str]] = []

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        started.set()
        await go_on.wait()
        return web.Response(text="done")

    async def ask(client: ClientSession, url: str) -> None:
        answers.append(await fetch(client, url))

    async with ClientSession() as client, anyio.create_task_group() as group:
        async with server.serving(server.Site(slow), "127.0.0.1", 0) as url:
            group.start_soon(ask, client, url)
            await started.wait()
            group.start_soon(_soon, go_on)
        with pytest.raises(ClientError):
            await fetch(client, url)
    assert answers == [(200, "done")]


async def _soon(event: anyio.Event) -> None:
    await anyio.lowlevel.checkpoint()
    event.set()


async def test_health_before_while_and_after_being_ready() -> None:
    """Readiness is not there until the process can say; aliveness always is."""
    state: list[bool | None] = [None]
    async with visiting(health.health_site(lambda: state[0])) as (client, url):
        assert await fetch(client, url + "/healthz") == (200, "OK")
        assert (await fetch(client, url + "/healthz/ready"))[0] == 404
        state[0] = False
        assert await fetch(client, url + "/healthz/ready") == (503, "ReadinessCheck failed\n")
        state[0] = True
        assert await fetch(client, url + "/healthz/ready") == (200, "OK")
        assert (await fetch(client, url + "/other"))[0] == 404


async def test_the_metrics_page_is_fresh() -> None:
    metrics = PrometheusMetrics()
    metrics.before_scrape(lambda: metrics.gauge("prow_async_inbox_pending", 3))
    async with visiting(metrics_page.metrics_site(metrics)) as (client, url):
        async with client.get(url + "/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert "\nprow_async_inbox_pending 3.0\n" in await answer.text()
        assert (await fetch(client, url + "/"))[0] == 404


@asynccontextmanager
async def log_of(*pieces: bytes | Exception) -> AsyncIterator[AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    yield read()


@asynccontextmanager
async def no_log(error: Exception) -> AsyncIterator[AsyncIterator[bytes]]:
    raise error
    yield


def job_site() -> server.Site:
    logs = {
        "good": lambda: log_of(b"one\n<script>", b"\x1b[31mtw\xc3\xb6\x00\n"),
        "cut": lambda: log_of(b"one\n", Retry("the cluster is away")),
        "gone": lambda: no_log(Missing("no such pod")),
        "away": lambda: no_log(Retry("timeout")),
    }
    site = server.Site(server.not_found)
    texts = {"a-job": "state <b>pending</b> \x1b[2J\nü\n"}
    pages.add(site, texts.get, lambda name: logs[name]() if name in logs else None)
    return site


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/job/a-job", 200, "state <b>pending</b> ?[2J\nü\n"),
        ("/job/%61-job", 200, "state <b>pending</b> ?[2J\nü\n"),
        ("/job/another", 404, "There is no such ProwJob.\n"),
        ("/job/", 404, "There is no such ProwJob.\n"),
        ("/log/good", 200, "one\n<script>?[31mtwö?\n"),
        ("/log/cut", 200, "one\n\n[the log breaks off here: the cluster is away]\n"),
        ("/log/gone", 404, "The log cannot be read: no such pod\n"),
        ("/log/away", 503, "The log cannot be read: timeout\n"),
        ("/log/another", 404, "There is no such ProwJob, or it has no pod yet.\n"),
    ],
)
async def test_pages_are_plain_text_whatever_is_in_them(path: str, status: int, text: str) -> None:
    """No browser runs it, no terminal is steered by it."""
    async with visiting(job_site()) as (client, url), client.get(url + path) as answer:
        assert (answer.status, await answer.text()) == (status, text)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_pages_can_only_be_read() -> None:
    async with visiting(job_site()) as (client, url):
        for path in ("/job/a-job", "/log/good"):
            async with client.post(url + path) as answer:
                assert answer.status == 405
            async with client.head(url + path) as answer:
                assert (answer.status, await answer.read()) == (200, b"")


async def test_a_log_comes_while_it_is_written_and_is_let_go_with_its_reader() -> None:
    more, closed = anyio.Event(), anyio.Event()

    @asynccontextmanager
    async def endless() -> AsyncIterator[AsyncIterator[bytes]]:
        async def read() -> AsyncIterator[bytes]:
            yield b"first\n"
            await more.wait()
            while True:
                yield b"x" * 65536
                await anyio.lowlevel.checkpoint()

        try:
            yield read()
        finally:
            closed.set()

    site = server.Site(server.not_found)
    pages.add(site, lambda name: None, lambda name: endless())
    with anyio.fail_after(20):
        async with visiting(site) as (client, url):
            async with client.get(url + "/log/x") as answer:
                assert await answer.content.readline() == b"first\n"
            more.set()
            await closed.wait()
