"""What names and first bytes say about content."""

import pytest

from prow_async.core import content_types
from prow_async.core.content_types import Named

OWN = {"log": "text/plain", "tab": "text/plain; charset=latin1", "bin": "application/x-own", "json": "application/own"}


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("build-log.txt", Named("build-log.txt")),
        ("junit.xml", Named("junit.xml", "text/xml; charset=utf-8")),
        ("JUNIT.XML", Named("JUNIT.XML", "text/xml; charset=utf-8")),
        ("index.html.gz", Named("index.html", "text/html; charset=utf-8", "gzip")),
        ("index.html.gzip", Named("index.html", "text/html; charset=utf-8", "gzip")),
        ("build-log.txt.gz", Named("build-log.txt", "application/gzip")),
        ("archive.tar.gz", Named("archive.tar", "application/gzip")),
        ("gz", Named("gz", "application/gzip")),
        (".gz", Named(".gz", "application/gzip")),
        ("a.log", Named("a.log", "text/plain; charset=utf-8")),
        ("a.log.gz", Named("a.log", "text/plain; charset=utf-8", "gzip")),
        ("a.tab", Named("a.tab", "text/plain; charset=latin1")),
        ("a.bin", Named("a.bin", "application/x-own")),
        ("a.json", Named("a.json", "application/own")),
        ("noext", Named("noext")),
    ],
)
def test_names(name: str, named: Named) -> None:
    assert content_types.of_name(name, OWN) == named


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (b"", content_types.TEXT),
        (b"ok  \tpkg\n", content_types.TEXT),
        ("grün".encode(), content_types.TEXT),
        (b"\x1b[31mred\x1b[0m", content_types.TEXT),
        (b"\0", "application/octet-stream"),
        (b"x" * 511 + b"\0", "application/octet-stream"),
        (b"x" * 512 + b"\0", content_types.TEXT),
        (b"\x1f\x8b\x08\0", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"  \n<!DOCTYPE HTML><p>", "text/html; charset=utf-8"),
        (b'<?xml version="1.0"?>', "text/xml; charset=utf-8"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"%PDF-1.7", "application/pdf"),
    ],
)
def test_first_bytes(first: bytes, found: str) -> None:
    assert content_types.sniff(first) == found
