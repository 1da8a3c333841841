"""The parts of a Pod that are read here: a head for every piece of news, the whole once, when it is to run."""

from typing import Any

import msgspec

from prow_async.api.prowjob import Json
from prow_async.core import objects

DEFAULT_GRACE_S = 30
TAKEN_BY = "run as local processes by kubelet "
"""Begins the message of the condition PodScheduled; the mark of the kubelet that took the pod follows."""


class HeadMeta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None


class HeadSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    node_name: str | None = None


class HeadCondition(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    message: str | None = None


class HeadStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    phase: str | None = None
    start_time: str | None = None
    conditions: list[HeadCondition] | None = None


class Head(msgspec.Struct, frozen=True, gc=False):
    """What every piece of news is looked at for."""

    metadata: HeadMeta
    spec: HeadSpec | None = None
    status: HeadStatus | None = None

    @property
    def uid(self) -> str:
        return self.metadata.uid or ""

    @property
    def namespace(self) -> str:
        return self.metadata.namespace or ""

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def node_name(self) -> str:
        return (self.spec.node_name if self.spec else None) or ""

    @property
    def phase(self) -> str:
        return (self.status.phase if self.status else None) or ""

    @property
    def started(self) -> bool:
        """True when some kubelet has taken this pod."""
        return bool(self.status and self.status.start_time)

    @property
    def taken_by(self) -> str:
        """The mark of the kubelet that took this pod, empty when none of this project did (see TAKEN_BY)."""
        for condition in (self.status.conditions if self.status else None) or ():
            if condition.type == "PodScheduled" and condition.message:
                return condition.message.removeprefix(TAKEN_BY) if condition.message.startswith(TAKEN_BY) else ""
        return ""

    @property
    def finished(self) -> bool:
        return self.phase in {"Succeeded", "Failed"}

    @property
    def deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None


class KeyRef(msgspec.Struct, frozen=True):
    name: str = ""
    key: str = ""
    optional: bool = False


class FieldRef(msgspec.Struct, frozen=True, rename="camel"):
    field_path: str = ""


class ResourceRef(msgspec.Struct, frozen=True, rename="camel"):
    resource: str = ""
    """`limits.cpu`, `requests.memory` and the like."""
    container_name: str = ""
    divisor: str | int | float = "0"


class ValueFrom(msgspec.Struct, frozen=True, rename="camel"):
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceRef | None = None
    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None


class EnvVar(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str = ""
    value_from: ValueFrom | None = None


class ObjectRef(msgspec.Struct, frozen=True):
    name: str = ""
    optional: bool = False


class EnvFrom(msgspec.Struct, frozen=True, rename="camel"):
    prefix: str = ""
    secret_ref: ObjectRef | None = None
    config_map_ref: ObjectRef | None = None


class VolumeMount(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False


class SecurityContext(msgspec.Struct, frozen=True, rename="camel"):
    """A container's, or the pod's: where both speak, the container's word counts."""

    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()


Quantities = dict[str, str | int | float]


class Resources(msgspec.Struct, frozen=True):
    limits: Quantities = {}
    requests: Quantities = {}


class Container(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    security_context: SecurityContext = SecurityContext()
    resources: Resources = Resources()
    restart_policy: str = ""
    """Only on init containers; `Always` makes a sidecar of one."""
    lifecycle: Json = {}


class Meta(msgspec.Struct, frozen=True):
    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Spec(msgspec.Struct, frozen=True, rename="camel"):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Json, ...] = ()
    """As they came: the one key beside `name` is the volume's kind."""
    restart_policy: str = "Always"
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int = DEFAULT_GRACE_S
    node_name: str = ""
    service_account_name: str = ""
    security_context: SecurityContext = SecurityContext()


class Pod(msgspec.Struct, frozen=True):
    """One pod as it was asked for. `status` is what the server had when it was read."""

    metadata: Meta
    spec: Spec = Spec()
    status: Json = {}

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Init containers first, in the order they run."""
        return self.spec.init_containers + self.spec.containers


_head = msgspec.json.Decoder(Head)


def read_head(raw: bytes | msgspec.Raw) -> Head:
    """Raises objects.Unreadable when there is no name to speak of."""
    return objects.decoded(_head, raw)


def read(raw: bytes | msgspec.Raw) -> Pod:
    """Read the whole pod; nulls count as absent, as in Go. Raises objects.Unreadable."""
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), Pod)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise objects.Unreadable(str(error)) from error


def bare(head: Head) -> Pod:
    """Return the pod without its spec: for one whose spec does not read."""
    return Pod(Meta(head.name, head.namespace, head.uid))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(v) for v in value if v is not None]
    return value
