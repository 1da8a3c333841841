"""GitHub's worst answers over a real socket: each becomes a named error, nothing is lost, and the next try works.

Source of what is expected: the transport of upstream pkg/github/client.go; deviations are rows of docs/parity.md.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from prow_async.actors.executor import Executor, Targets
from prow_async.adapters import clock
from prow_async.adapters.github import client, session
from prow_async.adapters.github.client import Client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.github.wire import Options
from prow_async.api import actions
from prow_async.api.errors import ProwError, Retry
from prow_async.api.github import Status
from tests.actors.worlds import Counted
from tests.unit.adapters_github.script import Seen

pytestmark = pytest.mark.anyio
PULL = {"number": 7, "title": "T"}
TOKEN = "s3cret-token"
Answer = Callable[[web.BaseRequest], Any]


def says(status: int, content: Any = None, **headers: str) -> Answer:
    """Answer with JSON."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = msgspec.json.encode({"message": f"no {TOKEN}"} if content is None else content)
        return web.Response(status=status, body=body, headers={"content-type": "application/json", **sent})

    return answer


def html(status: int) -> Answer:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, text="<html><h1>Unicorn!</h1></html>", content_type="text/html")

    return answer


async def half(request: web.BaseRequest) -> web.StreamResponse:
    """Promise more than is sent, and hang up."""
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "1000"})
    await response.prepare(request)
    await response.write(b'{"number": 7, "ti')
    assert request.transport is not None
    request.transport.close()
    return response


async def cut(request: web.BaseRequest) -> web.StreamResponse:
    """Send half of the JSON as if it were all."""
    return web.Response(body=b'{"number": 7, "ti', content_type="application/json")


async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def garbled(request: web.BaseRequest) -> web.StreamResponse:
    """Say gzip, send something else."""
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    await response.write(b"no gzip at all")
    return response


class Hostile:
    """Plays answers in their order, then kind ones for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.seen.append((request.method, request.raw_path))
        answer = self.answers.pop(0) if self.answers else says(200 if request.method == "GET" else 201, PULL)
        response: web.StreamResponse = await answer(request)
        return response

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        runner = web.ServerRunner(web.Server(self, access_log=None))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            settings = Options(**{"first_wait_s": 0.01, "read_retries": 0, **options})
            async with session.connect([address]) as transport:
                yield client.on(transport, FixedToken(TOKEN), Seen(), clock.SystemClock(), settings)
        finally:
            await runner.cleanup()


def in_s(seconds: int) -> str:
    return str(int(time.time()) + seconds)


DEEP = msgspec.Raw(b"[" * 100_000 + b"]" * 100_000)
LIMIT: dict[str, str] = {"x_ratelimit_remaining": "0", "x_ratelimit_limit": "5000", "x_ratelimit_resource": "core"}
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait."}

CASES: list[tuple[str, Callable[[], Answer], str, tuple[float, float] | None]] = [
    ("401", lambda: says(401), "Refused", None),
    ("403", lambda: says(403), "Refused", None),
    ("403 primary", lambda: says(403, x_ratelimit_reset=in_s(1200), **LIMIT), "Retry", (1190, 1202)),
    ("403 secondary, named", lambda: says(403, retry_after="30"), "Retry", (31, 31)),
    ("403 secondary, unnamed", lambda: says(403, SECONDARY), "Retry", (60, 60)),
    ("404", lambda: says(404), "Missing", None),
    ("409", lambda: says(409), "Stale", None),
    ("410", lambda: says(410), "Refused", None),
    (
        "422",
        lambda: says(422, {"message": "Validation Failed", "errors": [{"field": "x", "code": "y"}]}),
        "Refused",
        None,
    ),
    ("429", lambda: says(429, retry_after="7"), "Retry", (8, 8)),
    ("429 bare", lambda: says(429), "Retry", (60, 60)),
    ("500", lambda: says(500), "Retry", None),
    ("502 HTML", lambda: html(502), "Retry", None),
    ("503 that names a time", lambda: says(503, retry_after="3"), "Retry", (4, 4)),
    ("504 HTML", lambda: html(504), "Retry", None),
    ("200 HTML", lambda: html(200), "Retry", None),
    ("half a body", lambda: half, "Retry", None),
    ("half of the JSON", lambda: cut, "Retry", None),
    ("nested without end", lambda: says(200, DEEP), "Retry", None),
    ("an error nested without end", lambda: says(422, {"message": "no", "more": DEEP}), "Refused", None),
    ("307 to what is no address", lambda: says(307, location="http://[nowhere/x"), "Retry", None),
    ("hung up", lambda: hang_up, "Retry", None),
    ("garbled", lambda: garbled, "Retry", None),
    ("302", lambda: says(302, location="/elsewhere"), "Refused", None),
    ("301 to nowhere", lambda: says(301), "Refused", None),
    ("304 that was not asked for", lambda: says(304), "Refused", None),
]


@pytest.mark.parametrize(("make", "kind", "after_s"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
async def test_a_read(make: Callable[[], Answer], kind: str, after_s: tuple[float, float] | None) -> None:
    """It ends in an error named by the next move, without the token; the same read works when GitHub does again."""
    hostile = Hostile(make())
    if hostile.answers == [hang_up]:
        hostile.answers.append(hang_up)  # aiohttp asks once more by itself
    async with hostile.client() as github:
        with pytest.raises(ProwError) as caught:
            await github.pull("o", "r", 7)
        assert type(caught.value).__name__ == kind
        assert TOKEN not in str(caught.value)
        if after_s is not None:
            assert isinstance(caught.value, Retry)
            assert caught.value.after_s is not None
            assert after_s[0] <= caught.value.after_s <= after_s[1]
    async with hostile.client() as github:
        assert (await github.pull("o", "r", 7)).number == 7


@pytest.mark.parametrize(("make", "kind"), [row[1:3] for row in CASES], ids=[row[0] for row in CASES])
async def test_a_write(make: Callable[[], Answer], kind: str) -> None:
    """It is sent once: whether it had its effect is for its owner to find out."""
    hostile = Hostile(make())
    async with hostile.client(read_retries=5) as github:
        with pytest.raises(ProwError) as caught:
            await github.post_status("o", "r", "abc", Status("success"))
        assert type(caught.value).__name__ == kind
        assert TOKEN not in str(caught.value)
    assert [method for method, _ in hostile.seen] == ["POST"]


UNREADABLE = ("half of the JSON", "nested without end")
TROUBLE = [row[:2] for row in CASES if row[2] == "Retry" and row[3] is None and row[0] not in UNREADABLE]


@pytest.mark.parametrize("make", [row[1] for row in TROUBLE], ids=[row[0] for row in TROUBLE])
async def test_a_read_outlasts_trouble(make: Callable[[], Answer]) -> None:
    """Eight times, as upstream; the ninth answer is the right one."""
    hostile = Hostile(*[make()] * 8)
    async with hostile.client(read_retries=8, first_wait_s=0.0001) as github:
        assert (await github.pull("o", "r", 7)).title == "T"


@pytest.mark.parametrize("make", [row[1] for row in TROUBLE], ids=[row[0] for row in TROUBLE])
async def test_an_action_outlasts_trouble(make: Callable[[], Answer]) -> None:
    """The executor sends a status again until it is there."""
    hostile = Hostile(make(), make())
    async with hostile.client() as github:
        targets = Targets(None, None, {}, github)  # type: ignore[arg-type] - nothing of Kubernetes is written
        executor = Executor(targets, Counted(), clock.SystemClock(), clock.SystemIds())
        post = actions.PostStatus(org="o", repo="r", sha="abc", status=Status("success"), why="x")
        await executor.perform(post, "x")
    assert [method for method, _ in hostile.seen] == ["POST"] * 3


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_renamed_repository(status: int) -> None:
    """Reads go where the repository went, on the same server whatever the address says."""
    hostile = Hostile(says(status, location="https://elsewhere.invalid/repositories/1/pulls/7?x=%2F"))
    async with hostile.client() as github:
        assert (await github.pull("o", "r", 7)).number == 7
    assert hostile.seen == [("GET", "/repos/o/r/pulls/7"), ("GET", "/repositories/1/pulls/7?x=%2F")]


@pytest.mark.parametrize(("status", "followed"), [(301, False), (302, False), (307, True), (308, True)])
async def test_a_write_to_a_renamed_repository(status: int, followed: bool) -> None:
    """Only where the answer says that method and body stay the same."""
    hostile = Hostile(says(status, location="/repositories/1/statuses/abc"))
    async with hostile.client() as github:
        if followed:
            await github.post_status("o", "r", "abc", Status("success"))
        else:
            with pytest.raises(ProwError, match="301|302"):
                await github.post_status("o", "r", "abc", Status("success"))
    expected = [("POST", "/repos/o/r/statuses/abc"), ("POST", "/repositories/1/statuses/abc")]
    assert hostile.seen == expected[: 1 + followed]


async def test_a_page_that_breaks_is_read_again_and_no_entry_is_lost_or_doubled() -> None:
    """The second of three pages fails twice."""
    pages = [[{"filename": f"f{page}{i}"} for i in range(3)] for page in range(3)]

    def page(number: int) -> Answer:
        more = f'<http://x.invalid/repos/o/r/pulls/7/files?per_page=100&page={number + 2}>; rel="next"'
        return says(200, pages[number], link=more if number < 2 else "")

    hostile = Hostile(page(0), half, html(502), page(1), hang_up, page(2))
    async with hostile.client(read_retries=3) as github:
        assert await github.changed_files("o", "r", 7) == tuple(one["filename"] for part in pages for one in part)


async def test_a_page_whose_link_is_no_address() -> None:
    hostile = Hostile(says(200, [{"name": "x"}], link='<http://[nowhere/labels>; rel="next"'))
    async with hostile.client() as github:
        with pytest.raises(Retry, match="address that is none"):
            await github.repo_labels("o", "r")


async def test_pages_without_end() -> None:
    """A list that links to itself is given up, not read for ever."""
    link = '<http://x.invalid/repos/o/r/labels?per_page=100>; rel="next"'
    hostile = Hostile(*[says(200, [{"name": "x"}], link=link)] * 5)
    async with hostile.client() as github:
        with pytest.raises(Retry, match="circles"):
            await github.repo_labels("o", "r")
    assert len(hostile.seen) < 5
