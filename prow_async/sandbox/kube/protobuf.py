"""Reading Kubernetes' protobuf bodies, in which kubectl and other Go clients send the objects their own types make.

Known are the built-in kinds served here (messages), but for definitions; every other kind is answered 415. Answers are
always JSON: those who send protobuf take it.

Source: protobuf's wire format; Kubernetes, "Protobuf encoding".
"""

import base64
import datetime
from collections.abc import Callable, Iterator
from typing import Any

from prow_async.sandbox.kube import messages, status

Json = dict[str, Any]

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"

_TOP = {
    ("v1", "Pod"): "Pod",
    ("v1", "Node"): "Node",
    ("v1", "Service"): "Service",
    ("v1", "Namespace"): "Namespace",
    ("v1", "ConfigMap"): "ConfigMap",
    ("v1", "Secret"): "Secret",
    ("v1", "ServiceAccount"): "ServiceAccount",
    ("v1", "Binding"): "Binding",
    ("v1", "Event"): "Event",
    ("events.k8s.io/v1", "Event"): "EventsEvent",
    ("coordination.k8s.io/v1", "Lease"): "Lease",
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): "SelfSubjectAccessReview",
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): "SelfSubjectRulesReview",
    ("authentication.k8s.io/v1", "SelfSubjectReview"): "SelfSubjectReview",
}


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
        message = "DeleteOptions" if kind == "DeleteOptions" else _TOP.get((api_version, kind))
        if message is None:
            raise status.unsupported_media("application/json")
        return {"apiVersion": api_version, "kind": kind} | _message(message, envelope.get("raw", b""))
    except (_Malformed, UnicodeDecodeError, OverflowError) as error:
        raise status.bad_request(f"the protobuf body does not read: {error}") from error


def _message(name: str, data: bytes) -> Json:
    fields = messages.fields(name)
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
        elif kind.startswith("^"):
            found |= _message(kind[1:], _bytes(value))
        else:
            read = _value(kind.rstrip("?"), value)
            if read or isinstance(read, dict) or (kind.endswith("?") and read != ""):
                found[key] = read
            elif kind == "str?":
                found[key] = ""
    return found


def _value(kind: str, value: int | bytes) -> Any:
    if kind == "int":
        return _signed(_int(value))
    if kind == "bool":
        return bool(_int(value))
    data = _bytes(value)
    read = _READERS.get(kind)
    return _message(kind, data) if read is None else read(data)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _quantity(data: bytes) -> str:
    return _bytes(dict(_wire(data)).get(1, b"")).decode()


def _int_or_string(data: bytes) -> int | str:
    parts = dict(_wire(data))
    if _int(parts.get(1, 0)):
        return _bytes(parts.get(3, b"")).decode()
    return _signed(_int(parts.get(2, 0)))


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise _Malformed("a number is expected where bytes stand")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _Malformed("bytes are expected where a number stands")
    return value


def _time(data: bytes, with_micros: bool = False) -> str:
    """Return an RFC 3339 time; empty for the zero time, which is sent as no bytes."""
    parts = dict(_wire(data))
    if not parts:
        return ""
    seconds, nanos = _signed(_int(parts.get(1, 0))), _int(parts.get(2, 0))
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


_READERS: dict[str, Callable[[bytes], Any]] = {
    "str": bytes.decode,
    "raw": bytes,
    "bytes": lambda data: base64.b64encode(data).decode(),
    "time": _time,
    "microtime": lambda data: _time(data, with_micros=True),
    "quantity": _quantity,
    "intorstring": _int_or_string,
}
