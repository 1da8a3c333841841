"""Object storage: a bucket, or a folder that stands for one. `Blobs` blocks, `Storage` does not.

Paths are relative to the bucket, without a slash at the start. Errors as everywhere: Missing for what is not there,
Refused for what will never work (credentials, a bad name), Retry for what may work later.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import msgspec


class Attributes(msgspec.Struct, frozen=True):
    """What is kept beside the bytes. "" and {} set nothing; a local folder keeps none of it."""

    content_type: str = ""
    content_encoding: str = ""
    cache_control: str = ""
    metadata: dict[str, str] = {}


PLAIN = Attributes()


class Blob(msgspec.Struct, frozen=True):
    """What a listing or a look at one object tells."""

    path: str
    size_bytes: int
    modified_s: float
    attributes: Attributes = PLAIN
    """Filled by `head` only."""


class Folder(msgspec.Struct, frozen=True):
    """One level of a bucket: the names below it that have more below, each ending in a slash, and the objects in it."""

    folders: tuple[str, ...]
    blobs: tuple[Blob, ...]


class Reader(Protocol):
    """What can be read to its end: an open file, say. A ProwError raised by it goes through a put unchanged."""

    def read(self, size: int = -1, /) -> bytes: ...


@runtime_checkable
class PlainFile(Reader, Protocol):
    """A reader whose bytes need not pass through us on their way to another file."""

    def copy_to(self, descriptor: int) -> None:
        """Write all that is left into an open file. Raises OSError, and ProwError as `read` does."""


class Blobs(Protocol):
    """One bucket. Every method blocks: call it in a worker thread."""

    @property
    def url(self) -> str:
        """The bucket as `gs://NAME`, `s3://NAME` or `file:///FOLDER`, without a slash at the end."""

    def put(self, path: str, source: bytes | Reader, attributes: Attributes = PLAIN) -> None:
        """Write an object whole, over whatever is there. A reader is read once from where it stands to its end."""

    def put_new(self, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        """Write a small object unless one stands there already; False says that one does, and that it stays."""

    def get(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """Read an object, or its bytes from `start` up to and without `end`."""

    def stream(self, path: str, start: int = 0) -> Iterator[bytes]:
        """Read an object piece by piece, so that its size costs no memory."""

    def head(self, path: str) -> Blob: ...

    def list(self, prefix: str) -> Iterator[Blob]:
        """Yield every object below a folder, at any depth, in no order."""

    def folder(self, prefix: str) -> Folder:
        """List one level: what stands directly below a folder ("" is the bucket itself)."""

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; what is not there counts as deleted."""


class Storage(Protocol):
    """All buckets, for small objects, without blocking. Buckets are spelled as configurations do.

    A bucket that does not answer holds up nobody who asks another one.
    """

    async def get(self, bucket: str, path: str, most_bytes: int) -> bytes:
        """Read an object; of a longer one its first `most_bytes`. Whoever owns the bucket chose what stands there."""

    async def put(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> None: ...

    async def put_new(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        """Write an object unless one stands there already; False says that one does, and that it stays."""
