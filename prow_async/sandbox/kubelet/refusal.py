"""What cannot run as local processes, each in one clear line. Pure.

Quietly ignored, because a local process cannot tell: node selection, probes, image pull settings, and of security
contexts all but `privileged` and the ids. What would change a result is refused.
"""

from collections.abc import Iterator

import msgspec

from prow_async.core import quantity
from prow_async.sandbox.kubelet import amounts, folders, utilities
from prow_async.sandbox.kubelet.manifest import Container, EnvVar, Pod, VolumeMount

CANNOT = "CannotRunLocally"
CONFIG = "CreateContainerConfigError"
NO_IMAGE = "ErrImagePull"
"""Upstream kubelet's word for a container whose image cannot be had."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a pod fails without having run: `status.reason` and `status.message`."""

    reason: str
    message: str


class Unfit(Exception):
    """Raised where a pod turns out to be unable to run here."""

    def __init__(self, message: str, reason: str = CANNOT) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, message)


def find(pod: Pod) -> Refusal | None:
    """Return the first reason why this pod cannot run on this machine, None when there is none."""
    for line in _lines(pod):
        return Refusal(CANNOT, line)
    for container in pod.all_containers:
        if not utilities.of(container) and not (container.command and container.command[0]):
            image = container.image or "(none)"
            why = "no images are pulled here, so the entrypoint of image"
            return Refusal(NO_IMAGE, f"container {container.name!r} has no command: {why} {image} is not known")
    return None


def _lines(pod: Pod) -> Iterator[str]:
    meta, spec = pod.metadata, pod.spec
    if folders.of_pod(meta.namespace, meta.name, meta.uid) is None:
        yield "its namespace, name and UID cannot name a folder here (too long together, or not RFC 1123)"
    if not spec.containers:
        yield "it has no containers"
    if spec.restart_policy != "Never":
        yield f"restartPolicy {spec.restart_policy} is not supported here: set it to Never"
    names = [c.name for c in pod.all_containers]
    for name in names:
        if names.count(name) > 1:
            yield f"two containers are named {name!r}"
    volumes = {str(v.get("name")) for v in spec.volumes}
    for container in pod.all_containers:
        for line in _container(container, volumes):
            yield f"container {container.name!r} {line}"


def _container(container: Container, volumes: set[str]) -> Iterator[str]:
    if not folders.is_label(container.name):
        yield "has a name that is no RFC 1123 label"
    if any("\0" in text for text in (*container.command, *container.args)):
        yield "has a NUL byte in its command or args"
    if container.security_context.privileged:
        yield "is privileged: local processes never get more rights than the kubelet has"
    if container.restart_policy:
        yield f"has restartPolicy {container.restart_policy}: sidecar init containers are not supported here"
    if container.lifecycle:
        yield "has lifecycle hooks: they are not supported here"
    if ".." in container.working_dir.split("/") or "\0" in container.working_dir:
        yield f"has workingDir {container.working_dir!r}: it must name a folder, without '..'"
    if not folders.is_absolute(container.termination_message_path):
        yield f"has terminationMessagePath {container.termination_message_path!r}: it must be absolute, without '..'"
    for mount in container.volume_mounts:
        yield from _mount(mount, volumes)
    for env in container.env:
        yield from _env(env)
    for name, value in (*container.resources.limits.items(), *container.resources.requests.items()):
        try:
            amounts.number(value)
        except quantity.QuantityError as error:
            yield f"asks for {name}: {error}"


def _mount(mount: VolumeMount, volumes: set[str]) -> Iterator[str]:
    if mount.name not in volumes:
        yield f"mounts volume {mount.name!r}, which the pod does not have"
    if not folders.is_absolute(mount.mount_path):
        yield f"mounts {mount.name!r} at {mount.mount_path!r}: it must be absolute, not '/', without '..' and ':'"
    if mount.sub_path and (mount.sub_path_expr or not folders.is_inner(mount.sub_path)):
        yield f"mounts {mount.name!r} with subPath {mount.sub_path!r}: it must be relative, without '..'"


def _env(env: EnvVar) -> Iterator[str]:
    if not env.name or "=" in env.name or "\0" in env.name + env.value:
        yield f"has an environment variable that no process can have: {env.name!r}"
    source = env.value_from
    if source is not None and not any(getattr(source, kind) for kind in source.__struct_fields__):
        yield f"takes {env.name} from something other than a field, a resource, a secret and a config map"
