"""What is asked of tot, which counts the builds of each job, and what its answer must be.

Source: upstream pkg/pjutil/tot.go, cmd/tot/main.go.
"""

import posixpath
from urllib.parse import quote, urlsplit

TRIES = 10
FIRST_WAIT_S = 0.1
"""Doubled after each try."""
_MAX_DIGITS = 63
"""What fits into a label."""


def problem(url: str) -> str:
    """Say what is wrong with tot's address; empty when nothing is."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    return "" if usable else f"{url!r} is no address of tot: write http://HOST[:PORT][/PATH]"


def vend_url(url: str, job: str) -> str:
    """Return where the next build id of a job is vended."""
    parts = urlsplit(url)
    return parts._replace(path=posixpath.join(parts.path or "/", "vend", quote(job, safe=""))).geturl()


def build_id(status: int, body: bytes) -> str | None:
    """Read the answer: a decimal number, or None when it is no use."""
    text = body.strip()
    return text.decode() if status == 200 and text.isdigit() and len(text) <= _MAX_DIGITS else None
