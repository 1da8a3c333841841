"""What a file's name and first bytes say about its content.

Source: upstream pkg/pod-utils/gcs/metadata.go; Go's mime (builtin table) and net/http (sniffing, in part).
"""

from collections.abc import Mapping

import msgspec

GZIP = "application/gzip"
TEXT = "text/plain; charset=utf-8"
SNIFFED_BYTES = 512

_BY_EXTENSION = {
    "avif": "image/avif",
    "css": "text/css; charset=utf-8",
    "gif": "image/gif",
    "htm": "text/html; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "mjs": "text/javascript; charset=utf-8",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "wasm": "application/wasm",
    "webp": "image/webp",
    "xml": "text/xml; charset=utf-8",
}
_SIGNATURES = (
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\xef\xbb\xbf", TEXT),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
)
_MARKUP = (
    (b"<?xml", "text/xml; charset=utf-8"),
    (b"<!doctype html", "text/html; charset=utf-8"),
    (b"<html", "text/html; charset=utf-8"),
)
_BINARY = frozenset([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])


class Named(msgspec.Struct, frozen=True):
    """What a file is called in storage, and what its name says of it ("" says nothing)."""

    name: str
    content_type: str = ""
    content_encoding: str = ""


def of_name(name: str, media_types: Mapping[str, str]) -> Named:
    """Take `.gz` or `.gzip` off a file's name and tell its type; `media_types` by extension win over Go's table.

    >>> of_name("junit.xml.gz", {})
    Named(name='junit.xml', content_type='text/xml; charset=utf-8', content_encoding='gzip')
    >>> of_name("dump.gz", {})
    Named(name='dump', content_type='application/gzip', content_encoding='')
    """
    bare, _, last = name.rpartition(".")
    if last not in ("gz", "gzip"):
        return Named(name, by_extension(last, media_types))
    if not bare:  # nothing would be left of the name
        return Named(name, GZIP)
    found = by_extension(bare.rpartition(".")[2], media_types)
    return Named(bare, found, "gzip") if found else Named(bare, GZIP)


def by_extension(extension: str, media_types: Mapping[str, str]) -> str:
    """Return the type of files with this extension (no dot), "" if it is not known."""
    own = media_types.get(extension) or media_types.get(extension.lower(), "")
    if not own:
        return _BY_EXTENSION.get(extension.lower(), "")
    textual = own.startswith("text/") and "charset" not in own
    return f"{own}; charset=utf-8" if textual else own


def sniff(first: bytes) -> str:
    """Guess a type from a file's first 512 bytes.

    >>> sniff(b"ok\\n"), sniff(b"\\x00"), sniff(b"")
    ('text/plain; charset=utf-8', 'application/octet-stream', 'text/plain; charset=utf-8')
    """
    first = first[:SNIFFED_BYTES]
    for signature, found in _SIGNATURES:
        if first.startswith(signature):
            return found
    begin = first.lstrip(b"\t\n\x0c\r ").lower()
    for signature, found in _MARKUP:
        if begin.startswith(signature):
            return found
    return "application/octet-stream" if _BINARY.intersection(first) else TEXT
