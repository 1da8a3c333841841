"""Kubernetes' way of saying no: an HTTP status and a Status object with a machine word, details and causes.

Source: Kubernetes API conventions, "Response Status Kind"; wordings compared with kube-apiserver 1.34.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

Details = dict[str, Any]


class Named(Protocol):
    """What a refusal needs to know of a resource."""

    @property
    def group(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def plural(self) -> str: ...


class Cause(msgspec.Struct, frozen=True):
    """One field that does not do. `reason` is Kubernetes' word, such as FieldValueInvalid."""

    reason: str
    message: str
    field: str


class Refusal(Exception):
    """The server says no. `World.handle` turns it into an answer."""

    def __init__(self, code: int, reason: str, message: str, details: Details | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata: dict[str, Any] = {}

    def status(self) -> dict[str, Any]:
        """Return the Status object."""
        content: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            content["reason"] = self.reason
        if self.details is not None:
            content["details"] = self.details
        content["code"] = self.code
        return content


def success(resource: Named, name: str, uid: str) -> dict[str, Any]:
    """Return the Status of a finished deletion."""
    details = _details(resource.group, resource.plural, name) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _details(group: str, kind: str, name: str) -> Details:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


def _qualified(word: str, group: str) -> str:
    return f"{word}.{group}" if group else word


def not_found(resource: Named, name: str) -> Refusal:
    what = _qualified(resource.plural, resource.group)
    details = _details(resource.group, resource.plural, name)
    return Refusal(404, "NotFound", f'{what} "{name}" not found', details)


def no_such_resource() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: Named, name: str) -> Refusal:
    what = _qualified(resource.plural, resource.group)
    details = _details(resource.group, resource.plural, name)
    return Refusal(409, "AlreadyExists", f'{what} "{name}" already exists', details)


def modified(resource: Named, name: str) -> Refusal:
    """Say that the writer's view is old."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(resource.plural, resource.group, name, why)


def conflict(word: str, group: str, name: str, why: str) -> Refusal:
    what = _qualified(word, group)
    return Refusal(
        409, "Conflict", f'Operation cannot be fulfilled on {what} "{name}": {why}', _details(group, word, name)
    )


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> Refusal:
    """Say what is wrong with an object; at least one cause."""
    told = [f"{cause.field}: {cause.message}" for cause in causes]
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    details = _details(group, kind, name)
    details["causes"] = [msgspec.to_builtins(cause) for cause in causes]
    return Refusal(422, "Invalid", f'{_qualified(kind, group)} "{name}" is invalid: {text}', details)


def forbidden(resource: Named, name: str, why: str, causes: Sequence[Cause] = ()) -> Refusal:
    details = _details(resource.group, resource.plural, name)
    if causes:
        details["causes"] = [msgspec.to_builtins(cause) for cause in causes]
    what = _qualified(resource.plural, resource.group)
    return Refusal(403, "Forbidden", f'{what} "{name}" is forbidden: {why}', details)


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def method_not_allowed() -> Refusal:
    return Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media(accepted: str) -> Refusal:
    return Refusal(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}",
    )


def rejected_patch() -> Refusal:
    return Refusal(422, "Invalid", "the server rejected our request due to an error in our request", {})


def too_old(message: str) -> Refusal:
    return Refusal(410, "Expired", message)


def too_new(asked: int, current: int) -> Refusal:
    """Say that a resourceVersion lies in the future; the asker may try again in a second."""
    return Refusal(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )


def unauthorized() -> Refusal:
    return Refusal(401, "Unauthorized", "Unauthorized")


def required(field: str, message: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {message}" if message else "Required value", field)


def bad_value(field: str, value: object, why: str) -> Cause:
    shown = msgspec.json.encode(value).decode()
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", field)


def not_supported(field: str, value: object, supported: Sequence[object]) -> Cause:
    shown = msgspec.json.encode(value).decode()
    allowed = ", ".join(msgspec.json.encode(one).decode() for one in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {shown}: supported values: {allowed}", field)


def forbidden_field(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)
