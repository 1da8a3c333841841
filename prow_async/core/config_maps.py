"""What is sent to change keys of a ConfigMap.

Source: upstream pkg/plugins/updateconfig (Update), which replaces the whole object.
"""

import base64
from collections.abc import Mapping

import msgspec

from prow_async.api.actions import UpdateConfigMap
from prow_async.api.prowjob import Json


class _Meta(msgspec.Struct, frozen=True):
    labels: dict[str, str] | None = None


class _ConfigMap(msgspec.Struct, frozen=True, rename="camel"):
    metadata: _Meta = _Meta()
    data: dict[str, str] | None = None
    binary_data: dict[str, bytes] | None = None


_decoder = msgspec.json.Decoder(_ConfigMap)
_BARE = _ConfigMap()


def body(update: UpdateConfigMap) -> bytes:
    """Return the ConfigMap to create where there is none."""
    meta: Json = {"name": update.name, "namespace": update.namespace, "labels": update.labels}
    found: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": update.data}
    if update.binary_data:
        found["binaryData"] = _texts(update.binary_data)
    return msgspec.json.encode(found)


def patch(update: UpdateConfigMap, stands: bytes) -> Json:
    """Return the merge patch: what is set in one of the two maps goes from the other."""
    data: Json = dict.fromkeys((*update.removed, *update.binary_data)) | update.data
    binary: Json = dict.fromkeys((*update.removed, *update.data)) | _texts(update.binary_data)
    found: Json = {"data": data, "binaryData": binary}
    if update.labels and not _read(stands).metadata.labels:
        found["metadata"] = {"labels": update.labels}
    return found


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
