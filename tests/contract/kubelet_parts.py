"""A running kubelet, and the words its tests are written in."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import psutil  # type: ignore[import-untyped]  # the project carries no stubs for it

from prow_async.adapters import clock
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.ports.kube import Collection
from prow_async.sandbox.kubelet import supplies
from prow_async.sandbox.kubelet.kubelet import Kubelet, Settings
from tests.contract import kube_targets as targets

Json = dict[str, Any]
NODE = "this-node"


@contextlib.asynccontextmanager
async def running(
    pods: Collection, root: Path, access: supplies.Access | None = None, **more: Any
) -> AsyncIterator[Kubelet]:
    """Run a kubelet while the context is open; leaving it stops the kubelet as an operator would."""
    settings = Settings(**{"node_name": NODE, "shutdown_grace_s": 0.5, "retention_s": 60.0, "room": 10, **more})
    kubelet = Kubelet(pods, root, clock.SystemClock(), access, settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kubelet.run)
        yield kubelet
        tasks.cancel_scope.cancel()


def marked(mark: str) -> Json:
    """Return what lets `living` find the processes of a container."""
    return {"env": [{"name": "MARK", "value": mark}]}


def living(mark: str) -> list[int]:
    """Return the processes of this machine that carry a mark and are not dead."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("MARK") == mark:
                found.append(process.pid)
    return found


def shared(folder: Path) -> Json:
    """Return the volume that shows a folder of this machine, as part of a pod's spec."""
    return {"volumes": [{"name": "shared", "hostPath": {"path": str(folder)}}]}


def mounted(folder: Path) -> Json:
    """Return the mount of `shared`, at its own place, as part of a container."""
    return {"volumeMounts": [{"name": "shared", "mountPath": str(folder)}]}


def container(name: str, script: str, **more: Any) -> Json:
    return {"name": name, "image": "example.invalid/image:1", "command": ["sh", "-c", script], **more}


def pod(name: str, *containers: Json, **spec: Any) -> Json:
    return targets.pod(name, containers=list(containers), **spec)


async def until(
    pods: KubeCollection, name: str, met: Callable[[Json], bool], patience_s: float = targets.STEP_S
) -> Json:
    """Return the pod as soon as it is as wanted."""
    version = await targets.version_of(pods)
    found = await targets.get(pods, name)
    if met(found):
        return found
    async with pods.watch(version, initial=False) as chunks:
        stream = targets.Stream(chunks)
        while True:
            kind, found = await stream.next(patience_s)
            if kind != "BOOKMARK" and found["metadata"]["name"] == name and met(found):
                return found


async def until_gone(pods: KubeCollection, version: str, name: str) -> None:
    """Return as soon as the server has removed the pod, which it had at `version`."""
    async with pods.watch(version, initial=False) as chunks:
        stream = targets.Stream(chunks)
        while True:
            kind, found = await stream.next()
            if kind == "DELETED" and found["metadata"]["name"] == name:
                return


def ended(found: Json) -> bool:
    return phase(found) in {"Succeeded", "Failed"}


def runs(found: Json) -> bool:
    return phase(found) == "Running"


def phase(found: Json) -> str:
    return str(found.get("status", {}).get("phase", ""))


def terminated(found: Json, name: str) -> Json:
    """Return how a container ended."""
    status = found["status"]
    every = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    state: Json = next(c for c in every if c["name"] == name)["state"]
    return dict(state["terminated"])


async def log_of(kubelet: Kubelet, namespace: str, name: str, container_name: str) -> str:
    """Return a container's whole log, once the container has ended."""
    with anyio.fail_after(targets.STEP_S):
        pieces = [piece async for piece in kubelet.logs.follow(namespace, name, container_name, True)]
    return b"".join(pieces).decode()


async def line_of(kubelet: Kubelet, namespace: str, name: str, container_name: str) -> str:
    """Return the first line a running container writes."""
    text = b""
    with anyio.fail_after(targets.STEP_S):
        async with contextlib.aclosing(kubelet.logs.follow(namespace, name, container_name, True)) as pieces:
            async for piece in pieces:
                text += piece
                if b"\n" in text:
                    break
    return text.decode().partition("\n")[0]
