"""A container's environment variables and $(VAR) references, as Kubernetes defines them. Pure.

Source: kubelet's makeEnvironmentVariables and the expansion syntax of the Kubernetes API (`$(NAME)`, `$$`; a reference
to what is not defined stays as it is).
"""

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec

from prow_async.sandbox.kubelet import amounts
from prow_async.sandbox.kubelet.manifest import Container, EnvVar, KeyRef, ObjectRef, Pod, ResourceRef
from prow_async.sandbox.kubelet.refusal import CONFIG, Unfit

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]\Z")
_VARIABLE = re.compile(r"[^=\0]+\Z")
LOOPBACK = "127.0.0.1"


class Source(msgspec.Struct, frozen=True, order=True):
    """A secret or config map in the pod's namespace that an environment is taken from."""

    kind: str
    """`secret` or `configmap`."""
    name: str


Data = Mapping[Source, Mapping[str, str] | None]
"""Each source read, its values decoded; None for one that does not exist."""


class _Secret(msgspec.Struct, frozen=True):
    data: dict[str, str] | None = None


def decode(kind: str, raw: bytes) -> dict[str, str]:
    """Read the values of a secret or config map. Raises Unfit when one is not text: no variable can hold it."""
    try:
        data = msgspec.json.decode(raw, type=_Secret).data or {}
        if kind != "secret":
            return data
        return {key: base64.b64decode(value, validate=True).decode() for key, value in data.items()}
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        raise Unfit(f"a {kind} it takes environment variables from does not hold text", CONFIG) from None


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value where NAME is known, and `$$` by `$`."""

    def one(found: re.Match[str]) -> str:
        name = found.group(1)
        return "$" if name is None else known.get(name, found.group(0))

    return _REFERENCE.sub(one, text)


def sources(pod: Pod) -> list[Source]:
    """Return what must be read before the environments can be made, each once."""
    wanted: set[Source] = set()
    for container in pod.all_containers:
        for many in container.env_from:
            if many.secret_ref:
                wanted.add(Source("secret", many.secret_ref.name))
            if many.config_map_ref:
                wanted.add(Source("configmap", many.config_map_ref.name))
        for env in container.env:
            if env.value_from and env.value_from.secret_key_ref:
                wanted.add(Source("secret", env.value_from.secret_key_ref.name))
            if env.value_from and env.value_from.config_map_key_ref:
                wanted.add(Source("configmap", env.value_from.config_map_key_ref.name))
    return sorted(wanted)


def variables(pod: Pod, container: Container, data: Data) -> dict[str, str]:
    """Return the variables the pod asks for, references resolved, later ones winning.

    Raises Unfit when a source or key that is not optional is missing.
    """
    made: dict[str, str] = {}
    for many in container.env_from:
        for kind, ref in (("configmap", many.config_map_ref), ("secret", many.secret_ref)):
            if ref is not None:
                found = _object(container, kind, ref, data)
                made.update({f"{many.prefix}{k}": v for k, v in found.items() if _fits(many.prefix + k, v)})
    for env in container.env:
        value = _value(pod, container, env, made, data)
        if value is not None:
            made[env.name] = value
    return made


def _fits(name: str, value: str) -> bool:
    return _VARIABLE.match(name) is not None and "\0" not in value


def _value(pod: Pod, container: Container, env: EnvVar, made: Mapping[str, str], data: Data) -> str | None:
    """Return the value, None for an optional one that is not there."""
    source = env.value_from
    if source is None:
        return expand(env.value, made)
    if source.field_ref is not None:
        return field(pod, source.field_ref.field_path)
    if source.resource_field_ref is not None:
        return resource(pod, source.resource_field_ref, container.name)
    if source.secret_key_ref is not None:
        return _key(container, env.name, "secret", source.secret_key_ref, data)
    if source.config_map_key_ref is not None:
        return _key(container, env.name, "configmap", source.config_map_key_ref, data)
    raise Unfit(f"container {container.name!r} takes {env.name} from a source that is not served here")


def field(pod: Pod, path: str, whole: bool = False) -> str:
    """Return a field of the pod as text; all labels or annotations only when `whole`, for a file. Raises Unfit."""
    meta = pod.metadata
    known = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.podIP": LOOPBACK,
        "status.podIPs": LOOPBACK,
        "status.hostIP": LOOPBACK,
        "status.hostIPs": LOOPBACK,
    }
    if path in known:
        return known[path]
    if found := _SUBSCRIPT.match(path):
        return (meta.labels if found.group(1) == "labels" else meta.annotations).get(found.group(2), "")
    if whole and path in {"metadata.labels", "metadata.annotations"}:
        pairs = meta.labels if path == "metadata.labels" else meta.annotations
        return "\n".join(f"{key}={msgspec.json.encode(pairs[key]).decode()}" for key in sorted(pairs))
    raise Unfit(f"it asks for field {path!r}, which is not served here")


def resource(pod: Pod, ref: ResourceRef, container_name: str) -> str:
    """Return a container's limit or request in whole units of the divisor, rounded up. Raises Unfit."""
    name = ref.container_name or container_name
    found = next((c.resources for c in pod.all_containers if c.name == name), None)
    kind, _, what = ref.resource.partition(".")
    if found is None or kind not in {"limits", "requests"}:
        raise Unfit(f"it asks for {ref.resource!r} of container {name!r}, which there is not")
    asked = (found.limits if kind == "limits" else found.requests).get(what)
    if asked is None and kind == "requests":
        asked = found.limits.get(what, 0)
    if asked is None:
        raise Unfit(f"it asks for {ref.resource!r} of container {name!r}, which sets none")
    return str(amounts.in_units(asked, ref.divisor))


def _object(container: Container, kind: str, ref: ObjectRef, data: Data) -> Mapping[str, str]:
    found = data.get(Source(kind, ref.name))
    if found is not None:
        return found
    if ref.optional:
        return {}
    raise Unfit(f"container {container.name!r} needs {kind} {ref.name!r}, which does not exist", CONFIG)


def _key(container: Container, name: str, kind: str, ref: KeyRef, data: Data) -> str | None:
    found = _object(container, kind, ObjectRef(ref.name, ref.optional), data)
    if ref.key in found:
        if "\0" in found[ref.key]:
            raise Unfit(
                f"container {container.name!r}: key {ref.key!r} of {kind} {ref.name!r} holds a NUL byte", CONFIG
            )
        return found[ref.key]
    if ref.optional:
        return None
    raise Unfit(f"container {container.name!r}: {name} needs key {ref.key!r} of {kind} {ref.name!r}", CONFIG)
