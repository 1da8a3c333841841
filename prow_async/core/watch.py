"""The list/watch machine: what a watch stream says, and what to do when it ends.

Pure: bytes and outcomes in, events and next moves out. The I/O around it is actors/reflector. Resource versions are
opaque strings here: never compared, only carried.

Source: Kubernetes API concepts (watch, bookmarks, WatchList, 410 Gone).
"""

from typing import Literal

import msgspec

from prow_async.core import nesting, objects

MAX_LINE_BYTES = 32 * 1024 * 1024
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Frame(msgspec.Struct, frozen=True):
    """One line of a watch stream. `object` stays undecoded."""

    type: str
    object: msgspec.Raw


class _Meta(msgspec.Struct, frozen=True):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    annotations: dict[str, str] = {}


class _Bookmark(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


class _Status(msgspec.Struct, frozen=True):
    code: int = 0
    reason: str = ""
    message: str = ""


class Broken(Exception):
    """The stream is not a watch stream (no JSON, a line too long). Open a new one."""


class Lines:
    """Cuts a byte stream into watch lines. What is left of a line cut in its middle is dropped with the stream."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._rest = b""
        self._max = max_line_bytes
        self._decoder = msgspec.json.Decoder(Frame)

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes. Raises Broken."""
        parts = (self._rest + chunk).split(b"\n")
        self._rest = parts.pop()
        if len(self._rest) > self._max:
            raise Broken(f"a line of the watch stream is longer than {self._max} bytes")
        try:
            return [self._frame(line) for line in parts if line.strip()]
        except msgspec.DecodeError as error:
            raise Broken(f"the watch stream holds a line that is no watch event: {error}") from error

    def _frame(self, line: bytes) -> Frame:
        try:
            return self._decoder.decode(line)
        except RecursionError:
            frame = self._decoder.decode(nesting.cut(line))
            return Frame(frame.type, objects.flattened(frame.object))


Move = Literal["list", "watchlist", "watch"]


class Position(msgspec.Struct, frozen=True):
    """Where a reflector stands.

    `move` is what it does next; `resource_version` is the last one heard, for `watch`.
    `unsupported` remembers that the server does not serve WatchList.
    """

    move: Move = "watchlist"
    resource_version: str = ""
    unsupported: bool = False


def relist(at: Position) -> Position:
    """Start anew: what we hold may have holes (410, or a server that forgot our resource version)."""
    return Position(move="list" if at.unsupported else "watchlist", unsupported=at.unsupported)


def without_watchlist(at: Position) -> Position:
    """Fall back to paged lists for this server's lifetime."""
    return Position(move="list", unsupported=True)


def synced(at: Position, resource_version: str) -> Position:
    """Everything that exists has been seen up to `resource_version`; go on with news."""
    return Position(move="watch", resource_version=resource_version, unsupported=at.unsupported)


class Bookmark(msgspec.Struct, frozen=True):
    resource_version: str
    initial_end: bool


def bookmark(frame: Frame) -> Bookmark:
    """Read a BOOKMARK frame. Raises Broken when it carries no resource version."""
    try:
        meta = msgspec.json.decode(frame.object, type=_Bookmark).metadata
    except msgspec.DecodeError as error:
        raise Broken(f"unreadable bookmark: {error}") from error
    if not meta.resource_version:
        raise Broken("a bookmark without resourceVersion")
    return Bookmark(meta.resource_version, meta.annotations.get(INITIAL_EVENTS_END) == "true")


class StreamError(msgspec.Struct, frozen=True):
    """An ERROR frame: the server ends the watch and says why."""

    code: int
    reason: str
    message: str

    @property
    def expired(self) -> bool:
        """True when the resource version is gone: relist. Anything else: watch again from where we were."""
        return self.code == 410 or self.reason in {"Expired", "Gone"}


def stream_error(frame: Frame) -> StreamError:
    try:
        status = msgspec.json.decode(frame.object, type=_Status)
    except msgspec.DecodeError:
        return StreamError(0, "Unknown", "the server ended the watch with an unreadable error")
    return StreamError(status.code, status.reason, status.message)
