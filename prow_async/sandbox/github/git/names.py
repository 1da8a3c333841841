"""Names that may become part of a path or an argument of git.

Source: git-check-ref-format(1); GitHub's rules for names of repositories and logins.
"""

import re

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_NO_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)|^[./-]|[./]$|^@$")


def is_name(name: str) -> bool:
    """Say whether a repository, user or organization may be called so. The name cannot lead out of a folder."""
    return _NAME.fullmatch(name) is not None and not name.lower().endswith((".git", ".wiki"))


def is_sha(text: str) -> bool:
    """Say whether it is a full object name: 40 lower-case hexadecimal digits."""
    return _SHA.fullmatch(text) is not None


def is_ref(name: str) -> bool:
    """Say whether a ref, or a branch or tag, may be called so. Such a name is no option and no expression to git."""
    return 0 < len(name) <= 250 and _NO_REF.search(name) is None and name.isprintable()


def is_path(path: str) -> bool:
    """Say whether a file of a commit may be called so."""
    parts = path.split("/")
    bad = any(part in ("", ".", "..") or part.lower() == ".git" for part in parts)
    return not bad and len(path) <= 4096 and "\0" not in path and "\n" not in path
