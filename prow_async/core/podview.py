"""Pod JSON to PodView."""

import sys
from datetime import datetime

import msgspec

from prow_async.api import names
from prow_async.api.views import ContainerView, PodView
from prow_async.core import objects


class _Labels(msgspec.Struct, frozen=True, gc=False):
    id: str = msgspec.field(default="", name=names.ID_LABEL)
    build_id: str = msgspec.field(default="", name=names.BUILD_ID_LABEL)
    by_prow: str = msgspec.field(default="", name=names.CREATED_BY_PROW)


class _Annotations(msgspec.Struct, frozen=True, gc=False):
    owner: str = msgspec.field(default="", name=names.OWNER_UID)
    attempt: str = msgspec.field(default="", name=names.ATTEMPT)
    digest: str = msgspec.field(default="", name=names.DIGEST)


class _Meta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: _Labels | None = None
    annotations: _Annotations | None = None
    finalizers: list[str] | None = None


class _Terminated(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str | None = None


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    reason: str = ""
    message: str = ""


class _State(msgspec.Struct, frozen=True, gc=False):
    terminated: _Terminated | None = None
    waiting: _Waiting | None = None


class _Container(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    state: _State | None = None


class _Condition(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class _Status(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: list[_Condition] | None = None
    container_statuses: list[_Container] | None = None
    init_container_statuses: list[_Container] | None = None


class _Pod(msgspec.Struct, frozen=True, gc=False):
    metadata: _Meta
    status: _Status | None = None


_decoder = msgspec.json.Decoder(_Pod)
_NO_LABELS, _NO_ANNOTATIONS, _NO_STATUS = _Labels(), _Annotations(), _Status()
_MAX_DIGITS = 18
_NO_STATE, _NO_WAITING = _State(), _Waiting()


def read(raw: bytes | msgspec.Raw) -> PodView:
    """Decode one Pod. Raises objects.Unreadable."""
    pod = objects.decoded(_decoder, raw)
    meta, status = pod.metadata, pod.status or _NO_STATUS
    labels, annotations = meta.labels or _NO_LABELS, meta.annotations or _NO_ANNOTATIONS
    disrupted = _condition(status, "DisruptionTarget", "True")
    unscheduled = _condition(status, "PodScheduled", "False")
    return PodView(
        name=meta.name,
        namespace=sys.intern(meta.namespace),
        uid=meta.uid,
        resource_version=meta.resource_version,
        created_s=meta.creation_timestamp.timestamp() if meta.creation_timestamp else 0.0,
        deleting=meta.deletion_timestamp is not None,
        deletion_s=meta.deletion_timestamp.timestamp() if meta.deletion_timestamp else None,
        job_name=labels.id,
        build_id=labels.build_id,
        created_by_prow=labels.by_prow == "true",
        owner_uid=annotations.owner,
        attempt=_attempt(annotations.attempt),
        digest=annotations.digest,
        finalizers=tuple(meta.finalizers or ()),
        phase=sys.intern(status.phase),
        reason=sys.intern(status.reason),
        message=status.message,
        disruption=sys.intern(disrupted.reason or disrupted.type) if disrupted else "",
        unscheduled=unscheduled.message or unscheduled.reason if unscheduled else "",
        start_s=status.start_time.timestamp() if status.start_time else None,
        containers=tuple(_container(c, init=True) for c in status.init_container_statuses or ())
        + tuple(_container(c, init=False) for c in status.container_statuses or ()),
    )


def _attempt(text: str) -> int | None:
    """Read our own mark. Whoever may make pods may write anything there, also more digits than Python reads."""
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else None


class _Variable(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    value: str = ""


class _EnvContainer(msgspec.Struct, frozen=True, gc=False):
    env: list[_Variable] | None = None


class _EnvSpec(msgspec.Struct, frozen=True, gc=False):
    containers: list[_EnvContainer]


class _EnvPod(msgspec.Struct, frozen=True, gc=False):
    spec: _EnvSpec


_env_decoder = msgspec.json.Decoder(_EnvPod)


def build_id_in_env(raw: bytes | msgspec.Raw) -> str:
    """Return what the first container's BUILD_ID says: old pods carry no label of it. Empty where it says nothing."""
    containers = objects.decoded(_env_decoder, raw).spec.containers
    return next((v.value for v in (containers[0].env or ()) if v.name == "BUILD_ID"), "") if containers else ""


def _condition(status: _Status, kind: str, value: str) -> _Condition | None:
    return next((one for one in status.conditions or () if one.type == kind and one.status == value), None)


def _container(status: _Container, init: bool) -> ContainerView:
    state = status.state or _NO_STATE
    ended, waiting = state.terminated, state.waiting or _NO_WAITING
    if ended is None:
        return ContainerView(
            name=sys.intern(status.name),
            init=init,
            waiting_reason=sys.intern(waiting.reason),
            waiting_message=waiting.message,
        )
    return ContainerView(
        name=sys.intern(status.name),
        init=init,
        exit_code=ended.exit_code,
        terminated_reason=sys.intern(ended.reason),
        message=ended.message,
        finished=bool(ended.finished_at),
    )
