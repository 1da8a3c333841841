"""What is sent to change keys of a ConfigMap.

Two pull requests that are merged in quick succession come as two deliveries, maybe to two hooks, and a crash may hold
either up: their writes come in any order. So each ConfigMap says in an annotation of which update each key is, and an
update leaves keys of later ones alone. It is sent on condition that the ConfigMap still is the one that was looked at.

Source: upstream pkg/plugins/updateconfig (Update), which replaces the whole object.
"""

import base64
from collections.abc import Mapping

import msgspec

from prow_async.api import names
from prow_async.api.actions import UpdateConfigMap
from prow_async.api.prowjob import Json

MAX_NOTES_BYTES = 96 << 10
"""Of the annotation. All annotations of an object may come to 256 KiB, and kubectl keeps a copy of it there."""
_Notes = dict[str, list[str]]
"""Keys by the order of the update that they are of."""


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    resource_version: str = ""


class _ConfigMap(msgspec.Struct, frozen=True, rename="camel"):
    metadata: _Meta = _Meta()
    data: dict[str, str] | None = None
    binary_data: dict[str, bytes] | None = None


_decoder = msgspec.json.Decoder(_ConfigMap)
_BARE = _ConfigMap()


def due(update: UpdateConfigMap, stands: bytes) -> UpdateConfigMap | None:
    """Return what is left of an update where later ones have been; None when that is nothing."""
    later = {key for order, keys in _notes(_read(stands)).items() if order > update.order for key in keys}
    if not update.order or not later & {*update.data, *update.binary_data, *update.removed}:
        return update
    left = msgspec.structs.replace(
        update,
        data={key: value for key, value in update.data.items() if key not in later},
        binary_data={key: value for key, value in update.binary_data.items() if key not in later},
        removed=tuple(key for key in update.removed if key not in later),
    )
    return left if left.data or left.binary_data or left.removed else None


def body(update: UpdateConfigMap) -> bytes:
    """Return the ConfigMap to create where there is none."""
    meta: Json = {"name": update.name, "namespace": update.namespace, "labels": update.labels}
    if update.order:
        meta["annotations"] = {names.UPDATED_KEYS: _noted({}, update)}
    found: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": update.data}
    if update.binary_data:
        found["binaryData"] = _texts(update.binary_data)
    return msgspec.json.encode(found)


def patch(update: UpdateConfigMap, stands: bytes) -> Json:
    """Return the merge patch: what is set in one of the two maps goes from the other.

    Args:
        stands: the ConfigMap as it was read; if it is another one by then, the patch is refused.
    """
    data: Json = dict.fromkeys((*update.removed, *update.binary_data)) | update.data
    binary: Json = dict.fromkeys((*update.removed, *update.data)) | _texts(update.binary_data)
    there = _read(stands)
    meta: Json = {"resourceVersion": there.metadata.resource_version}
    if update.labels and not there.metadata.labels:
        meta["labels"] = update.labels
    if update.order:
        meta["annotations"] = {names.UPDATED_KEYS: _noted(_notes(there), update)}
    return {"data": data, "binaryData": binary, "metadata": meta}


def _notes(found: _ConfigMap) -> _Notes:
    """Read the annotation; what nobody of us can have written says nothing."""
    text = (found.metadata.annotations or {}).get(names.UPDATED_KEYS, "{}")
    try:
        return msgspec.json.decode(text, type=_Notes)
    except msgspec.DecodeError:
        return {}


def _noted(before: _Notes, update: UpdateConfigMap) -> str:
    """Return the annotation once an update is made. When it becomes too long the oldest notes go.

    What is no longer noted may be overwritten by an update that comes even later than these; nothing else is lost.
    """
    changed = {*update.data, *update.binary_data, *update.removed}
    notes = {order: sorted({*keys} - changed) for order, keys in before.items()}
    notes[update.order] = sorted({*notes.get(update.order, ()), *changed})
    kept: _Notes = {}
    size = 2
    for order in sorted((order for order, keys in notes.items() if keys), reverse=True):
        size += len(msgspec.json.encode({order: notes[order]}))
        if size > MAX_NOTES_BYTES:
            break
        kept[order] = notes[order]
    return msgspec.json.encode(kept).decode()


def size_bytes(stands: bytes) -> int:
    """Return how much a ConfigMap holds: API servers take a little less than 1 MiB."""
    found = _read(stands)
    texts = sum(len(text.encode()) for text in (found.data or {}).values())
    return texts + sum(map(len, (found.binary_data or {}).values()))


def _texts(binary: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode("ascii") for key, value in binary.items()}


def _read(stands: bytes) -> _ConfigMap:
    try:
        return _decoder.decode(stands)
    except msgspec.DecodeError:
        return _BARE
