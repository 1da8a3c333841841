"""Runs one pod for a person: on the embedded kubelet, without sockets, or in a cluster."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec

from prow_async.adapters import clock as clocks
from prow_async.adapters.kube import collection, podlogs
from prow_async.api.errors import CannotStart, Missing, ProwError, Retry
from prow_async.api.prowjob import Json
from prow_async.apps import follow
from prow_async.core import podview
from prow_async.ports.transport import Transport
from prow_async.sandbox.kube import direct, world
from prow_async.sandbox.kubelet import kubelet
from prow_async.sandbox.kubelet.early import Early

SIDECAR = follow.SIDECAR
Ending = follow.Ending
_NODE = "this machine"
_LAST_WORDS_S = 15.0


class Here(msgspec.Struct, frozen=True):
    """This machine. `folder` takes the files of the pod, `own` are those of the machine's that it may mount."""

    folder: Path
    own: tuple[str, ...]
    early: Early | None = None


class Cluster(msgspec.Struct, frozen=True):
    """The cluster of a kubeconfig's context. "" finds the file as kubectl does."""

    context: str
    kubeconfig: str


async def run(pod: Json, namespace: str, where: Here | Cluster, display: follow.Display) -> follow.Ending:
    """Create a pod, follow it to its end, take it away when it ran here or was stopped.

    Raises CannotStart when there is no such pod to be had.
    """
    door = _here(where, namespace) if isinstance(where, Here) else _cluster(where)
    async with door as transport:
        pods = collection.KubeCollection(transport, _alias(where), collection.PODS, namespace)
        body = {**pod, "metadata": {**pod["metadata"], "namespace": namespace}}
        try:
            made = podview.read(await pods.create(msgspec.json.encode(body)))
        except ProwError as error:
            raise CannotStart(f"the pod cannot be created in {_alias(where)}: {error}") from error
        if isinstance(where, Cluster):
            display.note(f"pod {namespace}/{made.name} in {where.context}")
        try:
            return await follow.follow(pods, podlogs.KubePodLogs(transport, _alias(where)), made, display)
        except* ProwError as group:
            raise CannotStart(f"pod {made.name} cannot be followed: {group.exceptions[0]}") from group
        except* BaseException:
            with anyio.move_on_after(_LAST_WORDS_S, shield=True):
                await _delete(pods, made.name, made.uid)
            raise


def _alias(where: Here | Cluster) -> str:
    return _NODE if isinstance(where, Here) else where.context


async def _delete(pods: collection.KubeCollection, name: str, uid: str) -> None:
    while True:
        try:
            return await pods.delete(name, uid)
        except Missing:
            return None
        except Retry as error:
            await anyio.sleep(error.after_s or 0.5)


@contextlib.asynccontextmanager
async def _here(where: Here, namespace: str) -> AsyncIterator[Transport]:
    """Run an API server and a kubelet of our own, in this process, for one pod."""
    clock, ids = clocks.SystemClock(), clocks.SystemIds()
    small = world.World(ids)
    plain = direct.DirectTransport(small, clock)
    pods = collection.KubeCollection(plain, _NODE, collection.PODS, namespace)
    settings = kubelet.Settings(host_paths=where.own, early=where.early)
    node = kubelet.Kubelet(pods, where.folder / "pods", clock, settings=settings)
    transport = direct.DirectTransport(small, clock, log_source=node.logs)
    if namespace != "default":
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await collection.KubeCollection(plain, _NODE, collection.NAMESPACES, "").create(msgspec.json.encode(body))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(node.run)
        try:
            yield transport
        finally:
            tasks.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def _cluster(where: Cluster) -> AsyncIterator[Transport]:
    from prow_async.adapters.kube import clusters  # speaks HTTP, which a run on this machine does without

    sources = clusters.find(clusters.Flags(kubeconfig=where.kubeconfig, in_cluster=False))
    if where.context not in sources or where.context == clusters.INFRA:
        known = ", ".join(sorted(alias for alias in sources if alias not in (clusters.INFRA, clusters.DEFAULT)))
        raise CannotStart(f"no context {where.context!r} in the kubeconfig; there are {known or 'none'}")
    async with clusters.connect_all({where.context: sources[where.context]}, "run") as transports:
        yield transports[where.context]
