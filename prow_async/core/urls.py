"""URLs as Go's net/url reads them, and as people may see them."""

import re
from urllib.parse import urlsplit

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_FIRST_PART = re.compile(r"[/?#]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*", re.ASCII)


def problem(url: str) -> str | None:
    """Return why Go's url.Parse refuses a URL, or None when it takes it: then Python's urlsplit takes it as well."""
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in url):
        return f"{url!r} is no URL: it contains a control character"
    if _BAD_ESCAPE.search(url.partition("#")[0]):
        return f'"{url}" is no URL: invalid escape after %'
    scheme, colon, _ = _FIRST_PART.split(url, maxsplit=1)[0].partition(":")
    if colon and not _SCHEME.fullmatch(scheme):
        return f'"{url}" is no URL: "{scheme}" before the colon is no scheme'
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    port = host.rpartition(":")[2] if ":" in host and not host.endswith("]") else ""
    if " " in host or (port and not port.isdigit()) or not _splits(url):
        return f'"{url}" is no URL: invalid host "{host}"'
    return None


def _splits(url: str) -> bool:
    """False where brackets of the host hold no IPv6 address, or do not match."""
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def shown(url: str) -> str:
    """Return an address for logs and people: without user, password and query, which may be secret."""
    scheme, colon, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{colon}{host.rpartition('@')[2]}{slash}{path}"
