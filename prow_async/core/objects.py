"""Reading cluster objects into views; what does not read is told apart, never raised past its own object."""

from typing import TypeVar

import msgspec

from prow_async.api.views import Malformed
from prow_async.core import nesting

V = TypeVar("V")
TOO_DEEP = "it is nested too deeply to be read"


class _Meta(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class _Any(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


def malformed(raw: bytes | msgspec.Raw, why: str) -> Malformed:
    """Name the object that could not be read, as well as it still can be named."""
    meta = _meta(raw)
    why = TOO_DEEP if TOO_DEEP.encode() in bytes(raw) else why
    return Malformed(meta.name, meta.namespace, meta.uid, meta.resource_version, why)


def _meta(raw: bytes | msgspec.Raw) -> _Meta:
    try:
        return msgspec.json.decode(nesting.cut(bytes(raw)), type=_Any).metadata
    except msgspec.DecodeError:
        return _Meta(name="(unreadable)")


def flattened(raw: bytes | msgspec.Raw) -> msgspec.Raw:
    """Return an object that has been cut as no more than its name, in a form that does not read as any kind."""
    return msgspec.Raw(msgspec.json.encode({"metadata": _meta(raw), "spec": TOO_DEEP, "status": TOO_DEEP}))


class Unreadable(Exception):
    """An object does not read as its kind. `why` is one line for people."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def decoded(decoder: msgspec.json.Decoder[V], raw: bytes | msgspec.Raw) -> V:
    """Decode an object. Raises Unreadable with the path of the first thing that is not as it should be."""
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise Unreadable(str(error)) from error
    except RecursionError:
        raise Unreadable(TOO_DEEP) from None
