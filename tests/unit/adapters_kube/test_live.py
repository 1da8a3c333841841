"""Kubeconfigs that change under a running process: which clusters there are, and by which connections."""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing
from aiohttp import web

from prow_async.adapters.kube import clusters
from prow_async.adapters.kube.live import LiveClusters
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.errors import CannotStart, Retry
from prow_async.ports.kube import Collection
from tests.unit.adapters_kube.servers import serving

pytestmark = pytest.mark.anyio
PATIENCE_S = 20.0


def write(path: Path, *names: str, current: str = "", server: str = "https://x", token: str = "t") -> None:
    """Put a kubeconfig in place in one step."""
    config = {
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        "clusters": [{"name": name, "cluster": {"server": server}} for name in names],
        "users": [{"name": name, "user": {"token": token}} for name in names],
        "current-context": current,
    }
    beside = path.with_name(f"..{path.name}.new")
    beside.write_text(json.dumps(config))
    beside.rename(path)


class Seen:
    """What the watch has told so far."""

    def __init__(self, live: LiveClusters, metrics: PrometheusMetrics) -> None:
        self.live = live
        self.metrics = metrics
        self.told: list[dict[str, Collection]] = []
        self._bell = anyio.Event()

    def changed(self, pods: Mapping[str, Collection]) -> None:
        self.told.append(dict(pods))
        self._bell.set()

    async def until(self, true: Callable[[], Any]) -> None:
        with anyio.fail_after(PATIENCE_S):
            while not true():
                await anyio.sleep(0.02)

    def errors(self) -> float:
        line = next(
            (
                one
                for one in self.metrics.render().decode().splitlines()
                if one.startswith("prow_async_kubeconfig_errors")
            ),
            "x 0",
        )
        return float(line.split()[-1])


@contextlib.asynccontextmanager
async def watched(flags: clusters.Flags, disabled: list[str] | None = None, **environ: str) -> AsyncIterator[Seen]:
    metrics = PrometheusMetrics()
    live = LiveClusters(flags, "x", lambda: disabled or (), ("ns", ""), metrics, environ)
    async with live, anyio.create_task_group() as group:
        seen = Seen(live, metrics)
        group.start_soon(live.watch, seen.changed)
        await anyio.sleep(0.3)  # the kernel's watch is in place; if not, the next look at intervals sees it too
        yield seen
        group.cancel_scope.cancel()


async def test_files_of_a_folder_come_and_go(tmp_path: Path) -> None:
    """A context that comes with a file is told of, and so is one that goes; what did not change is the very same."""
    write(tmp_path / "a", "a", current="a")
    async with watched(clusters.Flags(kubeconfig_dir=str(tmp_path))) as seen:
        first = dict(seen.live.pods)
        assert set(first) == {"a", "default"}
        assert first["a"] is first["default"]
        write(tmp_path / "b", "b")
        await seen.until(lambda: "b" in seen.live.pods)
        assert seen.told[-1]["a"] is first["a"]
        (tmp_path / "b").unlink()
        await seen.until(lambda: "b" not in seen.live.pods)
        assert seen.told[-1] == first


async def test_a_mounted_secret_is_swapped(tmp_path: Path) -> None:
    """A kubelet swaps `..data` between whole folders: contexts of the new one count, the same content is no news."""
    mount = tmp_path / "mount"
    mount.mkdir()
    for name, contexts in (("..1", ("a", "b")), ("..2", ("a", "c"))):
        (mount / name).mkdir()
        write(mount / name / "config", *contexts, current="a")
    (mount / "..data").symlink_to("..1")
    (mount / "config").symlink_to("..data/config")
    async with watched(clusters.Flags(kubeconfig=str(mount / "config"))) as seen:
        first = dict(seen.live.pods)
        (mount / "..tmp").symlink_to("..2")
        os.rename(mount / "..tmp", mount / "..data")
        await seen.until(lambda: "c" in seen.live.pods)
        assert set(seen.live.pods) == {"a", "c", "default"}
        assert seen.live.pods["a"] is first["a"]


async def test_new_credentials_are_a_new_connection(tmp_path: Path) -> None:
    """1. A token changes. 2. There is another collection under the alias, and it logs in with the new token. 3. The old
    one works until it is released.
    """
    came: list[str] = []
    wires: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        wires.append(request.transport)
        came.append(request.headers.get("Authorization", ""))
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})

    async with serving(handler) as server:
        write(tmp_path / "infra", "infra", current="infra")
        write(tmp_path / "far", "far", server=server, token="one")
        async with watched(clusters.Flags(kubeconfig_dir=str(tmp_path))) as seen:
            old = seen.live.pods["far"]
            await old.list_page(1)
            write(tmp_path / "far", "far", server=server, token="two")
            await seen.until(lambda: seen.live.pods["far"] is not old)
            await seen.live.pods["far"].list_page(1)
            assert came == ["Bearer one", "Bearer two"]
            await old.list_page(1)
            seen.live.release(old)
            write(tmp_path / "more", "more")
            await seen.until(lambda: "more" in seen.live.pods)
            await seen.until(lambda: wires[0] is None or wires[0].is_closing())


async def test_a_broken_file_keeps_its_last_good_content(tmp_path: Path) -> None:
    """1. One file breaks, another comes. 2. One log line and one count, however often it is looked at; the other file
    counts. 3. Mended, it counts again. No token is in the log.
    """
    write(tmp_path / "a", "a", current="a")
    write(tmp_path / "b", "b", token="a-secret")
    async with watched(clusters.Flags(kubeconfig_dir=str(tmp_path))) as seen:
        with structlog.testing.capture_logs() as lines:
            before = seen.live.pods["b"]
            (tmp_path / "b").write_text("users: [{name: b, user: {token: a-secret")
            await seen.until(lambda: seen.errors() == 1)
            write(tmp_path / "c", "c")
            await seen.until(lambda: "c" in seen.live.pods)
            assert seen.live.pods["b"] is before
            told = [line for line in lines if line["log_level"] == "error"]
            assert len(told) == 1
            assert f"{tmp_path}/b:1" in str(told)
            assert "a-secret" not in str(lines)
            write(tmp_path / "b", "b", "b2")
            await seen.until(lambda: "b2" in seen.live.pods)
            assert seen.errors() == 1


@pytest.mark.parametrize("mistake", ["twice", "no infra", "no folder"])
async def test_a_mistake_keeps_everything(tmp_path: Path, mistake: str) -> None:
    """Where it cannot be told which cluster is meant, or there would be none at all, nothing changes."""
    folder = tmp_path / "dir"
    folder.mkdir()
    write(folder / "a", "a", current="a")
    async with watched(clusters.Flags(kubeconfig_dir=str(folder))) as seen:
        before = dict(seen.live.pods)
        if mistake == "twice":
            write(folder / "b", "a")
        elif mistake == "no infra":
            write(folder / "a", "a")
        else:
            folder.rename(tmp_path / "elsewhere")
        await seen.until(lambda: seen.errors() == 1)
        assert seen.live.pods == before


async def test_an_unusable_context_hurts_nobody_else(tmp_path: Path) -> None:
    """A context without a server is known, and every use of it is Retry: its jobs wait for somebody to mend it."""
    write(tmp_path / "a", "a", current="a")
    write(tmp_path / "b", "b", server="nowhere")
    async with watched(clusters.Flags(kubeconfig_dir=str(tmp_path))) as seen:
        old = seen.live.pods["b"]
        with pytest.raises(Retry, match="whose address is not https"):
            await old.list_page(1)
        write(tmp_path / "b", "b", server="https://right")
        await seen.until(lambda: seen.live.pods["b"] is not old)


async def test_disabled_while_running(tmp_path: Path) -> None:
    """A cluster that the configuration disables goes, and comes back when it does not."""
    write(tmp_path / "a", "a", "b", current="a")
    disabled: list[str] = []
    async with watched(clusters.Flags(kubeconfig=str(tmp_path / "a")), disabled) as seen:
        assert "b" in seen.live.pods
        disabled.append("b")
        (tmp_path / "wake").touch()
        await seen.until(lambda: "b" not in seen.live.pods)


async def test_kubeconfig_variable_is_followed(tmp_path: Path) -> None:
    """Also files that $KUBECONFIG names and that come only later."""
    write(tmp_path / "one", "a", current="a")
    async with watched(clusters.Flags(), KUBECONFIG=f"{tmp_path}/one:{tmp_path}/two") as seen:
        write(tmp_path / "two", "b")
        await seen.until(lambda: "b" in seen.live.pods)


async def test_the_prowjobs_stay_where_they_are(tmp_path: Path) -> None:
    """Another current-context moves `default`, not the ProwJobs; a line says that this takes a restart."""
    write(tmp_path / "c", "a", "b", current="a")
    async with watched(clusters.Flags(kubeconfig=str(tmp_path / "c"))) as seen:
        infra = seen.live.infra
        with structlog.testing.capture_logs() as lines:
            write(tmp_path / "c", "a", "b", current="b")
            await seen.until(lambda: seen.live.pods["default"] is seen.live.pods["b"])
        assert seen.live.infra is infra
        assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
            "the cluster of the ProwJobs is another one now; restart to work there"
        ]


async def test_a_broken_file_at_the_start(tmp_path: Path) -> None:
    """There is no last good content then: one clear line."""
    (tmp_path / "a").write_text("- nothing")
    with pytest.raises(CannotStart, match="expected a mapping"):
        LiveClusters(clusters.Flags(kubeconfig=str(tmp_path / "a")), "x", tuple, ("", ""), PrometheusMetrics(), {})
