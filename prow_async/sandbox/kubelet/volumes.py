"""What stands in a pod's volumes: which files, with what in them and which rights. Pure.

Source: the Kubernetes API's volume sources, and upstream kubelet's rules for keys, items, modes and optional sources.
"""

import base64
import binascii
import posixpath
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from prow_async.api.prowjob import Json
from prow_async.sandbox.kubelet import folders
from prow_async.sandbox.kubelet.environment import Source, field, resource
from prow_async.sandbox.kubelet.manifest import FieldRef, Pod, ResourceRef
from prow_async.sandbox.kubelet.refusal import Unfit

DEFAULT_MODE = 0o644
TOKEN_VOLUME = "kube-api-access-"  # noqa: S105 - the name of a volume, no secret
"""Begins the volume that a cluster adds to every pod. There is no API server to talk to here: it stays empty."""


class Lacking(Exception):
    """Raised when a volume cannot be filled yet; the pod waits. The text is the event's message."""


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    path: str
    mode: int | None = None


class Objects(msgspec.Struct, frozen=True, rename="camel"):
    """A secret or config map as a source of files: as a volume, or as one source of a projected one."""

    secret_name: str = ""
    name: str = ""
    items: tuple[Item, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False


class Downward(msgspec.Struct, frozen=True, rename="camel"):
    path: str
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None
    mode: int | None = None


class DownwardItems(msgspec.Struct, frozen=True, rename="camel"):
    items: tuple[Downward, ...] = ()
    default_mode: int = DEFAULT_MODE


class Projection(msgspec.Struct, frozen=True, rename="camel"):
    secret: Objects | None = None
    config_map: Objects | None = None
    downward_api: DownwardItems | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: Json | None = None


class Projected(msgspec.Struct, frozen=True, rename="camel"):
    sources: tuple[Projection, ...] = ()
    default_mode: int = DEFAULT_MODE


class HostPath(msgspec.Struct, frozen=True):
    path: str
    type: str = ""


class EmptyDir(msgspec.Struct, frozen=True, rename="camel"):
    medium: str = ""
    size_limit: str | int | float | None = None


class Volume(msgspec.Struct, frozen=True, rename="camel"):
    """One volume. Exactly one of the kinds is there, as `read` makes sure."""

    name: str
    empty_dir: EmptyDir | None = None
    host_path: HostPath | None = None
    secret: Objects | None = None
    config_map: Objects | None = None
    downward_api: DownwardItems | None = msgspec.field(default=None, name="downwardAPI")
    projected: Projected | None = None


class File(msgspec.Struct, frozen=True):
    content: bytes
    mode: int


Contents = Mapping[Source, Mapping[str, bytes] | None]
"""Each object read, its values decoded; None for one that does not exist."""

KINDS = frozenset({"emptyDir", "hostPath", "secret", "configMap", "downwardAPI", "projected"})


def read(content: Json) -> Volume:
    """Read one volume of a pod. Raises Unfit when it is of no kind that is served here."""
    name = content.get("name")
    if not isinstance(name, str) or not folders.is_label(name):
        raise Unfit(f"a volume is named {name!r}, which is no RFC 1123 label")
    kinds = sorted(set(content) - {"name"})
    if len(kinds) != 1 or kinds[0] not in KINDS:
        served = ", ".join(sorted(KINDS))
        raise Unfit(f"volume {name!r} is of kind {' and '.join(kinds) or 'none'}: served here are {served}")
    try:
        volume = msgspec.convert(content, Volume)
    except msgspec.ValidationError as error:
        raise Unfit(f"volume {name!r} does not read: {error}") from None
    _check(volume)
    return volume


def _check(volume: Volume) -> None:
    for projection in _projections(volume):
        if projection.service_account_token is not None and not volume.name.startswith(TOKEN_VOLUME):
            raise Unfit(f"volume {volume.name!r} projects a service account token, which only a cluster can make")
        objects = projection.secret or projection.config_map
        for path in [i.path for i in objects.items] if objects else []:
            _check_path(volume, path)
        for item in projection.downward_api.items if projection.downward_api else ():
            _check_path(volume, item.path)
    if volume.host_path is not None and not folders.is_absolute(volume.host_path.path):
        raise Unfit(f"volume {volume.name!r} has hostPath {volume.host_path.path!r}: it must be absolute, without '..'")


def _check_path(volume: Volume, path: str) -> None:
    if not _is_file_name(path):
        raise Unfit(f"volume {volume.name!r} puts a file at {path!r}: it must be relative, without '..'")


def _is_file_name(path: str) -> bool:
    return folders.is_inner(path) and not path.startswith("..") and posixpath.normpath(path) == path != "."


def _projections(volume: Volume) -> Iterator[Projection]:
    """Return what a volume's files come from, each kind in the form a projected volume has it."""
    if volume.projected is not None:
        yield from volume.projected.sources
    elif volume.secret is not None:
        yield Projection(secret=msgspec.structs.replace(volume.secret, name=volume.secret.secret_name))
    elif volume.config_map is not None:
        yield Projection(config_map=volume.config_map)
    elif volume.downward_api is not None:
        yield Projection(downward_api=volume.downward_api)


def is_files(volume: Volume) -> bool:
    """True for a volume that is filled here, and read-only in a container."""
    return volume.empty_dir is None and volume.host_path is None


def sources(volumes: Iterable[Volume]) -> list[Source]:
    """Return the objects that must be read before the volumes can be filled, each once."""
    found: dict[Source, None] = {}
    for volume in volumes:
        if not volume.name.startswith(TOKEN_VOLUME):
            for projection in _projections(volume):
                if projection.secret:
                    found[Source("secret", projection.secret.name)] = None
                if projection.config_map:
                    found[Source("configmap", projection.config_map.name)] = None
    return list(found)


class _Stored(msgspec.Struct, frozen=True, rename="camel"):
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None


def decode(kind: str, raw: bytes) -> dict[str, bytes]:
    """Read the values of a secret or config map. Raises Unfit when it is none."""
    try:
        stored = msgspec.json.decode(raw, type=_Stored)
        encoded = stored.data if kind == "secret" else stored.binary_data
        found = {key: base64.b64decode(value, validate=True) for key, value in (encoded or {}).items()}
    except (msgspec.DecodeError, binascii.Error):
        raise Unfit(f"a {kind} it mounts does not read") from None
    if kind != "secret":
        found.update({key: value.encode() for key, value in (stored.data or {}).items()})
    return found


def files(pod: Pod, volume: Volume, contents: Contents) -> dict[str, File]:
    """Return the files of a volume by their relative paths. Raises Lacking, Unfit."""
    made: dict[str, File] = {}
    if volume.name.startswith(TOKEN_VOLUME):
        return made
    for projection in _projections(volume):
        default = volume.projected.default_mode if volume.projected else None
        for kind, objects in (("secret", projection.secret), ("configmap", projection.config_map)):
            if objects is not None:
                made.update(_of_objects(kind, objects, default, contents))
        if projection.downward_api is not None:
            for item in projection.downward_api.items:
                made[item.path] = _downward(pod, item, default or projection.downward_api.default_mode)
    return made


def _of_objects(kind: str, wanted: Objects, default: int | None, contents: Contents) -> Iterator[tuple[str, File]]:
    found = contents.get(Source(kind, wanted.name))
    mode = wanted.default_mode if default is None else default
    if found is None:
        if not wanted.optional:
            raise Lacking(f'{kind} "{wanted.name}" not found')
        return
    for item in wanted.items or tuple(Item(key, key) for key in found):
        if not _is_file_name(item.path):
            raise Unfit(f"{kind} {wanted.name!r} has the key {item.path!r}, which names no file")
        if item.key in found:
            yield item.path, File(found[item.key], mode if item.mode is None else item.mode)
        elif not wanted.optional:
            raise Lacking(f"references non-existent {kind} key: {item.key}")


def _downward(pod: Pod, item: Downward, default: int) -> File:
    mode = default if item.mode is None else item.mode
    if item.field_ref is not None:
        return File(field(pod, item.field_ref.field_path, whole=True).encode(), mode)
    if item.resource_field_ref is not None:
        return File(resource(pod, item.resource_field_ref, "").encode(), mode)
    raise Unfit(f"a downwardAPI volume puts nothing at {item.path!r}")
