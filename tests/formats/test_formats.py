"""What earlier versions wrote opens; what later ones wrote is told of, and stays as it is."""

import hashlib
import sqlite3
import struct
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from prow_async.adapters import config_cache
from prow_async.adapters.inbox import durable, segment
from prow_async.sandbox.github import keeping
from prow_async.sandbox.kube import direct, journal, statedir
from prow_async.sandbox.kube.world import World
from tests.contract.kube_targets import RandomIds
from tests.contract.kube_victim import WallClock
from tests.e2e import program
from tests.formats import content

pytestmark = pytest.mark.anyio
CONFIG = "prowjob_namespace: default\n"


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(content.DATA / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


async def test_an_inbox_of_format_1(tmp_path: Path) -> None:
    """Nothing accepted is lost, nothing handled is handled again, a decision is gone on with where it stood."""
    async with durable.opened(unpacked("inbox-1", tmp_path), content.SetClock(), content.SMALL) as box:
        found = {delivery.guid: delivery for delivery in await box.pending(0, 10)}
        waiting = ("decided", "new")
        assert [found[content.GUIDS[name]].body for name in waiting] == [content.body(name) for name in waiting]
        assert len(found) == 2
        (entry,) = await box.journal(found[content.GUIDS["decided"]].seq)
        assert (entry.plugin, entry.decision, entry.states) == ("trigger", content.DECISION, content.STATES)
        for name, guid in content.GUIDS.items():
            assert not (await box.accept(guid, "push", content.HEADERS, content.body(name))).new


async def test_an_api_servers_folder_of_format_1(tmp_path: Path) -> None:
    world = World(RandomIds())
    async with statedir.opened(unpacked("kube-1", tmp_path), world, time.time()):
        to = direct.DirectTransport(world, WallClock())
        async with to.send("GET", content.JOBS) as reply:
            items = msgspec.json.decode(await reply.read())["items"]
    assert [(one["metadata"]["name"], one["status"]["state"]) for one in items] == [("kept", "pending")]
    assert items[0]["spec"] == content.JOB["spec"]


def newer_segment(folder: Path) -> Path:
    (path,) = folder.glob("0*.log")
    title = segment._TITLE.pack(segment._MAGIC, segment.FORMAT + 1, 1, 1)
    with path.open("r+b") as file:
        file.write(title + struct.pack("<I", zlib.crc32(title)))
    return path


def newer_keys(folder: Path) -> Path:
    database = sqlite3.connect(folder / "keys.db")
    database.execute("pragma user_version = 1000")
    database.close()
    return folder / "keys.db"


def newer_journal(folder: Path) -> Path:
    path = max(folder.glob("journal-*.log"))
    path.write_bytes(path.read_bytes().replace(journal.title(), journal.title(journal.VERSION + 1), 1))
    return path


def newer_github(folder: Path) -> Path:
    (folder / "data").mkdir()
    head = {"format": keeping.FORMAT, "version": keeping.VERSION + 1, "all_else": "is new"}
    path = folder / "data" / "github-state"
    path.write_bytes(msgspec.msgpack.encode(head))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "change", "told"),
    [
        ("inbox-1", newer_segment, r".log has format 2, this version knows 1"),
        ("inbox-1", newer_keys, r"keys.db has format 1000, this version knows 1"),
        ("kube-1", newer_journal, "it was written in format 2, not 1"),
        ("kube-1", newer_github, "its format is 2, and this version reads 1"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_files_of_a_later_version(tmp_path: Path, data: str, change: Callable[[Path], Path], told: str) -> None:
    """One line that names the file and both formats, exit 2, and not a byte of it is touched: go back, and go on."""
    folder = unpacked(data, tmp_path)
    newer = change(folder)
    kept = {path: path.read_bytes() for path in (newer, *folder.glob("0*.log"))}
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "hmac").write_text("a-secret-of-the-webhook")
    shared = [f"--config-path={tmp_path}/config.yaml", "--port=0", "--metrics-port=0", "--health-port=0"]
    if data == "inbox-1":
        (tmp_path / "plugins.yaml").write_text("plugins: {}")
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG)
        own = [f"--inbox-dir={folder}", f"--hmac-secret-file={tmp_path}/hmac", f"--kubeconfig={kubeconfig}"]
        done = program.run("hook", *shared, *own, f"--plugin-config={tmp_path}/plugins.yaml")
    else:
        done = program.run("up", *shared, f"--state-dir={folder}")
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    assert told in lines[0]
    assert {path: path.read_bytes() for path in kept} == kept


KUBECONFIG = (
    '{"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],'
    ' "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "x", "user": {}}]}'
)


@pytest.mark.slow
def test_a_configuration_cache_of_another_version(tmp_path: Path) -> None:
    """It holds nothing that the configuration does not: made anew, with a line in the log."""
    config, cache = tmp_path / "config.yaml", tmp_path / "cache"
    config.write_text(CONFIG)
    entries: dict[bytes, bytes] = {b"k" * 32: b"v"}
    header = config_cache._Header(config_cache.FORMAT + 1, b"other code")
    body = msgspec.msgpack.encode(config_cache._Content(header, entries))
    cache.write_bytes(config_cache._MAGIC + hashlib.sha256(body).digest() + body)
    with program.up(tmp_path, f"--config-path={config}", f"--config-cache-file={cache}") as up:
        assert "configuration cache is another version's; made anew" in up.output()
        assert up.stop() == 0
    with program.up(tmp_path, f"--config-path={config}", f"--config-cache-file={cache}") as up:
        assert "configuration cache is" not in up.output()
        assert up.stop() == 0
