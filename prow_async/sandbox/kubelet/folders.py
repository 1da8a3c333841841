"""Names of folders and files on this machine, made of names that other people chose.

A pod's own folder is `<root>/<namespace>_<pod>_<uid>`; `_` stands in none of the three, so the parts never mix. All
names are checked here before the first of them becomes part of a path.
"""

import re

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z")
_UID = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9]{0,62}[A-Za-z0-9])?\Z")
NAME_MAX_BYTES = 255


def is_label(name: str) -> bool:
    """True for an RFC 1123 label: container, volume and namespace names."""
    return _LABEL.match(name) is not None


def of_pod(namespace: str, name: str, uid: str) -> str | None:
    """Return the name of a pod's folder, or None when these names cannot make one."""
    if not (is_label(namespace) and len(name) <= 253 and _SUBDOMAIN.match(name) and _UID.match(uid)):
        return None
    folder = f"{namespace}_{name}_{uid}"
    return folder if len(folder) <= NAME_MAX_BYTES else None


def prefix_of(namespace: str, name: str) -> str | None:
    """Return what the folder of any pod of this name begins with, or None for names that no pod has."""
    if not (is_label(namespace) and len(name) <= 253 and _SUBDOMAIN.match(name)):
        return None
    return f"{namespace}_{name}_"


def is_of_pod(folder: str) -> bool:
    """True for what `of_pod` makes."""
    parts = folder.split("_")
    return len(parts) == 3 and of_pod(*parts) == folder


def is_inner(path: str) -> bool:
    """True for a relative path that stays where it starts: no `..`, no NUL, not empty."""
    return bool(path) and not path.startswith("/") and ".." not in path.split("/") and "\0" not in path


def is_absolute(path: str) -> bool:
    """True for an absolute path other than `/`, without `..`, NUL and `:`."""
    parts = path.split("/")
    return path.startswith("/") and any(parts) and ".." not in parts and "\0" not in path and ":" not in path
