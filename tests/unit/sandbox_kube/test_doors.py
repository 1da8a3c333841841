"""Both doors: the direct one on virtual time with faults, the HTTP one with its locks."""

import io
import pathlib
import resource
import stat
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anyio
import msgspec
import pytest
import trio

from prow_async.api import errors
from prow_async.sandbox import faults
from prow_async.sandbox.kube import direct, http, kubeconfig
from tests import virtual
from tests.unit.sandbox_kube.asking import JOBS, PODS, Asker, StoppedClock, job, pod

TOKEN = "a-token"
JSON = {"content-type": "application/json"}


class WrittenLogs:
    """Logs of one container `c`: three lines at once, and with follow a fourth a second later."""

    def __init__(self) -> None:
        self.open = 0

    async def follow(self, namespace: str, pod: str, container: str, follow: bool) -> AsyncIterator[bytes]:
        if pod == "gone":
            raise errors.Missing("no such log")
        if pod == "waiting":
            raise errors.Refused("container c has not started", status=400)
        self.open += 1
        try:
            yield b""
            yield b"one\ntw"
            yield b"o\nthree\n"
            if follow:
                await anyio.sleep(1)
                yield b"four\n"
        finally:
            self.open -= 1


class Scripted:
    """Plays each fault once, in order; passes everything else."""

    def __init__(
        self,
        before: list[faults.Fault | None] | None = None,
        after: list[faults.Fault | None] | None = None,
        lines: list[int | None] | None = None,
    ) -> None:
        self._before = before or []
        self._after = after or []
        self._lines = lines or []

    def before(self, method: str, path: str) -> faults.Fault | None:
        return self._before.pop(0) if self._before else None

    def after(self, method: str, path: str, status: int) -> faults.Fault | None:
        return self._after.pop(0) if self._after else None

    def line(self, line: bytes) -> list[bytes] | None:
        times = self._lines.pop(0) if self._lines else 1
        return None if times is None else [line] * times


async def ask(door: direct.DirectTransport, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    raw = b"" if body is None else msgspec.json.encode(body)
    async with door.send(method, path, JSON, raw) as reply:
        return reply.status, await reply.read()


def test_direct_reads_and_writes() -> None:
    """A request through the direct door is what the world makes of it."""

    async def body() -> None:
        asker = Asker()
        door = direct.DirectTransport(asker.world, StoppedClock())
        assert (await ask(door, "POST", JOBS, job("a")))[0] == 201
        assert (await ask(door, "GET", f"{JOBS}/nope"))[0] == 404
        async with door.send("GET", f"{JOBS}/a") as reply:
            assert reply.headers["content-type"] == "application/json"
            assert b"".join([piece async for piece in reply.chunks()]).startswith(b'{"apiVersion"')

    virtual.run(body)


def test_direct_watch_on_virtual_time() -> None:
    """A watch gets lines as they come, a bookmark a minute and one at its end, and ends in time."""

    async def body() -> None:
        asker = Asker()
        door = direct.DirectTransport(asker.world, StoppedClock())
        start = trio.current_time()
        target = f"{JOBS}?watch=1&resourceVersion={asker.world.version}&allowWatchBookmarks=true&timeoutSeconds=100"
        seen: list[tuple[float, str]] = []
        async with anyio.create_task_group() as tasks:

            async def follow() -> None:
                async with door.send("GET", target) as reply:
                    async for piece in reply.chunks():
                        for line in piece.splitlines():
                            kind = msgspec.json.decode(line)["type"]
                            seen.append((round(trio.current_time() - start), kind))

            tasks.start_soon(follow)
            await anyio.sleep(10)
            asker.do("POST", JOBS, job("a"))
            asker.do("POST", JOBS, job("b"))
        assert seen == [(10, "ADDED"), (10, "ADDED"), (60, "BOOKMARK"), (100, "BOOKMARK")]
        assert round(trio.current_time() - start) == 100

    virtual.run(body)


def test_leaving_a_watch_closes_it() -> None:
    """Leaving the reply's context in its middle takes the watcher off the table."""

    async def body() -> None:
        asker = Asker()
        door = direct.DirectTransport(asker.world, StoppedClock())
        async with door.send("GET", f"{JOBS}?watch=1"):
            assert asker.world.open_watches == 1
        assert asker.world.open_watches == 0

    virtual.run(body)


def test_faults_before_and_after() -> None:
    """An answer or a drop before does nothing; after, the work is done and the caller does not know."""

    async def body() -> None:
        asker = Asker()
        answer = faults.Fault("answer", status=503, retry_after_s=2.5)
        drop, slow = faults.Fault("drop"), faults.Fault("delay", delay_s=7)
        script = Scripted([answer, drop, slow, None], [None, drop])
        door = direct.DirectTransport(asker.world, StoppedClock(), script)
        async with door.send("POST", JOBS, JSON, msgspec.json.encode(job("a"))) as reply:
            assert (reply.status, reply.headers["retry-after"]) == (503, "2.5")
            assert msgspec.json.decode(await reply.read())["reason"] == "ServiceUnavailable"
        with pytest.raises(errors.Retry):
            await ask(door, "POST", JOBS, job("a"))
        assert asker.world.objects("prowjobs") == []
        start = trio.current_time()
        assert (await ask(door, "POST", JOBS, job("a")))[0] == 201
        assert trio.current_time() - start == 7
        with pytest.raises(errors.Retry):
            await ask(door, "POST", JOBS, job("b"))
        assert len(asker.world.objects("prowjobs")) == 2
        assert (await ask(door, "POST", JOBS, job("b")))[0] == 409

    virtual.run(body)


def test_faults_in_a_stream() -> None:
    """Lines can be doubled; a cut comes in the middle of a line and reads as a broken connection."""

    async def body() -> None:
        asker = Asker()
        for name in "abc":
            asker.do("POST", JOBS, job(name))
        door = direct.DirectTransport(asker.world, StoppedClock(), Scripted(lines=[1, 2, None]))
        pieces: list[bytes] = []

        async def collect() -> None:
            async with door.send("GET", f"{JOBS}?watch=1") as reply:
                async for piece in reply.chunks():
                    pieces.append(piece)  # noqa: PERF401 - what came before the cut must be kept

        with pytest.raises(errors.Retry):
            await collect()
        got = b"".join(pieces)
        whole, rest = got.split(b"\n")[:-1], got.split(b"\n")[-1]
        assert [msgspec.json.decode(line)["object"]["metadata"]["name"] for line in whole] == ["a", "b", "b"]
        assert rest
        with pytest.raises(msgspec.DecodeError):
            msgspec.json.decode(rest)
        assert asker.world.open_watches == 0

    virtual.run(body)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", b"one\ntwo\nthree\n"),
        ("container=c", b"one\ntwo\nthree\n"),
        ("follow=true", b"one\ntwo\nthree\nfour\n"),
        ("tailLines=2", b"two\nthree\n"),
        ("tailLines=0", b""),
        ("tailLines=9", b"one\ntwo\nthree\n"),
        ("tailLines=1&follow=true", b"three\nfour\n"),
        ("limitBytes=5", b"one\nt"),
        ("timestamps=false", b"one\ntwo\nthree\n"),
    ],
)
def test_logs(query: str, text: bytes) -> None:
    """A pod's log, whole, followed or in part; the source is closed afterwards."""

    async def body() -> None:
        asker = Asker()
        asker.do("POST", PODS, pod("a"))
        source = WrittenLogs()
        door = direct.DirectTransport(asker.world, StoppedClock(), None, source)
        assert await ask(door, "GET", f"{PODS}/a/log?{query}") == (200, text)
        assert source.open == 0

    virtual.run(body)


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("nope", "", 404),
        ("gone", "", 404),
        ("waiting", "", 400),
        ("a", "container=zz", 400),
        ("a", "tailLines=-1", 422),
        ("a", "tailLines=x", 400),
        ("a", "previous=true", 400),
        ("a", "sinceSeconds=5", 400),
        ("two", "", 400),
        ("two", "container=d", 200),
        ("chosen", "", 200),
    ],
)
def test_logs_that_are_not_there(name: str, query: str, code: int) -> None:
    """What cannot be shown is refused before the stream begins."""

    async def body() -> None:
        asker = Asker()
        two = {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}
        for one in ("a", "gone", "waiting"):
            asker.do("POST", PODS, pod(one))
        asker.do("POST", PODS, pod("two", spec=two))
        chosen = {"annotations": {"kubectl.kubernetes.io/default-container": "d"}}
        asker.do("POST", PODS, pod("chosen", spec=two, metadata=chosen))
        door = direct.DirectTransport(asker.world, StoppedClock(), None, WrittenLogs())
        assert (await ask(door, "GET", f"{PODS}/{name}/log?{query}"))[0] == code
        bare = direct.DirectTransport(asker.world, StoppedClock())
        assert (await ask(bare, "GET", f"{PODS}/{name}/log?{query}"))[0] in {400, 404, 422}

    virtual.run(body)


@pytest.mark.anyio
async def test_http_demands_its_token_and_its_own_name() -> None:
    """No token, a wrong one, another Host or another Origin: refused with a Status."""
    asker = Asker()
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with http.serve(asker.world, StoppedClock(), TOKEN) as address, aiohttp.ClientSession() as session:
        port = address.rpartition(":")[2]
        cases: list[tuple[str, dict[str, str], int]] = [
            (JOBS, bearer, 200),
            (JOBS, {"Authorization": f"bearer {TOKEN}"}, 200),
            (f"/{TOKEN}{JOBS}", {}, 200),
            (JOBS, {}, 401),
            ("/version", {}, 401),
            (JOBS, {"Authorization": "Bearer other"}, 401),
            (JOBS, {"Authorization": f"Basic {TOKEN}"}, 401),
            (JOBS, {"Authorization": "Bearer \xe9"}, 401),
            (f"/other{JOBS}", {}, 401),
            (f"/{TOKEN}", {}, 401),
            (JOBS, bearer | {"Host": "evil.example"}, 403),
            (JOBS, bearer | {"Host": "localhost:1"}, 403),
            (JOBS, bearer | {"Host": f"localhost:{port}"}, 200),
            (JOBS, bearer | {"Origin": "http://evil.example"}, 403),
            (JOBS, bearer | {"Origin": "null"}, 403),
            (JOBS, bearer | {"Origin": address}, 200),
        ]
        for path, headers, code in cases:
            async with session.get(address + path, headers=headers) as reply:
                assert (reply.status, path, headers) == (code, path, headers)
                content = await reply.json()
                assert code == 200 or (content["kind"], content["code"]) == ("Status", code)


@pytest.mark.anyio
async def test_http_carries_what_the_world_says() -> None:
    """Writes, warnings, large bodies, watches and logs pass through the HTTP door."""
    asker = Asker()
    source = WrittenLogs()
    async with (
        http.serve(asker.world, StoppedClock(), TOKEN, log_source=source) as address,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session,
    ):
        async with session.post(address + JOBS, json=job("a", spec={"zz": 1})) as reply:
            assert (reply.status, reply.headers["warning"]) == (201, '299 - "unknown field \\"spec.zz\\""')
        async with session.post(address + JOBS, data=io.BytesIO(b"x" * (http.MAX_BODY_BYTES + 1))) as reply:
            assert reply.status == 413
        asker.do("POST", PODS, pod("p"))
        async with session.get(f"{address}{PODS}/p/log?tailLines=1") as reply:
            assert (reply.status, await reply.read()) == (200, b"three\n")
        async with session.get(f"{address}{PODS}/p/log?container=zz") as reply:
            assert reply.status == 400
        async with session.get(f"{address}{JOBS}?watch=1&labelSelector=l%3D1") as reply:
            assert reply.headers["transfer-encoding"] == "chunked"
            asker.merge(f"{JOBS}/a", {"metadata": {"labels": {"l": "1"}}})
            assert msgspec.json.decode(await reply.content.readline())["type"] == "ADDED"


@pytest.mark.anyio
async def test_http_takes_nothing_compressed() -> None:
    """What is small on the wire does not become large in memory: it is refused unread."""
    asker = Asker()
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join([packer.compress(b" " * 1_000_000) for _ in range(400)]) + packer.flush()
    assert len(bomb) < http.MAX_BODY_BYTES
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with (
        http.serve(asker.world, StoppedClock(), TOKEN) as address,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}", "Content-Encoding": "gzip"}) as session,
    ):
        async with session.post(address + JOBS, data=io.BytesIO(bomb)) as reply:
            assert (reply.status, (await reply.json())["reason"]) == (415, "UnsupportedMediaType")
        async with session.post(address + JOBS, json=job("a")) as reply:
            assert reply.status == 415
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 50_000


@pytest.mark.anyio
async def test_http_closes_with_watches_open() -> None:
    """The end of the server ends its watches; nobody waits for a timeout."""
    asker = Asker()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        async with http.serve(asker.world, StoppedClock(), TOKEN) as address:
            reply = await session.get(f"{address}{JOBS}?watch=1")
            assert asker.world.open_watches == 1
        assert await reply.read() == b""
    assert asker.world.open_watches == 0


@pytest.mark.anyio
async def test_http_that_cannot_start() -> None:
    """A taken port and an address open to others are one clear line."""
    asker = Asker()
    async with http.serve(asker.world, StoppedClock(), TOKEN) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(errors.CannotStart, match=f"127.0.0.1:{port}"):
            async with http.serve(asker.world, StoppedClock(), TOKEN, port=port):
                pass
    with pytest.raises(errors.CannotStart, match="loopback"):
        async with http.serve(asker.world, StoppedClock(), TOKEN, host="0.0.0.0"):
            pass


def test_kubeconfig(tmp_path: pathlib.Path) -> None:
    """The file is its owner's alone, replaces an older one, and leads to the server with its token."""
    path = tmp_path / "deep" / "kubeconfig"
    kubeconfig.write(path, "old")
    kubeconfig.write(path, kubeconfig.render("http://127.0.0.1:1", TOKEN, namespace="ci"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["kubeconfig"]
    content = msgspec.yaml.decode(path.read_bytes())
    assert content["clusters"][0]["cluster"]["server"] == f"http://127.0.0.1:1/{TOKEN}"
    assert content["users"][0]["user"]["token"] == TOKEN
    assert content["contexts"][0]["context"]["namespace"] == "ci"
    with pytest.raises(errors.CannotStart):
        kubeconfig.write(pathlib.Path("/proc/nope/kubeconfig"), "x")
