"""Reading cluster objects into views; what does not read is told apart, never raised past its own object."""

from typing import TypeVar

import msgspec

from prow_async.api.views import Malformed

V = TypeVar("V")


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class _Any(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


def malformed(raw: bytes | msgspec.Raw, why: str) -> Malformed:
    """Name the object that could not be read, as well as it still can be named."""
    try:
        meta = msgspec.json.decode(raw, type=_Any).metadata
    except msgspec.DecodeError:
        meta = _Meta(name="(unreadable)")
    return Malformed(meta.name, meta.namespace, meta.uid, meta.resource_version, why)


class Unreadable(Exception):
    """An object does not read as its kind. `why` is one line for people."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
