"""Webhooks handled per second, durably: the whole way of a delivery beside the least any server can do.

    python -m bench.intake --seconds 5 --json FILE

The bare server is an aiohttp application with one route. It appends bodies to a preallocated log, one fdatasync for
all that came meanwhile, and looks at neither signature nor GUID. Both run side by side and get the same load from
this process, in turns of half a second, so that whatever else the machine does meets both alike. Only the ratio
travels from one machine to another.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import anyio
import msgspec
from aiohttp import web

from bench import processes
from prow_async.actors.executor import Executor, Targets
from prow_async.actors.router import Router
from prow_async.actors.share import Env
from prow_async.adapters import clock, logs, metrics
from prow_async.adapters.inbox import durable
from prow_async.adapters.inbox.store import Settings
from prow_async.adapters.web import hook, server
from prow_async.api.actions import Decision
from prow_async.api.config import Config
from prow_async.api.plugin_config import OrgPlugins, PluginConfig
from prow_async.apps import process
from prow_async.core import webhook
from prow_async.ports.config import Snapshot
from prow_async.ports.plugin import Event, Help, Plugin, Reads

SECRET = b"a-secret-for-the-bench"
LOG_BYTES = 1 << 30
SPARE_BYTES = 256 << 20
SERVERS = ("bare", "ours")
TURN_S = 0.5
GIVE_UP_S = 60.0


class Figures(msgspec.Struct, frozen=True):
    """One server, over all its turns."""

    server: str
    requests: int
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    """The server's own CPU for one request, in microseconds."""
    refused: int


class Report(msgspec.Struct, frozen=True):
    """`ratio` is ours to bare in requests per second: the median over pairs of turns. `p99_ratio`: of all answers."""

    seconds: float
    connections: int
    body_bytes: int
    uvloop: bool
    turns: int
    servers: list[Figures]
    ratio: float
    p99_ratio: float
    bare_per_s: float
    ours_per_s: float


def webhook_body() -> bytes:
    """Return a `pull_request` webhook of about 24 KB, shaped as GitHub's are: many addresses, three repositories."""
    user = {"login": "octocat", "id": 1} | {f"{w}_url": f"https://api.github.com/users/octocat/{w}" for w in "abcdefgh"}
    links = {f"link_{n}_url": f"https://api.github.com/repos/octo-org/hello/thing-{n}{{/number}}" for n in range(84)}
    repo = {"id": 2, "name": "hello", "full_name": "octo-org/hello", "owner": user, "private": False} | links
    branch = {"ref": "main", "sha": "0" * 40, "user": user, "repo": repo}
    pull = {"number": 7, "title": "A change", "body": "Text. " * 120, "user": user, "base": branch, "head": branch}
    payload = {"action": "opened", "number": 7, "pull_request": pull, "repository": repo, "sender": user}
    return msgspec.json.encode(payload)


# The servers


class BareLog:
    """Appends in a thread, one fdatasync for all that came while the one before was under way."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log"
        self._file = self._new_file()
        self._offset = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._bell = threading.Condition()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._write, daemon=True).start()

    def _new_file(self) -> int:
        self._path.unlink(missing_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT)
        os.posix_fallocate(file, 0, LOG_BYTES)
        os.fsync(file)
        return file

    def append(self, body: bytes) -> "asyncio.Future[None]":
        done = self._loop.create_future()
        with self._bell:
            self._waiting.append((body, done))
            self._bell.notify()
        return done

    def _write(self) -> None:
        while True:
            with self._bell:
                while not self._waiting:
                    self._bell.wait()
                group, self._waiting = self._waiting, []
            size = sum(len(body) for body, _ in group)
            if self._offset + size > LOG_BYTES:
                os.close(self._file)
                self._file, self._offset = self._new_file(), 0
            self._offset += os.pwritev(self._file, [body for body, _ in group], self._offset)
            os.fdatasync(self._file)
            self._loop.call_soon_threadsafe(self._answer, group)

    def _answer(self, group: list[tuple[bytes, "asyncio.Future[None]"]]) -> None:
        for _, done in group:
            if not done.done():
                done.set_result(None)


async def serve_bare(folder: Path) -> None:
    log = BareLog(folder)

    async def receive(request: web.Request) -> web.StreamResponse:
        await log.append(await request.read())
        return web.Response(text="Event received. Have a nice day.")

    app = web.Application(client_max_size=webhook.MAX_BODY_BYTES)
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await anyio.sleep_forever()


async def serve_ours(folder: Path) -> None:
    """Serve the whole way of a delivery: checks, log, decoding, routing to a plugin, and its end in the inbox."""
    tokens, counters, censor = webhook.parse_tokens(SECRET), metrics.PrometheusMetrics(), logs.Censor()
    censor.add(tokens.every())
    settings = Settings(max_bytes=8 << 30)
    with (folder / "log.jsonl").open("wb") as out:
        logs.set_up("hook", censor, out=out)
        async with (
            durable.opened(folder / "inbox", clock.SystemClock(), settings) as inbox,
            anyio.create_task_group() as group,
        ):
            await inbox.reserve(SPARE_BYTES)
            group.start_soon(_router(inbox, counters).run)
            site = hook.hook_site(lambda: tokens, inbox, counters)
            async with server.serving(site, "127.0.0.1", 0) as url:
                process.rest_loaded()
                print(url.rsplit(":", 1)[1], flush=True)
                await anyio.sleep_forever()


def _router(inbox: durable.DurableInbox, counters: metrics.PrometheusMetrics) -> Router:
    """Make a router with one plugin, which is on, looks at each pull request and finds nothing to do."""

    async def gather(reads: Reads, event: Event, guid: str) -> None:
        return None

    def decide(facts: object) -> Decision:
        raise AssertionError("there are no facts")

    plugins = PluginConfig(plugins={"octocat": OrgPlugins(("looks",))})
    snapshot = Snapshot(config=Config(), plugins=plugins, digest="", loaded_s=0.0)
    nothing = cast(Any, None)  # what a plugin that finds nothing to do never asks for
    reads = Reads(nothing, snapshot, clock.SystemClock(), nothing, None, "bench", None, nothing)
    executor = Executor(Targets(nothing, nothing, {}, None), counters, clock.SystemClock(), clock.SystemIds())
    looks = Plugin("looks", Help(""), frozenset({"pull_request"}), gather, decide)
    env = Env(counters, clock.SystemClock(), lambda event, org: None)
    return Router(inbox, (looks,), lambda: snapshot, lambda known: reads, executor, env)


# The load


class Load:
    """Keeps connections busy until its time is over: one request after the other on each."""

    def __init__(self, seconds: float) -> None:
        self.body = webhook_body()
        self.signature = webhook.sign(self.body, SECRET)
        self.seconds = seconds
        self.end_s = 0.0
        self.latencies_s: list[float] = []
        self.refused = 0
        self.first_refusal = b""

    def request(self) -> bytes:
        return (
            f"POST /hook HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n"
            f"X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
            f"X-Hub-Signature-256: {self.signature}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        ).encode()

    async def run(self, port: int, connections: int) -> float:
        """Return the seconds it took."""
        loop = asyncio.get_running_loop()
        started_s = time.perf_counter()
        self.end_s = started_s + self.seconds
        made = [await loop.create_connection(lambda: Connection(self), "127.0.0.1", port) for _ in range(connections)]
        async with asyncio.timeout(self.seconds + GIVE_UP_S):
            for _, connection in made:
                await connection.closed
        return time.perf_counter() - started_s


class Connection(asyncio.Protocol):
    """One keep-alive connection. Its answers are small and have a Content-Length."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._got = b""
        self._sent_s = 0.0
        self._transport: asyncio.Transport
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no instances of it
        self._send()

    def _send(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.writelines([self._load.request(), self._load.body])

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, blank, text = self._got.partition(b"\r\n\r\n")
        if not blank or len(text) < int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]):
            return
        now_s = time.perf_counter()
        self._load.latencies_s.append(now_s - self._sent_s)
        if not head.startswith(b"HTTP/1.1 200 "):
            self._load.refused += 1
            self._load.first_refusal = self._load.first_refusal or self._got
        self._got = b""
        if now_s < self._load.end_s:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


# Measuring


def run_loop(body: Coroutine[Any, Any, Any]) -> Any:
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.run(body)
    return asyncio.run(body)


def has_uvloop() -> bool:
    try:
        import uvloop  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def serving(name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a server in a process of its own, until the context ends."""
    folder.mkdir()
    command = [sys.executable, "-m", "bench.intake", "--serve", name, "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


class Tally:
    """What one server has shown so far."""

    def __init__(self, name: str, pid: int, port: int) -> None:
        self.name = name
        self._pid = pid
        self._port = port
        self._cpu_s = 0.0
        self._took_s = 0.0
        self._latencies_s: list[float] = []
        self._refused = 0

    def turn(self, connections: int, count: bool) -> float:
        """Load the server for a turn; return requests per second."""
        load = Load(TURN_S)
        before_s = processes.cpu_s(self._pid)
        took_s: float = run_loop(load.run(self._port, connections))
        if load.refused:
            print(f"{self.name} refused {load.refused}: {load.first_refusal[:200]!r}", file=sys.stderr)
        if count:
            self._cpu_s += processes.cpu_s(self._pid) - before_s
            self._took_s += took_s
            self._latencies_s += load.latencies_s
            self._refused += load.refused
        return len(load.latencies_s) / took_s

    def figures(self) -> Figures:
        ordered, count = sorted(self._latencies_s), len(self._latencies_s)
        return Figures(
            server=self.name,
            requests=count,
            per_s=round(count / self._took_s, 1),
            p50_ms=round(ordered[count // 2] * 1000, 2),
            p99_ms=round(ordered[count * 99 // 100] * 1000, 2),
            cpu_us=round(self._cpu_s / count * 1e6, 1),
            refused=self._refused,
        )


def run(seconds: float, connections: int = 32, rounds: int = 3) -> Report:
    """Give both servers `rounds` times `seconds` of load, in turns; who goes first changes each time."""
    turns = max(2, round(seconds * rounds / TURN_S))
    ratios: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-intake-", dir=os.getcwd()) as folder,
        contextlib.ExitStack() as stack,
    ):
        tallies = {name: Tally(name, *stack.enter_context(serving(name, Path(folder, name)))) for name in SERVERS}
        for number in range(-2, turns):  # the first two warm up
            order = SERVERS if number % 2 == 0 else SERVERS[::-1]
            per_s = {name: tallies[name].turn(connections, number >= 0) for name in order}
            if number >= 0:
                ratios.append(per_s["ours"] / per_s["bare"])
        found = [tallies[name].figures() for name in SERVERS]
    for figures in found:
        print(
            f"{figures.server:5} {figures.per_s:9.0f}/s  p50 {figures.p50_ms:6.2f} ms  p99 {figures.p99_ms:6.2f} ms"
            f"  {figures.cpu_us:5.0f} us CPU a request",
            flush=True,
        )
    ratio = statistics.median(ratios)
    print(f"ours / bare: {ratio:.2f} (middle half of {turns} pairs: {_middle(ratios)})")
    bare, ours = found
    return Report(
        seconds=seconds,
        connections=connections,
        body_bytes=len(webhook_body()),
        uvloop=has_uvloop(),
        turns=turns,
        servers=found,
        ratio=round(ratio, 3),
        p99_ratio=round(ours.p99_ms / bare.p99_ms, 2),
        bare_per_s=bare.per_s,
        ours_per_s=ours.per_s,
    )


def _middle(ratios: list[float]) -> str:
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{low:.2f} to {high:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one round of load for each server")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the report here")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.serve is not None:
        run_loop({"bare": serve_bare, "ours": serve_ours}[flags.serve](flags.folder))
        return
    report = run(flags.seconds, flags.connections, flags.rounds)
    if flags.json is not None:
        flags.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


if __name__ == "__main__":
    main()
