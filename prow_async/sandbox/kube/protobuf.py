"""Reading Kubernetes' protobuf bodies, in which kubectl and other Go clients send the objects their own types make.

Only what such clients make here is known (`_MESSAGES`); every other kind is answered 415, and clients send JSON.
Answers are always JSON: those who send protobuf take it.

Source: field numbers and types of Kubernetes' generated.proto files; protobuf's wire format.
"""

import base64
import datetime
from collections.abc import Iterator
from typing import Any

from prow_async.sandbox.kube import status

Json = dict[str, Any]

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"

# Message: number, JSON name and type of each field. `?` marks fields whose zero says something; `[]` repeated ones;
# `<>` maps from text. What is not listed is passed over.
_MESSAGES = """
ObjectMeta: 1 name str, 2 generateName str, 3 namespace str, 5 uid str, 6 resourceVersion str, 7 generation int,\
 8 creationTimestamp time, 9 deletionTimestamp time, 10 deletionGracePeriodSeconds int?, 11 labels <>str,\
 12 annotations <>str, 13 ownerReferences []OwnerReference, 14 finalizers []str
OwnerReference: 1 kind str, 3 name str, 4 uid str, 5 apiVersion str, 6 controller bool?, 7 blockOwnerDeletion bool?
Namespace: 1 metadata ObjectMeta, 2 spec NamespaceSpec
NamespaceSpec: 1 finalizers []str
ConfigMap: 1 metadata ObjectMeta, 2 data <>str, 3 binaryData <>bytes, 4 immutable bool?
Secret: 1 metadata ObjectMeta, 2 data <>bytes, 3 type str, 4 stringData <>str, 5 immutable bool?
ServiceAccount: 1 metadata ObjectMeta, 2 secrets []ObjectReference, 3 imagePullSecrets []LocalObjectReference,\
 4 automountServiceAccountToken bool?
ObjectReference: 1 kind str, 2 namespace str, 3 name str, 4 uid str, 5 apiVersion str, 6 resourceVersion str,\
 7 fieldPath str
LocalObjectReference: 1 name str
Binding: 1 metadata ObjectMeta, 2 target ObjectReference
Event: 1 metadata ObjectMeta, 2 involvedObject ObjectReference, 3 reason str, 4 message str, 5 source EventSource,\
 6 firstTimestamp time, 7 lastTimestamp time, 8 count int, 9 type str, 10 eventTime microtime, 11 series EventSeries,\
 12 action str, 13 related ObjectReference, 14 reportingComponent str, 15 reportingInstance str
EventSource: 1 component str, 2 host str
EventSeries: 1 count int, 2 lastObservedTime microtime
Lease: 1 metadata ObjectMeta, 2 spec LeaseSpec
LeaseSpec: 1 holderIdentity str?, 2 leaseDurationSeconds int?, 3 acquireTime microtime, 4 renewTime microtime,\
 5 leaseTransitions int?, 6 strategy str, 7 preferredHolder str
DeleteOptions: 1 gracePeriodSeconds int?, 2 preconditions Preconditions, 3 orphanDependents bool?,\
 4 propagationPolicy str, 5 dryRun []str
Preconditions: 1 uid str, 2 resourceVersion str
SelfSubjectAccessReview: 1 metadata ObjectMeta, 2 spec AccessSpec
AccessSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
ResourceAttributes: 1 namespace str, 2 verb str, 3 group str, 4 version str, 5 resource str, 6 subresource str,\
 7 name str
NonResourceAttributes: 1 path str, 2 verb str
SelfSubjectRulesReview: 1 metadata ObjectMeta, 2 spec RulesSpec
RulesSpec: 1 namespace str
SelfSubjectReview: 1 metadata ObjectMeta
Unknown: 1 typeMeta TypeMeta, 2 raw raw
TypeMeta: 1 apiVersion str, 2 kind str
"""

_TOP = frozenset(
    {
        ("v1", "Namespace"),
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
        ("v1", "Binding"),
        ("v1", "Event"),
        ("coordination.k8s.io/v1", "Lease"),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
        ("authentication.k8s.io/v1", "SelfSubjectReview"),
    }
)


def _table() -> dict[str, dict[int, tuple[str, str]]]:
    found: dict[str, dict[int, tuple[str, str]]] = {}
    for line in _MESSAGES.strip().splitlines():
        message, _, fields = line.partition(":")
        rows = (field.split() for field in fields.split(","))
        found[message] = {int(number): (name, kind) for number, name, kind in rows}
    return found


_FIELDS = _table()


class _Malformed(Exception):
    """The bytes are no such message."""


def decode(body: bytes) -> Json:
    """Return the object a body holds, as JSON would have it, apiVersion and kind included.

    Raises:
        Refusal: 400 for bytes that are no protobuf, 415 for kinds that are not known in it.
    """
    if not body.startswith(_MAGIC):
        raise status.bad_request("the body does not start as Kubernetes' protobuf bodies do")
    try:
        envelope = _message("Unknown", body[len(_MAGIC) :])
        named = envelope.get("typeMeta", {})
        api_version, kind = named.get("apiVersion", ""), named.get("kind", "")
        if kind != "DeleteOptions" and (api_version, kind) not in _TOP:
            raise status.unsupported_media("application/json")
        return {"apiVersion": api_version, "kind": kind} | _message(kind, envelope.get("raw", b""))
    except (_Malformed, UnicodeDecodeError, OverflowError) as error:
        raise status.bad_request(f"the protobuf body does not read: {error}") from error


def _message(name: str, data: bytes) -> Json:
    fields = _FIELDS[name]
    found: Json = {}
    for number, value in _wire(data):
        if number not in fields:
            continue
        key, kind = fields[number]
        if kind.startswith("<>"):
            entry = dict(_wire(_bytes(value)))
            found.setdefault(key, {})[_bytes(entry.get(1, b"")).decode()] = _value(kind[2:], entry.get(2, b""))
        elif kind.startswith("[]"):
            found.setdefault(key, []).append(_value(kind[2:], value))
        else:
            read = _value(kind.rstrip("?"), value)
            if read or kind.endswith("?"):
                found[key] = read
    return found


def _value(kind: str, value: int | bytes) -> Any:
    if kind == "int":
        number = _int(value)
        return number - (1 << 64) if number >= 1 << 63 else number
    if kind == "bool":
        return bool(_int(value))
    data = _bytes(value)
    if kind == "str":
        return data.decode()
    if kind == "raw":
        return data
    if kind == "bytes":
        return base64.b64encode(data).decode()
    if kind in {"time", "microtime"}:
        return _time(data, kind == "microtime")
    return _message(kind, data)


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise _Malformed("a number is expected where bytes stand")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _Malformed("bytes are expected where a number stands")
    return value


def _time(data: bytes, with_micros: bool) -> str:
    """Return an RFC 3339 time; empty for the zero time, which is sent as no bytes."""
    parts = dict(_wire(data))
    if not parts:
        return ""
    seconds, nanos = _value("int", parts.get(1, 0)), _int(parts.get(2, 0))
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    at = start + datetime.timedelta(seconds=seconds, microseconds=nanos // 1000 if with_micros else 0)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if with_micros else "%Y-%m-%dT%H:%M:%SZ")


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Split a message into field numbers and values."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, form = tag >> 3, tag & 7
        if form == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if form == 2:
            size, at = _varint(data, at)
        elif form in {1, 5}:
            size = 8 if form == 1 else 4
        else:
            raise _Malformed(f"wire type {form} of field {number} is not known")
        if at + size > len(data):
            raise _Malformed(f"field {number} is longer than the message")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Malformed("it ends in the middle of a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise _Malformed("a number is too long")
