"""What a pod needs from elsewhere before it can start: secrets, config maps, its volumes on disk."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread
import msgspec
import structlog

from prow_async.api.errors import Missing, ProwError
from prow_async.ports.kube import Collection
from prow_async.runtime.backoff import Backoff
from prow_async.sandbox.kubelet import environment, launch, volume_files, volumes
from prow_async.sandbox.kubelet.environment import Source
from prow_async.sandbox.kubelet.isolation import Isolation
from prow_async.sandbox.kubelet.manifest import Pod
from prow_async.sandbox.kubelet.refusal import Unfit
from prow_async.sandbox.kubelet.volumes import Lacking

__all__ = ["Access", "Lacking", "Store", "notes", "volumes_of"]
log = structlog.get_logger()
In = Callable[[str], Collection]
LOOK_AGAIN_S = 2.0
"""A pod that waits for a secret looks for it at least this often."""


class Access(msgspec.Struct, frozen=True):
    """The collections of one namespace. Without `secrets` or `configmaps`, pods that need them fail with one line."""

    pods: In
    secrets: In | None = None
    configmaps: In | None = None
    events: In | None = None
    """Without it, what would be an event is only logged."""


def volumes_of(pod: Pod, host_paths: tuple[str, ...]) -> dict[str, volumes.Volume]:
    """Read a pod's volumes by their names. Raises Unfit when one cannot be had here."""
    found = {}
    for content in pod.spec.volumes:
        volume = volumes.read(content)
        path = volume.host_path.path if volume.host_path is not None else ""
        if path and not volume_files.is_allowed(path, host_paths):
            raise Unfit(
                f"volume {volume.name!r} mounts {path} of this machine: allow the folder to the kubelet first, "
                "with --host-path"
            )
        found[volume.name] = volume
    return found


class Store:
    """Reads the objects of one pod, each once.

    Args:
        wait: waits so many seconds; True when the pod is to end and nothing is needed any more.
    """

    def __init__(self, access: Access, pod: Pod, backoff: Backoff, wait: Callable[[float], Awaitable[bool]]) -> None:
        self._access = access
        self._pod = pod
        self._backoff = backoff
        self._wait = wait
        self._log = log.bind(pod=f"{pod.metadata.namespace}/{pod.metadata.name}")

    async def for_environments(self) -> environment.Data:
        """Read what the environments need; None for what does not exist. Raises Unfit."""
        found: dict[Source, dict[str, str] | None] = {}
        for source in environment.sources(self._pod):
            raw = await self._read(source)
            found[source] = None if raw is None else environment.decode(source.kind, raw)
        return found

    async def fill(self, folder: Path, volume: volumes.Volume) -> None:
        """Put a volume on disk. Raises Lacking when something it needs is not there yet, Unfit, OSError."""
        place = folder / "volumes" / volume.name
        if volume.host_path is not None:
            volume_files.prepare_host_path(volume)
        elif volume.empty_dir is not None:
            volume_files.make_empty(place)
        else:
            contents: dict[Source, dict[str, bytes] | None] = {}
            for source in volumes.sources([volume]):
                raw = await self._read(source)
                contents[source] = None if raw is None else volumes.decode(source.kind, raw)
            files = volumes.files(self._pod, volume, contents)
            await anyio.to_thread.run_sync(volume_files.fill, place, files)

    async def _read(self, source: Source) -> bytes | None:
        """Return an object as the server has it, None for one that does not exist or is not needed any more."""
        access = self._access.secrets if source.kind == "secret" else self._access.configmaps
        if access is None:
            raise Unfit(f"it needs {source.kind} {source.name!r}: this kubelet may not read any")
        failures = 0
        while True:
            try:
                return await access(self._pod.metadata.namespace).get(source.name)
            except Missing:
                return None
            except ProwError as error:
                failures += 1
                self._log.warning("not read", kind=source.kind, name=source.name, why=str(error))
                if await self._wait(self._backoff.wait_s(failures)):
                    return None


def notes(pod: Pod, isolation: Isolation, limited: bool) -> list[str]:
    """Return what this pod asks for and does not get here."""
    lines = []
    for container in pod.all_containers:
        uid, gid, groups = launch.ids(pod, container)
        if not isolation.mounts and (uid or gid or groups):
            lines.append(
                f"container {container.name}: runAsUser, runAsGroup and fsGroup are ignored: no isolation here"
            )
        elif groups and os.geteuid() != 0:
            lines.append(
                f"container {container.name}: fsGroup and supplementalGroups are ignored: the kubelet is not root"
            )
        if container.resources.limits and not limited:
            lines.append(f"container {container.name}: limits are not enforced here")
    for content in pod.spec.volumes:
        empty = content.get("emptyDir") or {}
        if empty.get("sizeLimit"):
            lines.append(f"volume {content.get('name')}: sizeLimit {empty['sizeLimit']} is not enforced here")
    return lines
