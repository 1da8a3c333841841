"""A kubelet whose API server fails it: every pod still runs once, and the server learns how it ended."""

import random
from pathlib import Path

import anyio
import pytest

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.sandbox.faults import Fault
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from tests.contract import kube_targets as targets
from tests.contract.kubelet_parts import container, ended, log_of, mounted, phase, pod, running, runs, shared, until

pytestmark = pytest.mark.anyio
Planned = tuple[str, str, str, Fault]
"""When (`before` or `after`), the method, what the path contains, and the fault."""
DROP = Fault("drop")


class Script:
    """Plays each planned fault once, at the first request it fits."""

    def __init__(self, *planned: Planned, cut_lines: int = 0, double: bool = False) -> None:
        self._planned = list(planned)
        self._cut_lines = cut_lines
        self._double = double

    def __str__(self) -> str:
        steps = [
            f"{when} {method} {path} {fault.kind}{fault.status or ''}" for when, method, path, fault in self._planned
        ]
        return ", ".join(steps) or f"cut_lines={self._cut_lines} double={self._double}"

    def before(self, method: str, path: str) -> Fault | None:
        return self._next("before", method, path)

    def after(self, method: str, path: str, status: int) -> Fault | None:
        return self._next("after", method, path)

    def _next(self, when: str, method: str, path: str) -> Fault | None:
        for entry in self._planned:
            if entry[:2] == (when, method) and entry[2] in path:
                self._planned.remove(entry)
                return entry[3]
        return None

    def line(self, line: bytes) -> list[bytes] | None:
        if self._cut_lines:
            self._cut_lines -= 1
            return None
        return [line, line] if self._double else [line]

    @property
    def played(self) -> bool:
        return not self._planned and not self._cut_lines


class Dice:
    """Fails each request, before or after its work, and each watch line with some probability."""

    def __init__(self, seed: int, probability: float) -> None:
        self._rng = random.Random(seed)
        self._probability = probability

    def before(self, method: str, path: str) -> Fault | None:
        faults = [DROP, Fault("answer", 503), Fault("answer", 409), Fault("answer", 429, retry_after_s=0.05)]
        return self._rng.choice(faults) if self._rng.random() < self._probability else None

    def after(self, method: str, path: str, status: int) -> Fault | None:
        return DROP if self._rng.random() < self._probability else None

    def line(self, line: bytes) -> list[bytes] | None:
        thrown = self._rng.random()
        return None if thrown < self._probability / 4 else [line] * (1 + (thrown > 0.7))


def server(world: World, faults: Script | Dice | None = None) -> KubeCollection:
    """A door to the world's pods."""
    transport = direct.DirectTransport(world, SystemClock(), faults)
    return KubeCollection(transport, "embedded", collection.PODS, "default")


def answer(status: int, after_s: float | None = None) -> Fault:
    return Fault("answer", status, retry_after_s=after_s)


@pytest.mark.parametrize(
    "script",
    [
        Script(("before", "PATCH", "/status", answer(503)), ("before", "PATCH", "/status", answer(429, 0.1))),
        Script(("before", "PATCH", "/status", DROP)),
        Script(("after", "PATCH", "/status", DROP)),
        Script(("after", "PATCH", "/status", answer(504))),
        Script(("before", "PATCH", "/status", answer(409))),
        Script(("before", "PATCH", "/status", answer(403))),
        Script(("before", "PATCH", "/status", answer(409)), ("before", "GET", "/pods/p", answer(500))),
        Script(("after", "PATCH", "/status", DROP), ("before", "GET", "/pods/p", answer(500))),
        Script(("before", "GET", "limit=", answer(503)), ("before", "GET", "limit=", DROP)),
        Script(("before", "GET", "limit=", answer(410))),
        Script(("before", "GET", "watch=", answer(410))),
        Script(("before", "GET", "watch=", answer(403))),
        Script(cut_lines=2),
        Script(double=True),
    ],
    ids=str,
)
async def test_a_pod_runs_once_whatever_fails(script: Script, tmp_path: Path) -> None:
    """Its first status may have been taken or not, the watch may break: the settled state is the same."""
    world = World(SystemIds())
    clean = server(world)
    async with running(server(world, script), tmp_path / "root", host_paths=(str(tmp_path),)):
        ran = container("c", f"echo ran >> {tmp_path}/ran", **mounted(tmp_path))
        await targets.create(clean, pod("p", ran, **shared(tmp_path)))
        found = await until(clean, "p", ended)
        await targets.create(clean, pod("q", container("c", "true")))
        assert phase(await until(clean, "q", ended)) == "Succeeded"
    assert phase(found) == "Succeeded"
    assert await anyio.Path(tmp_path / "ran").read_text() == "ran\n"
    assert script.played


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
async def test_seeded_faults(seed: int, tmp_path: Path) -> None:
    """Many faults at once: every pod runs once and the server knows its end."""
    world = World(SystemIds())
    clean = server(world)
    async with running(server(world, Dice(seed, 0.15)), tmp_path / "root", host_paths=(str(tmp_path),)):
        for number in range(4):
            ran = container("c", f"echo ran >> {tmp_path}/{number}; exit {number % 2}", **mounted(tmp_path))
            await targets.create(clean, pod(f"p{number}", ran, **shared(tmp_path)))
        for number in range(4):
            found = await until(clean, f"p{number}", ended)
            assert phase(found) == ("Failed" if number % 2 else "Succeeded")
            assert await anyio.Path(tmp_path / str(number)).read_text() == "ran\n"


async def test_a_pod_deleted_while_the_server_is_away_is_ended(tmp_path: Path) -> None:
    """The watch has missed the deletion: the next list tells."""
    world = World(SystemIds())
    clean, script = server(world), Script()
    async with running(server(world, script), tmp_path) as kubelet:
        made = await targets.create(
            clean, pod("p", container("c", "trap 'echo asked; exit 1' TERM; sleep 1000 & wait"))
        )
        await until(clean, "p", runs)
        script._cut_lines = 2
        await clean.delete("p", made["metadata"]["uid"])
        assert await log_of(kubelet, "default", "p", "c") == "asked\n"


async def test_a_pod_that_does_not_read_spoils_nothing_but_itself(tmp_path: Path) -> None:
    """It fails in one clear line; the others go on."""
    pods = server(World(SystemIds()))
    async with running(pods, tmp_path):
        await targets.create(pods, pod("odd", container("c", "true", securityContext="none")))
        await targets.create(pods, pod("even", container("c", "true", env=[{"name": "EMPTY"}])))
        assert phase(await until(pods, "even", ended)) == "Succeeded"
        found = await until(pods, "odd", ended)
    assert (phase(found), found["status"]["reason"]) == ("Failed", "CannotRunLocally")
    assert "its spec does not read: Expected `object`, got `str`" in found["status"]["message"]


@pytest.mark.slow
async def test_logs_are_served_through_the_api_server(tmp_path: Path) -> None:
    """The kubelet's logs are the log source of the small API server; following ends with the container."""
    world = World(SystemIds())
    async with running(server(world), tmp_path) as kubelet:
        transport = direct.DirectTransport(world, SystemClock(), log_source=kubelet.logs)
        pods = server(world)
        await targets.create(pods, pod("p", container("c", "echo one; sleep 0.2; echo two")))
        await until(pods, "p", runs)
        async with transport.send("GET", "/api/v1/namespaces/default/pods/p/log?follow=true") as reply:
            assert reply.status == 200
            assert await reply.read() == b"one\ntwo\n"


async def test_folders_are_swept_away_after_their_pods(tmp_path: Path) -> None:
    """An earlier kubelet's folders go once their retention is over; nothing else below the root is touched."""
    old = tmp_path / "ns_gone_0b9f1c3e-1111-4222-8333-444455556666"
    for folder in (old / "processes", tmp_path / "precious", tmp_path / "a_b_c"):
        await anyio.Path(folder).mkdir(parents=True)
    world = World(SystemIds())
    async with running(server(world), tmp_path, retention_s=0.0) as kubelet:
        await targets.create(server(world), pod("p", container("c", "true")))
        await until(server(world), "p", ended)
        assert kubelet.statistics()["folders_to_sweep"] == 1
        await kubelet.sweep()
    left = sorted([path.name async for path in anyio.Path(tmp_path).iterdir()])
    assert [name.partition("_")[0] for name in left] == ["a", "default", "kubelet", "precious"]
