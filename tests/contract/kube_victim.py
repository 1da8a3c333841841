"""A process that writes to a kept API server until it is killed. It says on its output what has been acknowledged.

Run as `python -m tests.contract.kube_victim FOLDER LIFE SEED`.
"""

import random
import sys
import time
from pathlib import Path

import anyio
import msgspec

from prow_async.sandbox.kube import direct, statedir
from prow_async.sandbox.kube.world import World
from tests.contract.kube_targets import CONFIG_MAPS, JSON, RandomIds, config_map

MAPS = CONFIG_MAPS.replace("{ns}", "default")
COMPACT_BYTES = 100_000


class WallClock:
    def now(self) -> float:
        return time.time()


def say(word: str, name: str, version: str) -> None:
    sys.stdout.write(f"{word} {name} {version}\n")
    sys.stdout.flush()


async def ask(transport: direct.DirectTransport, method: str, path: str, body: object) -> tuple[int, str]:
    """Ask; return the status and the resource version."""
    media = "application/merge-patch+json" if method == "PATCH" else JSON
    data = b"" if body is None else msgspec.json.encode(body)
    async with transport.send(method, path, {"content-type": media}, data) as reply:
        content = msgspec.json.decode(await reply.read())
        return reply.status, content.get("metadata", {}).get("resourceVersion", "0")


async def work(transport: direct.DirectTransport, prefix: str, rng: random.Random) -> None:
    for number in range(100_000):
        name = f"{prefix}-{number}"
        status, version = await ask(transport, "POST", MAPS, config_map(name, text="x" * rng.randint(1, 3000)))
        assert status == 201
        say("created", name, version)
        if rng.random() < 0.5:
            status, version = await ask(transport, "PATCH", f"{MAPS}/{name}", {"data": {"changed": "1"}})
            assert status == 200
            say("changed", name, version)
        if rng.random() < 0.6:
            say("deleting", name, "0")
            status, _ = await ask(transport, "DELETE", f"{MAPS}/{name}", None)
            assert status == 200
            say("deleted", name, "0")


async def main(folder: Path, life: int, seed: int) -> None:
    world = World(RandomIds())
    async with statedir.opened(folder, world, time.time(), COMPACT_BYTES), anyio.create_task_group() as group:
        say("opened", "at", str(world.version))
        transport = direct.DirectTransport(world, WallClock())
        for worker in range(8):
            group.start_soon(work, transport, f"life{life}-worker{worker}", random.Random(seed + worker))


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
