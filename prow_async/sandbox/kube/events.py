"""Events: one store, shown in two forms, core/v1 (as stored) and events.k8s.io/v1."""

import copy
from typing import Any

from prow_async.sandbox.kube import columns, kinds, status

Json = dict[str, Any]

SCHEMA = kinds.open_object(
    involvedObject=kinds.open_object(kind=kinds.TEXT, namespace=kinds.TEXT, name=kinds.TEXT, uid=kinds.TEXT),
    reason=kinds.TEXT,
    message=kinds.TEXT,
    type=kinds.TEXT,
    count=kinds.INTEGER,
    required=("involvedObject",),
)

SELECTABLE = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "type",
)

_OTHER_FORM = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_BACK = {theirs: ours for ours, theirs in _OTHER_FORM.items()}


def stored(content: Json) -> Json:
    """Turn an event of events.k8s.io/v1 into one of core/v1."""
    turned = {_BACK.get(key, key): value for key, value in content.items()}
    turned["apiVersion"] = "v1"
    return turned


def shown(content: Json) -> Json:
    """Turn an event of core/v1 into one of events.k8s.io/v1."""
    turned = {_OTHER_FORM.get(key, key): value for key, value in content.items()}
    return {"apiVersion": "events.k8s.io/v1", "kind": "Event"} | turned | {"apiVersion": "events.k8s.io/v1"}


def check(content: Json, old: Json | None) -> list[status.Cause]:
    """An event stands in the namespace of what it tells about; those of unnamespaced objects stand in `default`."""
    about = content["involvedObject"].get("namespace", "")
    where = content["metadata"].get("namespace", "")
    if about == where or (not about and where in {"default", "kube-system"}):
        return []
    return [status.bad_value("involvedObject.namespace", about, "does not match event.namespace")]


_ALWAYS: Json = {
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}


def prepare(content: Json) -> None:
    """Write out the fields that are always there."""
    for key, value in _ALWAYS.items():
        content.setdefault(key, copy.copy(value))


COLUMNS = (
    columns.Column("Last Seen", "string", "When this was last seen."),
    columns.Column("Type", "string", "Normal or Warning."),
    columns.Column("Reason", "string", "One word."),
    columns.Column("Object", "string", "What the event tells about."),
    columns.Column("Message", "string", "What happened."),
    columns.Column("Count", "string", "How often it was seen.", priority=1),
    columns.Column("Name", columns.NAME.type, columns.NAME.description, columns.NAME.format, priority=1),
)


def row(content: Json, now_s: float) -> list[Any]:
    """Return a whole row: of events the name comes last."""
    about = content.get("involvedObject", {})
    seen = content.get("lastTimestamp") or content.get("eventTime") or content["metadata"].get("creationTimestamp")
    return [
        columns.age(seen, now_s),
        content.get("type", ""),
        content.get("reason", ""),
        f"{about.get('kind', '').lower()}/{about.get('name', '')}",
        content.get("message", "").strip(),
        content.get("count", 1),
        content["metadata"]["name"],
    ]
