"""The real transport, against a small HTTP server."""

import socket
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from aiohttp import web

import prow_async
from prow_async.adapters.kube import clusters, session
from prow_async.adapters.kube.credentials import Credentials, Source
from prow_async.api.errors import Retry
from tests.unit.adapters_kube import servers

pytestmark = pytest.mark.anyio


def _source(file: str) -> Source:
    return Source("x", (file,), "x")


async def _status(transport: session.Session, path: str = "/", headers: Mapping[str, str] = {}) -> int:
    async with transport.send("GET", path, headers) as reply:
        await reply.read()
        return reply.status


async def test_a_request_carries_who_we_are(tmp_path: Path) -> None:
    """Token, user agent, method, path with its query as it is, headers and body arrive; so does the answer."""
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(status=418, body=await request.read(), headers={"X-Some": "thing"})

    async with servers.serving(handler) as url:
        file = servers.kubeconfig(tmp_path / "c", url, {"token": "secret"})
        async with session.connect(_source(file), "hook") as transport:
            path = "/api/v1/x?labelSelector=a%3Db%2Fc"
            async with transport.send("PATCH", path, {"Content-Type": "application/merge-patch+json"}, b"{}") as reply:
                assert (reply.status, await reply.read(), reply.headers["x-some"]) == (418, b"{}", "thing")
    request = seen[0]
    assert (request.method, request.raw_path) == ("PATCH", path)
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"] == f"prow-async/hook/{prow_async.__version__}"
    assert request.headers["Content-Type"] == "application/merge-patch+json"


async def test_redirects_are_answers(tmp_path: Path) -> None:
    """A token is not carried to another place."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://192.0.2.1/"})

    async with servers.serving(handler) as url:
        file = servers.kubeconfig(tmp_path / "c", url, {})
        async with session.connect(_source(file), "x") as transport:
            assert await _status(transport) == 302


async def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Nobody listens: Retry, with the address in its text and without the token."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{unused.getsockname()[1]}/s3cret"
        file = servers.kubeconfig(tmp_path / "c", server, {"token": "s3cret"})
        async with session.connect(_source(file), "x") as transport:
            with pytest.raises(Retry) as caught:
                await _status(transport)
    assert "127.0.0.1" in caught.value.why
    assert "s3cret" not in caught.value.why


async def test_an_answer_cut_in_its_middle(tmp_path: Path) -> None:
    """A body or a stream that ends before its end is Retry, after what came was handed on."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if "watch" not in request.query:
            response.content_length = 100
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    async with servers.serving(handler) as url:
        file = servers.kubeconfig(tmp_path / "c", url, {})
        async with session.connect(_source(file), "x") as transport:
            async with transport.send("GET", "/") as reply:
                with pytest.raises(Retry, match="broke off"):
                    await reply.read()
            async with transport.send("GET", "/?watch=true") as reply:
                pieces = reply.chunks()
                assert await anext(pieces) == b"half"
                with pytest.raises(Retry, match="broke off"):
                    await anext(pieces)


async def test_leaving_a_stream_closes_it(tmp_path: Path) -> None:
    """The server sees the connection go when the context is left in the middle, by cancellation too."""
    gone = anyio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x\n")
                await anyio.sleep(0.01)
        finally:
            gone.set()

    async with servers.serving(handler) as url:
        file = servers.kubeconfig(tmp_path / "c", url, {})
        async with session.connect(_source(file), "x") as transport:
            with anyio.CancelScope() as scope:
                async with transport.send("GET", "/?watch=1") as reply:
                    async for _piece in reply.chunks():
                        scope.cancel()
            assert scope.cancelled_caught
            with anyio.fail_after(10):
                await gone.wait()


async def test_a_401_renews_and_sends_once_more(tmp_path: Path) -> None:
    """A plugin's token that the server no longer takes is fetched anew, and the same body sent again."""
    bodies: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        good = request.headers["Authorization"] == "Bearer token-2"
        return web.Response(status=201 if good else 401)

    async with servers.serving(handler) as url:
        file = servers.kubeconfig(tmp_path / "c", url, servers.plugin(tmp_path))
        async with (
            session.connect(_source(file), "x") as transport,
            transport.send("POST", "/", body=b"body") as reply,
        ):
            assert reply.status == 201
    assert bodies == [b"body", b"body"]


async def test_a_401_that_stays(tmp_path: Path) -> None:
    """With nothing better to offer the 401 is the answer, and the server is not asked twice."""
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=401)

    async with servers.serving(handler) as url:
        file = servers.kubeconfig(tmp_path / "c", url, {"token": "old"})
        async with session.connect(_source(file), "x") as transport:
            assert [await _status(transport), await _status(transport)] == [401, 401]
    assert asked == 2


async def test_one_broken_cluster_leaves_the_others_alone(tmp_path: Path) -> None:
    """All are opened; the one that does not load raises Retry when it is used, and says why."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with servers.serving(handler) as url:
        good = _source(servers.kubeconfig(tmp_path / "good", url, {}))
        bad = Source("bad", (str(tmp_path / "none"),), "x")
        async with clusters.connect_all({"good": good, "bad": bad}, "x") as transports:
            with pytest.raises(Retry, match=r"cluster 'bad' .* cannot be read: No such file"):
                async with transports["bad"].send("GET", "/"):
                    pass
            async with transports["good"].send("GET", "/") as reply:
                assert reply.status == 200


async def test_a_cluster_that_moves(tmp_path: Path) -> None:
    """When the kubeconfig leads elsewhere, new requests go there; a stream under way ends in peace."""
    clock = [0.0]
    release = anyio.Event()

    async def old(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await release.wait()
        await response.write(b"last")
        return response

    async def new(request: web.Request) -> web.Response:
        return web.Response(status=204)

    async with servers.serving(old) as old_url, servers.serving(new) as new_url:
        file = servers.kubeconfig(tmp_path / "c", old_url, {})
        transport = session.Session(Credentials(_source(file), monotonic_s=lambda: clock[0]), "x")
        try:
            async with transport.send("GET", "/?watch=true") as reply:
                pieces = reply.chunks()
                assert await anext(pieces) == b"first"
                servers.kubeconfig(tmp_path / "c", f"{new_url}/below", {})
                clock[0] += 61
                assert await _status(transport) == 204
                release.set()
                assert [piece async for piece in pieces] == [b"last"]
        finally:
            await transport.close()


@pytest.mark.parametrize(
    ("path", "streams"),
    [
        ("/pods?watch=true&x=1", True),
        ("/pods?watch=1", True),
        ("/pods/a/log?follow=true", True),
        ("/pods?watch=false", False),
        ("/pods/watch", False),
        ("/pods?labelSelector=watch%3Dtrue", False),
    ],
)
def test_only_watches_and_followed_logs_may_last(path: str, streams: bool) -> None:
    """Everything else is over within the time of a request."""
    assert session._is_stream(path) is streams
