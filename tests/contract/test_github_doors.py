"""The doors themselves: what the HTTP door lets in, how the session reaches a server, how faults are played."""

import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import anyio
import msgspec
import pytest
from aiohttp import web

from prow_async.adapters.github import session
from prow_async.adapters.web import server as server_module
from prow_async.api.errors import CannotStart, Retry
from prow_async.api.github import PullRequestEvent
from prow_async.sandbox.faults import Fault
from prow_async.sandbox.github import deliver, http
from prow_async.sandbox.github.direct import DirectTransport
from prow_async.sandbox.github.world import World
from tests import virtual
from tests.ports import free_port
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import BOT_TOKEN, NOW_S

CLOCK = sample.FixedClock()
AUTHORIZED = {"Authorization": f"Bearer {BOT_TOKEN}"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (AUTHORIZED, 200),
        (AUTHORIZED | {"Host": "evil.invalid"}, 403),
        (AUTHORIZED | {"Origin": "http://evil.invalid"}, 403),
        (AUTHORIZED | {"Origin": "null"}, 403),
        ({"Authorization": f"token {BOT_TOKEN}"}, 200),
        ({"Authorization": "Basic eDp5"}, 401),
        ({}, 401),
    ],
)
async def test_who_is_let_in(headers: dict[str, str], status: int) -> None:
    """Only requests to the door's own name, from no foreign web site, with a known token."""
    async with (
        http.serve(sample.make(), CLOCK) as address,
        aiohttp.ClientSession() as client,
        client.get(f"{address}/user", headers=headers) as reply,
    ):
        assert reply.status == status
        assert "message" in await reply.json() or status == 200


@pytest.mark.anyio
async def test_own_names_are_let_in_and_large_bodies_are_not() -> None:
    """localhost is the door's own name, its own Origin is fine, and 8 MiB is the end."""
    async with http.serve(sample.make(), CLOCK) as address, aiohttp.ClientSession(headers=AUTHORIZED) as client:
        port = address.rpartition(":")[2]
        headers = {"Host": f"localhost:{port}", "Origin": address}
        async with client.get(f"{address}/user", headers=headers) as reply:
            assert reply.status == 200
        async with client.post(
            f"{address}/repos/acme/app/issues", data=io.BytesIO(b"x" * (http.BODY_LIMIT_BYTES + 1))
        ) as reply:
            assert reply.status == 413


@pytest.mark.anyio
async def test_links_lead_to_the_door() -> None:
    """What the world sends points at the address it is served at; the page is there without a token."""
    world = sample.make()
    async with http.serve(world, CLOCK) as address, aiohttp.ClientSession() as client:
        number = sample.open_pull(world)
        url = world.pull("acme", "app", number).html_url
        assert url == f"{address}/acme/app/pull/{number}"
        async with client.get(url) as reply:
            assert reply.status == 200
            assert "Add a thing" in await reply.text()


@pytest.mark.anyio
async def test_a_taken_port_and_a_public_address_are_refused() -> None:
    """One line says what and where."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"127.0.0.1:{port}"):
            async with http.serve(sample.make(), CLOCK, port=port):
                pass
    with pytest.raises(CannotStart, match="loopback"):
        async with http.serve(sample.make(), CLOCK, host="0.0.0.0"):
            pass


@asynccontextmanager
async def server(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve any answers on loopback."""
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.anyio
async def test_deliveries_over_http() -> None:
    """A delivery arrives as GitHub would send it; one to a dead address is logged, not repeated."""
    world = sample.make()
    got: list[tuple[Mapping[str, str], bytes]] = []
    done = anyio.Event()

    async def take(request: web.BaseRequest) -> web.Response:
        got.append((request.headers, await request.read()))
        if len(got) == 2:
            done.set()
        return web.Response(status=200)

    async with server(take) as address, http.posting() as send, anyio.create_task_group() as tasks:
        tasks.start_soon(deliver.run, world, CLOCK, send)
        hook = world.add_hook("acme", "app", f"{address}/hook", b"secret", ["pull_request"], now_s=NOW_S)
        dead = world.add_hook("acme", "app", "http://127.0.0.1:1/hook", b"secret", ["none"], now_s=NOW_S)
        sample.open_pull(world)
        with anyio.fail_after(20):
            await done.wait()
            while [d.outcome for d in world.outbox.log()].count(None):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert [headers["X-GitHub-Event"] for headers, _ in got] == ["ping", "pull_request"]
    assert got[1][0]["X-Hub-Signature-256"].startswith("sha256=")
    assert msgspec.json.decode(got[1][1], type=PullRequestEvent).action == "opened"
    assert [d.outcome.status for d in world.outbox.log(hook.id) if d.outcome] == [200, 200]
    [failed] = world.outbox.log(dead.id)
    assert failed.outcome is not None
    assert "127.0.0.1:1" in failed.outcome.error


@pytest.mark.anyio
@pytest.mark.odd_github_requests
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_next_endpoint_takes_over(method: str) -> None:
    """An address nobody listens on is passed over, for writes too, and left alone for a while."""
    world = sample.make()
    async with http.serve(world, CLOCK) as address:
        dead = f"http://127.0.0.1:{free_port()}"
        async with session.connect([dead, address]) as transport:
            token = {"authorization": f"Bearer {BOT_TOKEN}"}
            for _ in range(2):
                async with transport.send(method, "/repos/acme/app/issues", token, b'{"title": "T"}') as reply:
                    assert reply.status == {"GET": 200, "POST": 201}[method]
                    assert reply.headers["x-ratelimit-resource"] == "core"


@pytest.mark.anyio
@pytest.mark.parametrize(("left_alone_s", "asked"), [(0.0, ["second", "first"]), (3600.0, ["second", "second"])])
async def test_the_first_endpoint_is_gone_back_to(
    left_alone_s: float, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that restarts is used again, though what stands in for it never fails."""
    monkeypatch.setattr(session, "RETURN_S", left_alone_s)
    port, heard = free_port(), list[str]()

    def taking(name: str) -> server_module.Site:
        async def take(request: web.BaseRequest) -> web.StreamResponse:
            heard.append(name)
            return web.Response()

        return server_module.Site(take)

    async with (
        server_module.serving(taking("second"), "127.0.0.1", 0) as second,
        session.connect([f"http://127.0.0.1:{port}", second]) as transport,
    ):
        async with transport.send("GET", "/user"):
            pass
        async with server_module.serving(taking("first"), "127.0.0.1", port), transport.send("GET", "/user"):
            pass
    assert heard == asked


@pytest.mark.anyio
async def test_nobody_there() -> None:
    """All addresses are named when none can be reached."""
    addresses = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    async with session.connect(addresses) as transport:
        with pytest.raises(Retry) as caught:
            async with transport.send("GET", "/user"):
                pass
    assert all(address in caught.value.why for address in addresses)


@pytest.mark.anyio
async def test_a_write_is_not_sent_to_the_next_endpoint_when_it_may_have_arrived() -> None:
    """A connection that breaks after the request was sent ends a write, and moves a read on."""
    seen: list[str] = []

    async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.method)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with server(hang_up) as address, session.connect([address, address]) as transport:
        for method in ("POST", "GET"):
            with pytest.raises(Retry):
                async with transport.send(method, "/x"):
                    pass
    assert seen[0] == "POST"
    assert len(seen) > 2
    assert set(seen[1:]) == {"GET"}


@pytest.mark.anyio
async def test_a_cut_answer_and_the_base_path() -> None:
    """An answer that ends too soon is Retry; links that carry the base path are not doubled; percents stay."""
    seen: list[str] = []

    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.raw_path)
        if request.method == "GET":
            return web.Response(body=b"fine", headers={"X-Odd-Case": "1"})
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    async with server(cut) as address, session.connect([f"{address}/api/v3/"]) as transport:
        for path in ("/labels/kind%2Fbug?page=2", "/api/v3/user"):
            async with transport.send("GET", path) as reply:
                assert b"".join([piece async for piece in reply.chunks()]) == b"fine"
                assert reply.headers["x-odd-case"] == "1"
        async with transport.send("POST", "/user") as reply:
            with pytest.raises(Retry):
                await reply.read()
        async with transport.send("POST", "/user") as reply:
            with pytest.raises(Retry):
                [piece async for piece in reply.chunks()]
    assert seen[:2] == ["/api/v3/labels/kind%2Fbug?page=2", "/api/v3/user"]


@pytest.mark.anyio
async def test_a_link_from_one_endpoint_is_followed_on_another() -> None:
    """The base path of whichever gave it is no part of it."""
    seen: list[str] = []

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.raw_path)
        return web.Response()

    dead = f"http://127.0.0.1:{free_port()}"
    async with server(take) as address:
        for first, second in ((f"{dead}/api/v3", address), (dead, f"{address}/api/v3"), (f"{dead}/p", f"{address}/q")):
            base = first.removeprefix(dead) or second.removeprefix(address)
            async with (
                session.connect([first, second]) as transport,
                transport.send("GET", f"{base}/repositories/1/labels?page=2"),
            ):
                pass
    assert seen == [f"{base}/repositories/1/labels?page=2" for base in ("", "/api/v3", "/q")]


ODD = ["", "github.com", "ftp://x", "http://", "http://u:p@host", "http://h?q=1", "http://h/#x", "http://a b/"]


@pytest.mark.anyio
@pytest.mark.parametrize("address", [*ODD, "http://[::1", "http://h:99999", "http://h:abc", "http://h:0"])
async def test_odd_endpoints_are_refused(address: str) -> None:
    """One line says which flag, and what is expected."""
    with pytest.raises(CannotStart, match="--github-endpoint"):
        async with session.connect([address] if address else []):
            pass


class OneFault:
    """Plays one fault, before or after the work."""

    def __init__(self, before: Fault | None = None, after: Fault | None = None) -> None:
        self._before, self._after = before, after

    def before(self, method: str, path: str) -> Fault | None:
        return self._before

    def after(self, method: str, path: str, status: int) -> Fault | None:
        return self._after

    def line(self, line: bytes) -> list[bytes] | None:
        return [line]


LIMIT = Fault("answer", status=403, retry_after_s=30)
FAULTS: list[tuple[OneFault, int | type[Retry], float, int]] = [
    (OneFault(), 201, 0, 1),
    (OneFault(before=LIMIT), 403, 0, 0),
    (OneFault(before=Fault("drop")), Retry, 0, 0),
    (OneFault(after=Fault("drop")), Retry, 0, 1),
    (OneFault(after=Fault("answer", status=502)), 502, 0, 1),
    (OneFault(before=Fault("delay", delay_s=3), after=Fault("delay", delay_s=4)), 201, 7, 1),
]


@pytest.mark.parametrize(("faults", "expected", "took_s", "done"), FAULTS)
def test_faults_are_played(faults: OneFault, expected: int | type[Retry], took_s: float, done: int) -> None:
    """Before the work nothing is done, after it everything is; the caller sees what the fault says."""
    world = World(sample.NumberedIds())
    world.add_bot("prow-bot", BOT_TOKEN)
    repo = world.add_repo("acme", "app")

    async def body() -> tuple[int | type[Retry], float, Mapping[str, str]]:
        began = anyio.current_time()
        transport = DirectTransport(world, CLOCK, BOT_TOKEN, faults)
        try:
            async with transport.send("POST", "/repos/acme/app/issues", {}, b'{"title": "T"}') as reply:
                return reply.status, anyio.current_time() - began, reply.headers
        except Retry:
            return Retry, anyio.current_time() - began, {}

    status, took, headers = virtual.run(body)
    assert (status, len(repo.issues)) == (expected, done)
    assert took == pytest.approx(took_s)
    assert headers.get("retry-after") == ("30" if status == 403 else None)


@pytest.mark.anyio
async def test_pages_in_a_browser() -> None:
    """Somebody signs in, comments and is sent back to the page; a form from another web site is not let in."""
    world = sample.make()
    number = sample.open_pull(world)
    async with (
        http.serve(world, CLOCK) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client,
    ):
        own = {"Origin": address}
        async with client.post(f"{address}/login", data={"token": BOT_TOKEN}, headers=own) as reply:
            assert (reply.status, str(reply.url)) == (200, f"{address}/")
        url = f"{address}/acme/app/pull/{number}"
        for origin in ("http://evil.invalid", "null"):
            async with client.post(f"{url}/comment", data={"body": "x"}, headers={"Origin": origin}) as reply:
                assert reply.status == 403
        async with client.post(f"{url}/comment", data={"body": "said in a form"}, headers=own) as reply:
            assert reply.status == 200
            assert "said in a form" in await reply.text()
    assert len(world.comments("acme", "app", number)) == 1
