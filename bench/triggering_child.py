"""From a webhook to ProwJobs: `python -m bench.triggering_child URL TOKEN KUBECONFIG PULLS` prints one JSON object.

`prow-async hook` is a process of its own, on the real kube-apiserver and on a small GitHub behind a delay. A trusted
author opens pull requests on a repository with 40 presubmits and pushes to them; every time is taken here.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import uvloop

from bench import processes, slow_github, systems, wire
from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.sandbox.github import deliver, http
from prow_async.sandbox.github.world import World
from tests.ports import free_ports

ONE = "one"
"""A repository with a single presubmit: what a webhook takes to become a ProwJob."""
ORG, REPO, TOKEN, SECRET = "acme", "app", "bot-token", b"a-secret-for-the-bench"
AUTHORS = tuple(f"author-{number}" for number in range(101))
RUN, ALL = 31, 40
"""Presubmits that run by themselves, and all; the others look at changed files."""
DELAY_S = 0.1
PATIENCE_S = 60.0
FILES = 90
"""Changed by each pull request at first; every push adds one."""
PLUGINS = ("help", "hold", "label", "lgtm", "size", "trigger")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Milliseconds, one for each delivery, in order."""

    beyond_calls_ms: list[float]
    """From the webhook's being sent to its one ProwJob, without the time in which calls to GitHub were under way."""
    all_created_ms: list[float]
    """From the webhook's being sent to the last of its 31 ProwJobs, with a GitHub that answers at once."""
    first_reads: list[int]
    """Requests that trigger alone reads with for the first `synchronize` of a pull request; 304s apart."""
    second_reads: list[int]
    second_unchanged: list[int]
    """304s of the second `synchronize`."""
    every_plugin_reads: int
    """The most that all plugins together read for one `synchronize`."""
    every_plugin_distinct: int


def config() -> str:
    spec = "{containers: [{image: example.com/test, command: ['true']}]}"
    run = [f"  - {{name: unit-{n}, always_run: true, spec: {spec}}}" for n in range(RUN)]
    look = [f"  - {{name: docs-{n}, run_if_changed: '^docs/{n}/', spec: {spec}}}" for n in range(ALL - RUN)]
    one = f"  {ORG}/{ONE}:\n  - {{name: one, always_run: true, spec: {spec}}}\n"
    return f"{systems.CONFIG}presubmits:\n  {ORG}/{REPO}:\n" + "\n".join([*run, *look, one])


class Bench:
    """The world, the hook's address, and the ProwJobs that have been seen."""

    def __init__(self, world: World, traffic: slow_github.Traffic) -> None:
        self.world = world
        self.traffic = traffic
        self.seen: dict[str, list[float]] = {}
        """Delivery GUID -> when each of its ProwJobs was seen."""
        self._sent: dict[str, float] = {}
        self._pushes = 0

    async def watch(self, client: aiohttp.ClientSession, opened: asyncio.Event) -> None:
        async for event in wire.watch(client, wire.JOBS, opened):
            if event["type"] == "ADDED":
                guid = event["object"]["metadata"]["labels"]["event-GUID"]
                self.seen.setdefault(guid, []).append(time.monotonic())

    async def send(self, url: str, headers: dict[str, str], body: bytes, post: deliver.Send) -> int:
        self._sent[headers["X-GitHub-Delivery"]] = time.monotonic()
        return await post(url, headers, body)

    def open(self, author: str, repo: str = REPO) -> int:
        """Open a pull request; return its number."""
        files = [f"dir/{author}-{number}.go" for number in range(FILES)]
        return self.world.open_pull(ORG, repo, author, "Change", author, files, now_s=self.world_now()).number

    async def push(self, number: int, repo: str = REPO) -> tuple[float, float, float]:
        """Push to a pull request; return seconds to the first and to the last ProwJob, and of calls until the first."""
        await asyncio.sleep(0.3)
        self.traffic.forget()
        before = set(self._sent)
        self._pushes += 1
        name = f"new/file-{self._pushes}.go"
        self.world.push_to_pull(ORG, repo, number, (name,), by=AUTHORS[0], now_s=self.world_now())
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            new = [guid for guid in self._sent if guid not in before and guid in self.seen]
            if new:
                [guid] = new
                calls_s = self.traffic.busy_s()
                first_s = self.seen[guid][0] - self._sent[guid]
                while len(self.seen[guid]) < (RUN if repo == REPO else 1) and time.monotonic() < end_s:
                    await asyncio.sleep(0.001)
                return first_s, self.seen[guid][-1] - self._sent[guid], calls_s
            await asyncio.sleep(0.0005)
        raise processes.Broken("no ProwJob came of a webhook")

    @staticmethod
    def world_now() -> float:
        return SystemClock().now()


def _prepared(folder: Path, kubeconfig: str, github: str, plugins: tuple[str, ...]) -> list[str]:
    """Write what hook reads; return the command that runs it, ports aside."""
    folder.mkdir()
    (folder / "config.yaml").write_text(config())
    (folder / "plugins.yaml").write_text(f"plugins: {{{ORG}: {{plugins: [{', '.join(plugins)}]}}}}\n")
    (folder / "token").write_text(TOKEN)
    (folder / "hmac").write_bytes(SECRET)
    return [
        *(str(systems.program()), "hook", "--dry-run=false", "--listen-host=127.0.0.1"),
        *(f"--kubeconfig={kubeconfig}", f"--config-path={folder / 'config.yaml'}"),
        *(f"--plugin-config={folder / 'plugins.yaml'}", f"--github-token-path={folder / 'token'}"),
        *(f"--hmac-secret-file={folder / 'hmac'}", f"--inbox-dir={folder / 'inbox'}"),
        *(f"--github-endpoint={github}", f"--cache-dir-base={folder / 'cache'}"),
    ]


@asynccontextmanager
async def hook(folder: Path, kubeconfig: str, github: str, plugins: tuple[str, ...]) -> AsyncIterator[str]:
    """Run `prow-async hook`; yield where webhooks go."""
    port, metrics_port, health_port = free_ports(3)
    words = _prepared(folder, kubeconfig, github, plugins)
    words += [f"--port={port}", f"--metrics-port={metrics_port}", f"--health-port={health_port}"]
    with processes.child(words) as child:
        ready = f"http://127.0.0.1:{health_port}/healthz/ready"
        await asyncio.to_thread(child.wait_until, lambda: systems.answers(ready), "prow-async hook")
        yield f"http://127.0.0.1:{port}/hook"


@asynccontextmanager
async def delivering(bench: Bench, url: str) -> AsyncIterator[None]:
    """Deliver the world's webhooks to an address while the context lasts."""
    made = bench.world.add_hook(ORG, "", url, SECRET, now_s=bench.world_now())
    async with http.posting() as post, asyncio.TaskGroup() as group:

        async def send(where: str, headers: object, body: bytes) -> int:
            assert isinstance(headers, dict)
            return await bench.send(where, headers, body, post)

        task = group.create_task(deliver.run(bench.world, SystemClock(), send))
        try:
            await asyncio.sleep(0.3)  # the ping
            yield
        finally:
            task.cancel()
    bench.world.remove_hook(ORG, "", made.id)


async def run(url: str, token: str, kubeconfig: str, pulls: int) -> Found:
    world = World(SystemIds())
    world.add_bot("prow-bot", TOKEN)
    world.add_org(ORG, members=list(AUTHORS), owners=["olga"])
    world.add_repo(ORG, REPO, now_s=SystemClock().now())
    world.add_repo(ORG, ONE, now_s=SystemClock().now())
    for repo in (REPO, ONE):
        world.add_collaborator(ORG, repo, "prow-bot")
    traffic = slow_github.Traffic()
    bench = Bench(world, traffic)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prow-async-bench-")))
        address = await stack.enter_async_context(http.serve(world, SystemClock()))
        late = await stack.enter_async_context(slow_github.before(address, traffic))
        client = await stack.enter_async_context(wire.session(url, token, 4))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        opened = asyncio.Event()
        watching = group.create_task(bench.watch(client, opened))
        await opened.wait()
        numbers = [bench.open(author) for author in AUTHORS[: pulls + 1]]
        ones = {number: bench.open(author, ONE) for number, author in zip(numbers, AUTHORS, strict=False)}
        beyond: list[float] = []
        created: list[float] = []
        first: list[int] = []
        second: list[int] = []
        unchanged: list[int] = []
        async with hook(folder / "alone", kubeconfig, late, ("trigger",)) as to, delivering(bench, to):
            await bench.push(numbers[0])  # nothing has been loaded before the first
            for number in numbers[1:]:
                traffic.delay_s = DELAY_S
                for counts in (first, second):
                    await bench.push(number)
                    await asyncio.sleep(0.3)
                    counts.append(len(traffic.reads))
                unchanged.append(traffic.unchanged)
                first_s, _, calls_s = await bench.push(ones[number], ONE)
                beyond.append((first_s - calls_s) * 1000)
                traffic.delay_s = 0.0
                _, last_s, _ = await bench.push(number)
                created.append(last_s * 1000)
        most, distinct = 0, 0
        async with hook(folder / "all", kubeconfig, late, PLUGINS) as to, delivering(bench, to):
            for number in numbers[:3]:
                await bench.push(number)
                await asyncio.sleep(0.5)
                most, distinct = max(most, len(traffic.reads)), max(distinct, len(set(traffic.reads)))
        watching.cancel()
    return Found(
        beyond_calls_ms=beyond,
        all_created_ms=created,
        first_reads=first,
        second_reads=second,
        second_unchanged=unchanged,
        every_plugin_reads=most,
        every_plugin_distinct=distinct,
    )


def main() -> None:
    url, token, kubeconfig, pulls = sys.argv[1:]
    print(msgspec.json.encode(uvloop.run(run(url, token, kubeconfig, int(pulls)))).decode())


if __name__ == "__main__":
    main()
