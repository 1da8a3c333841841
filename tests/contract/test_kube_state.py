"""The API server's objects over restarts: kept, never older than what was acknowledged, never half."""

import asyncio
import itertools
import os
import random
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from prow_async.api.errors import CannotStart
from prow_async.sandbox.kube import direct, exchange, journal, statedir, watches
from prow_async.sandbox.kube.world import World
from tests import realkube
from tests.contract import kube_targets as targets
from tests.contract import victims
from tests.contract.kube_targets import JSON, Json, RandomIds
from tests.contract.kube_victim import COMPACT_BYTES, MAPS, WallClock

pytestmark = pytest.mark.anyio

JOBS = "/apis/prow.k8s.io/v1/namespaces/default/prowjobs"


class Kept:
    """A world on a folder."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.transport = direct.DirectTransport(world, WallClock())

    async def ask(self, method: str, path: str, body: Any = None, media: str = JSON) -> tuple[int, Json]:
        data = b"" if body is None else msgspec.json.encode(body)
        async with self.transport.send(method, path, {"content-type": media}, data) as reply:
            return reply.status, msgspec.json.decode(await reply.read())


def _world() -> World:
    return World(RandomIds())


async def test_everything_comes_back(tmp_path: Path) -> None:
    """Objects of built-in and custom kinds as they were, the definition, the version; deleted ones stay deleted."""
    world = _world()
    async with statedir.opened(tmp_path, world, time.time()):
        kept = Kept(world)
        world.install(yaml.safe_load(realkube.CRD.read_text()), time.time())
        for body in (targets.config_map("a", x="1"), targets.config_map("b")):
            assert (await kept.ask("POST", MAPS, body))[0] == 201
        assert (await kept.ask("POST", JOBS, targets.prowjob("j", {"a": "b"})))[0] == 201
        await kept.ask("DELETE", f"{MAPS}/b")
        before = {path: (await kept.ask("GET", path))[1] for path in (f"{MAPS}/a", f"{JOBS}/j", JOBS)}
        version = world.version
    again = _world()
    async with statedir.opened(tmp_path, again, time.time()):
        kept = Kept(again)
        assert again.version == version
        again.install(yaml.safe_load(realkube.CRD.read_text()), time.time())
        assert {path: (await kept.ask("GET", path))[1] for path in before} == before
        assert (await kept.ask("GET", f"{MAPS}/b"))[0] == 404
        assert (await kept.ask("GET", f"{JOBS}?labelSelector=a%3Db"))[1]["items"][0]["metadata"]["name"] == "j"
        made = (await kept.ask("POST", MAPS, targets.config_map("b")))[1]
        assert int(made["metadata"]["resourceVersion"]) > version


async def test_a_watch_from_before_is_told_so(tmp_path: Path) -> None:
    """Its version is older than the new server's memory: 410, so that it lists anew."""
    world = _world()
    async with statedir.opened(tmp_path, world, time.time()):
        await Kept(world).ask("POST", MAPS, targets.config_map("a"))
    again = _world()
    async with statedir.opened(tmp_path, again, time.time()):
        outcome = again.handle(exchange.Request.parse("GET", f"{MAPS}?watch=1&resourceVersion=2"), time.time())
        assert isinstance(outcome, watches.Watch)
        (line,) = outcome.take()
        assert msgspec.json.decode(line)["object"]["code"] == 410


async def test_what_waits_goes_on(tmp_path: Path) -> None:
    """Deletions under way, owners and terminating namespaces are finished by the next server."""
    world = _world()
    async with statedir.opened(tmp_path, world, time.time()):
        kept = Kept(world)
        await kept.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        held = targets.config_map("held")
        held["metadata"]["finalizers"] = ["example.com/a"]
        inside = "/api/v1/namespaces/n/configmaps"
        _, owner = await kept.ask("POST", inside, held)
        below = targets.config_map("below")
        meta = owner["metadata"]
        below["metadata"] |= {
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "held", "uid": meta["uid"]}],
            "finalizers": ["example.com/b"],
        }
        await kept.ask("POST", inside, below)
        await kept.ask("DELETE", f"{inside}/held")
        await kept.ask("DELETE", "/api/v1/namespaces/n")
    again = _world()
    async with statedir.opened(tmp_path, again, time.time()):
        kept = Kept(again)
        merge, free = "application/merge-patch+json", {"metadata": {"finalizers": None}}
        assert (await kept.ask("PATCH", f"{inside}/held", free, merge))[0] == 200
        assert (await kept.ask("GET", f"{inside}/below"))[1]["metadata"]["deletionTimestamp"]
        assert (await kept.ask("POST", inside, targets.config_map("new")))[0] == 403
        assert (await kept.ask("PATCH", f"{inside}/below", free, merge))[0] == 200
        assert (await kept.ask("GET", "/api/v1/namespaces/n"))[0] == 404


@pytest.mark.parametrize("torn", [b"\0\0\0", b"0123 not a line", b"deadbeef 5 put x {}\n"])
async def test_a_torn_end_is_dropped(tmp_path: Path, torn: bytes) -> None:
    """What nobody was told of does not keep the server from starting."""
    await _write_one(tmp_path)
    with (tmp_path / "journal-00000000.log").open("ab") as file:
        file.write(torn)
    for _ in range(2):
        world = _world()
        async with statedir.opened(tmp_path, world, time.time()):
            assert (await Kept(world).ask("GET", f"{MAPS}/a"))[0] == 200


async def _write_one(folder: Path) -> None:
    world = _world()
    async with statedir.opened(folder, world, time.time()):
        for name in "ab":
            assert (await Kept(world).ask("POST", MAPS, targets.config_map(name)))[0] == 201


async def test_damage_of_what_was_acknowledged_is_told(tmp_path: Path) -> None:
    """A changed byte before later records: refused with file and byte, and the file is left as it is."""
    await _write_one(tmp_path)
    path = tmp_path / "journal-00000000.log"
    content = path.read_bytes()
    at = content.index(b'"name":"a"')
    broken = content[:at] + b"#" + content[at + 1 :]
    path.write_bytes(broken)
    with pytest.raises(CannotStart, match=rf"{path.name}: what stands at byte \d+ was acknowledged"):
        async with statedir.opened(tmp_path, _world(), time.time()):
            pass
    assert path.read_bytes() == broken


async def test_any_cut_and_any_changed_byte(tmp_path: Path) -> None:
    """Cut anywhere, the server starts with what came before. Changed anywhere but in its last line, it does not."""
    folder = tmp_path / "whole"
    world = _world()
    async with statedir.opened(folder, world, time.time()):
        for number in range(8):
            await Kept(world).ask("POST", MAPS, targets.config_map(f"m{number}"))
    content = _content(folder)
    last = content.rindex(b"\n", 0, -1)
    rng = random.Random(5)
    for number in range(60):
        at = rng.randrange(len(content))
        cut = _folder(tmp_path / f"cut{number}", content[:at])
        again = _world()
        async with statedir.opened(cut, again, time.time()):
            names = [one["metadata"]["name"] for one in again.objects("configmaps")]
            assert names == [f"m{index}" for index in range(len(names))]
        at = rng.randrange(last)
        changed = bytes([content[at] ^ (1 << rng.randrange(8))])
        broken = _folder(tmp_path / f"broken{number}", content[:at] + changed + content[at + 1 :])
        with pytest.raises(CannotStart, match="journal-00000000.log"):
            async with statedir.opened(broken, _world(), time.time()):
                pass


def _content(folder: Path) -> bytes:
    return (folder / "journal-00000000.log").read_bytes()


def _folder(path: Path, content: bytes) -> Path:
    """Make a folder with one journal."""
    path.mkdir()
    (path / "journal-00000000.log").write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (journal.title(journal.VERSION + 1), "written in format 2, not 1"),
        (b"something else\n", "no file of this server"),
    ],
)
async def test_other_files_are_refused(tmp_path: Path, first: bytes, why: str) -> None:
    """A newer format, or something else altogether."""
    (tmp_path / "journal-00000000.log").write_bytes(first)
    with pytest.raises(CannotStart, match=why):
        async with statedir.opened(tmp_path, _world(), time.time()):
            pass


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    async with statedir.opened(tmp_path, _world(), time.time()):
        with pytest.raises(CannotStart, match=rf"used by another process \(pid {os.getpid()}\)"):
            async with statedir.opened(tmp_path, _world(), time.time()):
                pass


async def test_a_long_journal_gives_way_to_a_snapshot(tmp_path: Path) -> None:
    """Files stay bounded by what stands, however often it is written."""
    world = _world()
    async with statedir.opened(tmp_path, world, time.time(), 20_000):
        kept = Kept(world)
        await kept.ask("POST", MAPS, targets.config_map("a"))
        for number in range(500):
            patch = {"data": {"n": str(number), "text": "x" * 500}}
            await kept.ask("PATCH", f"{MAPS}/a", patch, "application/merge-patch+json")
    sizes = _sizes(tmp_path)
    assert any(name.startswith("snapshot-") for name in sizes)
    assert sum(sizes.values()) < 200_000
    again = _world()
    async with statedir.opened(tmp_path, again, time.time()):
        assert again.version == world.version
        assert (await Kept(again).ask("GET", f"{MAPS}/a"))[1]["data"]["n"] == "499"


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.glob("*.log")}


async def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """503 for every answer until the disk takes it; then nothing is lost, and nothing was told before."""
    world = _world()
    async with statedir.opened(tmp_path, world, time.time()) as state:
        kept = Kept(world)
        await kept.ask("POST", MAPS, targets.config_map("a"))
        handle = state._file
        read_only = os.open(tmp_path / "journal-00000000.log", os.O_RDONLY)
        state._file = read_only
        assert (await kept.ask("POST", MAPS, targets.config_map("b")))[0] == 503
        assert (await kept.ask("GET", f"{MAPS}/b"))[0] == 503
        state._file = handle
        os.close(read_only)
        assert (await kept.ask("GET", f"{MAPS}/b"))[0] == 200
    again = _world()
    async with statedir.opened(tmp_path, again, time.time()):
        assert (await Kept(again).ask("GET", f"{MAPS}/b"))[0] == 200


async def test_askers_that_go_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests cancelled at any moment, as a door does when its asker hangs up: what is kept is what stands."""
    sync, waits = os.fdatasync, itertools.cycle([0.012, 0.0, 0.006, 0.001])

    def slow_disk(handle: int) -> None:
        time.sleep(next(waits))
        sync(handle)

    monkeypatch.setattr(os, "fdatasync", slow_disk)
    world = _world()
    rng = random.Random(7)
    async with statedir.opened(tmp_path, world, time.time(), 20_000):
        kept = Kept(world)

        async def write(name: str) -> None:
            await kept.ask("POST", MAPS, targets.config_map(name, text="x" * 500))

        for batch in range(40):
            tasks = [asyncio.ensure_future(write(f"m{batch}-{number}")) for number in range(10)]
            for task in tasks:
                await asyncio.sleep(rng.choice([0, 0, 0.001, 0.003]))
                if rng.random() < 0.6:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    again = _world()
    async with statedir.opened(tmp_path, again, time.time()):
        assert sorted(again.stored()) == sorted(world.stored())
        assert again.version == world.version


LIVES = 5


def one_life(folder: Path, life: int, seed: int, words: int) -> list[tuple[str, str, int]]:
    """Return the words, names and versions that a victim promised before it was killed."""
    said = victims.kill_after(words, "kube_victim", folder, life, seed)
    return [(word, name, int(version)) for word, name, version in said]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_what_was_acknowledged_before_a_kill_holds_after_it(tmp_path: Path, seed: int) -> None:
    """Created or changed: there, as acknowledged or newer. Deleted: gone. Versions only grow, in life after life."""
    rng = random.Random(seed)
    acknowledged: dict[str, int] = {}
    deleting: set[str] = set()
    deleted: set[str] = set()
    newest = 0
    for life in range(LIVES):
        said = one_life(tmp_path, life, seed * 100 + life, rng.randint(2, 1500))
        assert said[0][0] == "opened"
        assert said[0][2] >= newest
        acknowledged |= {name: version for word, name, version in said if word in {"created", "changed"}}
        deleting |= {name for word, name, _ in said if word == "deleting"}
        deleted |= {name for word, name, _ in said if word == "deleted"}
        newest = max(newest, *(version for _, _, version in said))
        world = _world()
        async with statedir.opened(tmp_path, world, time.time(), COMPACT_BYTES):
            assert world.version >= newest
            there = {one["metadata"]["name"]: one for one in world.objects("configmaps", "default")}
            assert acknowledged.keys() - deleting <= there.keys()
            assert not deleted & there.keys()
            for name, content in there.items():
                assert int(content["metadata"]["resourceVersion"]) >= acknowledged.get(name, 0)
