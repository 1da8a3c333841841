"""GitHub's way of saying no: a status, a message and, for 422, what is wrong with which field."""

from collections.abc import Sequence

import msgspec

DOCUMENTATION = "https://docs.github.com/rest"


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of `errors` in a 422 body."""

    resource: str
    field: str
    code: str
    message: str = ""


class Refusal(Exception):
    """The world refuses. The doors turn it into an answer; a caller of the world's methods sees the exception."""

    def __init__(self, status: int, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.errors = tuple(errors)

    def body(self) -> bytes:
        """Render as GitHub does."""
        content: dict[str, object] = {"message": self.message}
        if self.errors:
            content["errors"] = self.errors
        content["documentation_url"] = DOCUMENTATION
        content["status"] = str(self.status)
        return msgspec.json.encode(content)


def missing() -> Refusal:
    """Say that it is not there, or that the asker may not know of it."""
    return Refusal(404, "Not Found")


def invalid(resource: str, field: str, code: str, message: str = "") -> Refusal:
    """Say that one field does not do. `code` is GitHub's word: missing_field, invalid, custom, already_exists."""
    return Refusal(422, "Validation Failed", [FieldError(resource, field, code, message)])


def forbidden(message: str = "Must have admin rights to Repository.") -> Refusal:
    return Refusal(403, message)
