"""What a request's body holds: an object, or a patch to apply to one."""

from typing import Any

import msgspec

from prow_async.sandbox.kube import exchange, metadata, patches, resources, status, store

Json = dict[str, Any]

_PATCHES = "application/json-patch+json, application/merge-patch+json"
_MAX_OPERATIONS = 10_000


def is_json(request: exchange.Request) -> bool:
    media = request.headers.get("content-type", exchange.JSON).partition(";")[0].strip().lower()
    return media in {exchange.JSON, "*/*", ""}


def decode(request: exchange.Request, kind: str) -> Json:
    """Decode a JSON object. Raises Refusal (400)."""
    try:
        return store.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise status.bad_request(f"the object provided is unrecognized (must be of type {kind}): {error}") from error


def read(resource: resources.Resource, request: exchange.Request, kind: str = "") -> Json:
    """Read an object of the resource's kind, or of another one. Raises Refusal."""
    if not is_json(request):
        raise status.unsupported_media(exchange.JSON)
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
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in {"application/merge-patch+json", "application/json-patch+json"}:
        raise status.unsupported_media(_PATCHES)
    is_merge = media.startswith("application/merge")
    try:
        patch: Any = msgspec.json.decode(request.body, type=dict if is_merge else list[Json])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    content: Any = store.decode(entry.raw)
    if resource.shown is not None:
        content = resource.shown(content)
    if is_merge:
        content = patches.merge(content, patch)
    else:
        if len(patch) > _MAX_OPERATIONS:
            raise status.Refusal(413, "RequestEntityTooLarge", f"a JSON patch has at most {_MAX_OPERATIONS} operations")
        try:
            content = patches.apply(content, patch)
        except patches.PatchError as error:
            raise status.rejected_patch() from error
    if not isinstance(content, dict):
        raise status.rejected_patch()
    if (content.get("apiVersion"), content.get("kind")) != (resource.api_version, resource.kind):
        raise metadata.unreadable(resource, "a patch may not change apiVersion or kind").of_patch()
    return content
