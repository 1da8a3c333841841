"""What a request's body holds: an object, or a patch to apply to one."""

from typing import Any

import msgspec
import yaml

from prow_async.sandbox.kube import (
    exchange,
    layouts,
    metadata,
    patches,
    protobuf,
    resources,
    status,
    store,
    strategic,
)

Json = dict[str, Any]

_MERGE = "application/merge-patch+json"
_JSON_PATCH = "application/json-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_MAX_OPERATIONS = 10_000
_MAX_YAML_BYTES = 256 * 1024
_MAX_YAML_NODES = 100_000


def is_apply(request: exchange.Request) -> bool:
    """Tell whether a PATCH is a server-side apply."""
    return request.headers.get("content-type", "").lower().startswith(APPLY)


def decode(request: exchange.Request, kind: str) -> Json:
    """Decode an object, sent as JSON or, of some kinds, as protobuf. Raises Refusal (400, 415)."""
    media = exchange.media_of(request)
    if media == protobuf.MEDIA:
        return protobuf.decode(request.body)
    if media not in {exchange.JSON, "*/*", ""}:
        raise status.unsupported_media(exchange.JSON)
    try:
        return store.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise status.bad_request(f"the object provided is unrecognized (must be of type {kind}): {error}") from error


def read(resource: resources.Resource, request: exchange.Request, kind: str = "") -> Json:
    """Read an object of the resource's kind, or of another one. Raises Refusal."""
    kind = kind or resource.kind
    content = decode(request, kind)
    _check_kind(resource, content, kind)
    return content


def _check_kind(resource: resources.Resource, content: Json, kind: str) -> None:
    found, version = content.get("kind"), content.get("apiVersion")
    if not resource.custom and found is None and version is None:
        return
    if not isinstance(found, str) or not found:
        raise status.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): Object 'Kind' is missing"
        )
    wanted = resource.api_version
    if version != wanted and (resource.custom or found == kind):
        raise status.bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({wanted})"
        )
    if found != kind:
        if resource.custom:
            cause = status.bad_value("kind", found, f"must be {kind}")
            meta = content.get("metadata")
            name = meta.get("name") if isinstance(meta, dict) else ""
            raise status.invalid(found, resource.group, name if isinstance(name, str) else "", [cause])
        raise status.bad_request(f'{found} in version "{version}" cannot be handled as a {kind}: unknown conversion')


def patched(resource: resources.Resource, entry: store.Entry, request: exchange.Request) -> Json:
    """Apply a request's patch to an object in the form it is asked through. Raises Refusal."""
    media = exchange.media_of(request)
    allowed = (_JSON_PATCH, _MERGE, APPLY) if resource.custom else (_JSON_PATCH, _MERGE, _STRATEGIC, APPLY)
    if media not in allowed:
        raise status.unsupported_media(", ".join(allowed))
    patch = _patch(request.body, media)
    content: Any = store.decode(entry.raw)
    if resource.shown is not None:
        content = resource.shown(content)
    try:
        if media == _MERGE:
            content = patches.merge(content, patch)
        elif media == _STRATEGIC:
            content = strategic.apply(layouts.of(resource), content, patch)
        else:
            content = patches.apply(content, patch)
    except patches.PatchError as error:
        raise status.rejected_patch() from error
    if not isinstance(content, dict):
        raise status.rejected_patch()
    if (content.get("apiVersion"), content.get("kind")) != (resource.api_version, resource.kind):
        raise metadata.unreadable(resource, "a patch may not change apiVersion or kind").of_patch()
    return content


def _patch(body: bytes, media: str) -> Any:
    try:
        patch: Any = msgspec.json.decode(body, type=list[Json] if media == _JSON_PATCH else dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if media == _JSON_PATCH and len(patch) > _MAX_OPERATIONS:
        raise status.Refusal(413, "RequestEntityTooLarge", f"a JSON patch has at most {_MAX_OPERATIONS} operations")
    return patch


def applied(resource: resources.Resource, name: str, is_new: bool, request: exchange.Request) -> Json:
    """Read what is to be applied, sent as JSON or YAML, for the object of a name. Raises Refusal (400)."""
    try:
        content: Any = store.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        content = _from_yaml(request.body)
    if not isinstance(content, dict):
        raise status.bad_request("error decoding YAML: what is applied is no object")
    _check_kind(resource, content, resource.kind)
    if content.get("kind") is None:
        raise status.bad_request("error decoding YAML: Object 'Kind' is missing")
    meta = content.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise status.bad_request("metadata is no object")
    if meta.get("managedFields"):
        raise status.bad_request("metadata.managedFields must be nil")
    if is_new and not meta.get("name"):
        raise status.bad_request("name must be provided")
    if meta.setdefault("name", name) != name:
        why = f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
        raise status.bad_request(why)
    return content


def _from_yaml(body: bytes) -> Any:
    if len(body) > _MAX_YAML_BYTES:
        raise status.bad_request(f"error decoding YAML: more than {_MAX_YAML_BYTES} bytes; send JSON")
    try:
        loaded = yaml.load(body, yaml.CSafeLoader)
        _spend(loaded, _MAX_YAML_NODES)
        # Through JSON, so that dates and the like are what JSON has.
        return msgspec.json.decode(msgspec.json.encode(loaded))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise status.bad_request(f"error decoding YAML: {str(error).partition(chr(10))[0]}") from error


def _spend(node: Any, left: int) -> int:
    """Count what aliases make of a document; return what is left. Raises ValueError beyond."""
    if left <= 0:
        raise ValueError("aliases make too much of it")
    left -= 1
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        left = _spend(below, left)
    return left
