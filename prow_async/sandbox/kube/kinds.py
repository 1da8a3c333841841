"""Rules of the small built-in kinds: configuration maps, secrets, namespaces, leases."""

import base64
import binascii
from typing import Any

from prow_async.sandbox.kube import status, words

Json = dict[str, Any]
Causes = list[status.Cause]

SUBDOMAIN = words.wrong_with_subdomain
LABEL_NAME = words.wrong_with_label_name


def open_object(required: tuple[str, ...] = (), **properties: Json) -> Json:
    """Return the schema of an object whose named fields are checked and whose others may be anything."""
    return {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": properties,
        "required": list(required),
    }


def closed_object(required: tuple[str, ...] = (), **properties: Json) -> Json:
    """Return the schema of an object that keeps its named fields only."""
    return {"type": "object", "properties": properties, "required": list(required)}


def map_of(value: Json) -> Json:
    return {"type": "object", "additionalProperties": value}


def list_of(item: Json) -> Json:
    return {"type": "array", "items": item}


TEXT: Json = {"type": "string"}
INTEGER: Json = {"type": "integer"}
BOOLEAN: Json = {"type": "boolean"}

CONFIG_MAP = closed_object(data=map_of(TEXT), binaryData=map_of(TEXT), immutable=BOOLEAN)
SECRET = closed_object(data=map_of(TEXT), stringData=map_of(TEXT), type=TEXT, immutable=BOOLEAN)
NAMESPACE = closed_object(spec=open_object(), status=open_object(phase=TEXT))
NODE = closed_object(spec=open_object(), status=open_object())
LEASE = closed_object(
    spec=open_object(
        holderIdentity=TEXT,
        leaseDurationSeconds=INTEGER,
        leaseTransitions=INTEGER,
        acquireTime={"type": "string", "format": "date-time"},
        renewTime={"type": "string", "format": "date-time"},
    )
)


def prepare_secret(content: Json) -> None:
    """Turn the write-only stringData into data."""
    content.setdefault("type", "Opaque")
    for key, text in content.pop("stringData", {}).items():
        content.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def check_config_map(content: Json, old: Json | None) -> Causes:
    return _check_keys(content, "data") + _check_keys(content, "binaryData")


def _check_keys(content: Json, field: str) -> Causes:
    wrong = {key: words.wrong_with_data_key(key) for key in content.get(field) or {}}
    return [status.bad_value(f"{field}[{key}]", key, why) for key, why in wrong.items() if why]


def check_secret(content: Json, old: Json | None) -> Causes:
    causes = _check_keys(content, "data")
    for key, text in content.get("data", {}).items():
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            # The value is secret: it is not shown, unlike in other refusals.
            causes.append(status.Cause("FieldValueInvalid", "Invalid value: no base64", f"data[{key}]"))
    if old is not None and content.get("type") != old.get("type"):
        causes.append(status.bad_value("type", content.get("type"), "field is immutable"))
    return causes


def prepare_namespace(content: Json) -> None:
    metadata = content["metadata"]
    metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    content.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    content.setdefault("status", {}).setdefault("phase", "Active")


def check_lease(content: Json, old: Json | None) -> Causes:
    spec = content.get("spec", {})
    causes = []
    if spec.get("leaseDurationSeconds", 1) <= 0:
        value = spec["leaseDurationSeconds"]
        causes.append(status.bad_value("spec.leaseDurationSeconds", value, "must be greater than 0"))
    if spec.get("leaseTransitions", 0) < 0:
        value = spec["leaseTransitions"]
        causes.append(status.bad_value("spec.leaseTransitions", value, "must be greater than or equal to 0"))
    return causes
