"""What may be the name of a bucket, and what the name of an object: the same everywhere, so that a folder can hold it.

Source: upstream pkg/apis/prowjobs/v1/types.go (ProwPath), pkg/io/providers/providers.go.
"""

import re

import msgspec

from prow_async.api.errors import Refused
from prow_async.ports.blobs import Attributes

MAX_PATH_BYTES = 1024
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_HEADER = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_KEY = re.compile(r"[A-Za-z0-9-]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Bucket(msgspec.Struct, frozen=True):
    scheme: str
    name: str
    """The bucket's name, or the folder's absolute path."""
    prefix: str = ""
    """The folder inside the bucket below which all is kept."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.name}" + (f"/{self.prefix}" if self.prefix else "")


def parse(bucket: str) -> Bucket:
    """Read a bucket as configurations spell it; without a scheme it is Google's. Raises Refused."""
    scheme, marked, path = bucket.partition("://")
    if not marked:
        scheme, path = "gs", bucket
    path = path.rstrip("/")
    if _CONTROL.search(bucket):
        raise Refused(f"{bucket!r} is no bucket: it holds a control character")
    if scheme == "file":
        if not path.startswith("/") or ".." in path.split("/"):
            raise Refused(f'"{bucket}" is no bucket: a folder is spelled file:///ABSOLUTE/PATH')
        return Bucket(scheme, path)
    name, _, prefix = path.partition("/")
    if not _BUCKET.fullmatch(name):
        raise Refused(f'"{bucket}" is no bucket: write NAME, gs://NAME, s3://NAME or file:///FOLDER')
    return Bucket(scheme, name, check_folder(prefix))


def check(path: str) -> str:
    """Return an object's path if every kind of storage can hold it. Raises Refused.

    Refused are: the empty path, a slash at an end or doubled, the elements `.` and `..`, control characters, text that
    is no UTF-8, more than 1024 bytes.
    """
    why = _wrong(path)
    if why:
        raise Refused(f"{path[:200]!r} cannot be the name of an object: {why}", reason="BadName")
    return path


def check_folder(prefix: str) -> str:
    """Return a folder's path without its last slash, "" for the bucket itself. Raises Refused."""
    return check(prefix.removesuffix("/")) if prefix else ""


def check_attributes(attributes: Attributes) -> None:
    """Look whether attributes can be headers: printable ASCII, keys of letters, digits, dashes. Raises Refused."""
    plain = (attributes.content_type, attributes.content_encoding, attributes.cache_control)
    for value in (*plain, *attributes.metadata.values()):
        if value and not _HEADER.fullmatch(value):
            raise Refused(f"{value[:200]!r} cannot be kept beside an object: it is no printable ASCII")
    for key in attributes.metadata:
        if not _KEY.fullmatch(key):
            raise Refused(f"{key[:200]!r} cannot be a key of metadata: letters, digits and dashes make one")


def _wrong(path: str) -> str:
    elements = path.split("/")
    if "" in elements:
        return "it is empty, or a slash stands at an end or beside another"
    if "." in elements or ".." in elements:
        return "an element is . or .."
    if _CONTROL.search(path):
        return "it holds a control character"
    try:
        size_bytes = len(path.encode())
    except UnicodeEncodeError:
        return "it is no UTF-8"
    return f"it has more than {MAX_PATH_BYTES} bytes" if size_bytes > MAX_PATH_BYTES else ""
