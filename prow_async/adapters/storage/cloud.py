"""Google's storage and S3's kin, through obstore's blocking calls.

obstore tries a failing request again a few times by itself; what still fails is told in our words. Its texts stay here:
they hold whole answers of the server, and those may hold more than a log should.
"""

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import obstore
from obstore import exceptions

from prow_async.adapters.storage import cloud_access, names
from prow_async.adapters.storage.cloud_access import PATIENT, Patience, Store
from prow_async.adapters.storage.names import Bucket
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.ports.blobs import PLAIN, Attributes, Blob, Folder, Reader

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

PART_BYTES = 5 << 20
"""The least S3 takes; ten thousand of them, the most it takes, make 52 GB."""
_PIECE_BYTES = 1 << 20
_PARTS_AT_ONCE = 2
_BIG_AT_ONCE = 2
_LISTED_AT_ONCE = 1000
_STATUS = re.compile(r"status code: ([0-9]{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")
_LATER_STATUS = {408, 409, 412, 425, 429}
_LATER_CODES = {"NoSuchUpload", "RequestTimeout", "SlowDown"}
_TROUBLE = (("kind: Timeout", "no answer in time"), ("kind: Connect", "no connection"), ("HTTP error", "it broke off"))
_HEADERS = {
    "content_type": "Content-Type",
    "content_encoding": "Content-Encoding",
    "cache_control": "Cache-Control",
}
_FIELDS = {header: field for field, header in _HEADERS.items()}


def open_bucket(bucket: Bucket, credentials_file: str, patience: Patience = PATIENT) -> "CloudBlobs":
    """Open a bucket with credentials from a file, or from the surroundings. Raises Refused if it does not read."""
    reach = cloud_access.google if bucket.scheme == "gs" else cloud_access.s3
    return CloudBlobs(bucket.url, reach(bucket, credentials_file, patience))


class CloudBlobs:
    """Blobs in a bucket. Objects over 5 MiB go up in parts, few of them in memory at a time."""

    def __init__(self, url: str, store: Store) -> None:
        self.url = url
        self._store = store
        self._nobody = store.config.get("skip_signature") in (True, "true")
        self._big = threading.BoundedSemaphore(_BIG_AT_ONCE)

    def put(self, path: str, source: bytes | Reader, attributes: Attributes = PLAIN) -> None:
        names.check(path)
        names.check_attributes(attributes)
        self._check_somebody()
        kept = _kept(attributes)
        first = source if isinstance(source, bytes) else _read_full(source)
        with _told(self.url, path):
            if isinstance(source, bytes) or len(first) < PART_BYTES:
                obstore.put(self._store, path, first, attributes=kept, use_multipart=False)
                return
            with self._big:
                parts = _parts(first, source)
                del first
                obstore.put(
                    self._store, path, parts, attributes=kept, chunk_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
                )

    def put_new(self, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        names.check(path)
        names.check_attributes(attributes)
        self._check_somebody()
        try:
            with _told(self.url, path):
                kept = _kept(attributes)
                obstore.put(self._store, path, content, attributes=kept, mode="create", use_multipart=False)
        except exceptions.AlreadyExistsError:
            return False
        except Retry as error:
            if error.status != 501:
                raise
            return self._put_unless_there(path, content, attributes)
        return True

    def _put_unless_there(self, path: str, content: bytes, attributes: Attributes) -> bool:
        """Look, then write: for servers that take no condition. Another writer may come in between."""
        try:
            self.head(path)
        except Missing:
            self.put(path, content, attributes)
            return True
        return False

    def get(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        if end is not None and end <= start:
            self.head(path)
            return b""
        options: GetOptions = {}
        if end is not None:
            options = {"range": (start, end)}
        elif start:
            options = {"range": {"offset": start}}
        try:
            with _told(self.url, path):
                return bytes(obstore.get(self._store, names.check(path), options=options).bytes())
        except Refused as error:
            if error.status == 416 and start >= self.head(path).size_bytes:
                return b""
            raise

    def stream(self, path: str, start: int = 0) -> Iterator[bytes]:
        """As the port says; in pieces asked for one by one, so that a slow reader keeps no connection waiting."""
        with _told(self.url, path):
            found = obstore.head(self._store, names.check(path))
        for begin in range(start, found["size"], PART_BYTES):
            end = min(begin + PART_BYTES, found["size"])
            with _told(self.url, path):
                options: GetOptions = {"range": (begin, end), "if_match": found["e_tag"]}
                piece = bytes(obstore.get(self._store, path, options=options).bytes())
            yield piece

    def head(self, path: str) -> Blob:
        with _told(self.url, path):
            found = obstore.get(self._store, names.check(path), options={"head": True})
            attributes = found.attributes
        known = {_FIELDS[key]: value for key, value in attributes.items() if key in _FIELDS}
        own = {key: value for key, value in attributes.items() if not key[:1].isupper()}
        return msgspec.structs.replace(_blob(found.meta), attributes=Attributes(**known, metadata=own))

    def list(self, prefix: str) -> Iterator[Blob]:
        """As the port says. Raises Refused for a folder with names in it that others gave and obstore cannot read."""
        above = names.check_folder(prefix)
        with _told(self.url, prefix):
            for several in obstore.list(self._store, above or None, chunk_size=_LISTED_AT_ONCE):
                for found in several:
                    if found["path"] != above:  # some tools mark a folder by an object of its name
                        yield _blob(found)

    def folder(self, prefix: str) -> Folder:
        above = names.check_folder(prefix)
        with _told(self.url, prefix):
            found = obstore.list_with_delimiter(self._store, above or None)
        folders = {path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]} - {""}
        blobs = sorted((_blob(one) for one in found["objects"] if one["path"] != above), key=lambda blob: blob.path)
        return Folder(tuple(sorted(f"{name}/" for name in folders)), tuple(blobs))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            names.check(path)
        self._check_somebody()
        if self.url.startswith("s3://"):
            if paths:
                with _told(self.url, paths[0]):
                    obstore.delete(self._store, [*paths])
            return
        for path in paths:  # Google knows no deletion of several, and says of each whether it was there
            with contextlib.suppress(Missing), _told(self.url, path):
                obstore.delete(self._store, path)

    def _check_somebody(self) -> None:
        """Refuse what nobody without credentials may do: obstore would go and look for some, for a long time."""
        if self._nobody:
            raise Refused(f"{self.url} cannot be written to: no credentials were given, and none were found")


def _kept(attributes: Attributes) -> dict[str, str]:
    headers = {header: getattr(attributes, field) for field, header in _HEADERS.items()}
    return {header: value for header, value in headers.items() if value} | attributes.metadata


def _read_full(source: Reader) -> bytes:
    """Read the first part of an object: less than a whole part only if it ends there."""
    pieces = [source.read(PART_BYTES)]
    size_bytes = len(pieces[0])
    while pieces[-1] and size_bytes < PART_BYTES:
        pieces.append(source.read(PART_BYTES - size_bytes))
        size_bytes += len(pieces[-1])
    return b"".join(pieces)


def _parts(first: bytes, rest: Reader) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = rest.read(_PIECE_BYTES)


def _blob(found: "ObjectMeta") -> Blob:
    return Blob(found["path"], found["size"], found["last_modified"].timestamp())


@contextlib.contextmanager
def _told(url: str, path: str) -> Iterator[None]:
    """Say what goes wrong in the words of the port."""
    try:
        yield
    except exceptions.AlreadyExistsError:
        raise
    except (exceptions.BaseError, FileNotFoundError, ValueError) as error:
        raise _translated(f"{path} in {url}", error) from None
    except BaseException as panic:
        if type(panic).__name__ == "PanicException":  # Rust's, of a class that cannot be imported
            raise Refused(f"{path} in {url}: the storage library gave up (its own words are on stderr)") from None
        raise


def _translated(what: str, error: Exception) -> ProwError:
    text = str(error)
    found = _STATUS.search(text)
    status = int(found[1]) if found else 0
    code = found[1] if (found := _CODE.search(text)) else ""
    told = f"{what}: " + " ".join(str(part) for part in (status or "", code) if part)
    if isinstance(error, exceptions.InvalidPathError):
        return Refused(f"{what}: a name there has empty elements, or . or .. among them", reason="BadName")
    if isinstance(error, ValueError | exceptions.NotSupportedError):
        return Refused(f"{what}: not possible ({type(error).__name__})")
    if not status:
        why = next((words for sign, words in _TROUBLE if sign in text), type(error).__name__)
        return Missing(f"{what}: not there") if isinstance(error, FileNotFoundError) else Retry(f"{what}: {why}")
    if status in _LATER_STATUS or status >= 500 or code in _LATER_CODES:
        return Retry(told, status=status)
    return Missing(told) if status == 404 else Refused(told, status=status, reason=code)
