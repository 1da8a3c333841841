"""Reading kubeconfig files: merged by kubectl's rules, paths made absolute, problems told without a secret in them.

kubernetes_asyncio's own merger puts whole user entries, tokens included, into the texts of its errors, so the files are
read here; its loader gets one context as plain data.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from prow_async.api.errors import CannotStart
from prow_async.api.prowjob import Json

PATH_KEYS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


class Kubeconfig(msgspec.Struct, frozen=True):
    """One or several files as one. Names are those of the entries, values what stands below `context` and so on."""

    files: tuple[str, ...]
    contexts: dict[str, Json]
    clusters: dict[str, Json]
    users: dict[str, Json]
    current: str = ""
    """current-context; empty where no file names one."""


class Unusable(Exception):
    """A context cannot be used as it stands; the text says why."""


class Context(msgspec.Struct, frozen=True):
    """One context, with what it refers to."""

    name: str
    cluster: Json
    user: Json

    def document(self, user: Json) -> Json:
        """Return a kubeconfig with nothing but this context, for `user` in the place of its own."""
        return {
            "current-context": self.name,
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "clusters": [{"name": self.name, "cluster": self.cluster}],
            "users": [{"name": self.name, "user": user}],
        }


def read(files: Sequence[str]) -> Kubeconfig:
    """Read files and merge them: the first to name a thing wins, as with kubectl. Raises CannotStart."""
    merged = Kubeconfig(tuple(files), {}, {}, {})
    current = ""
    for file in files:
        one = _read_one(file)
        for into, add in (
            (merged.contexts, one.contexts),
            (merged.clusters, one.clusters),
            (merged.users, one.users),
        ):
            for name, value in add.items():
                into.setdefault(name, value)
        current = current or one.current
    return msgspec.structs.replace(merged, current=current)


def _read_one(file: str) -> Kubeconfig:
    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise CannotStart(f"kubeconfig {file} cannot be read: {error.strerror}") from error
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no date, no number
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        # Not str(error): it quotes the line, which may hold a token.
        what = getattr(error, "problem", None) or type(error).__name__
        raise CannotStart(f"kubeconfig {where}: not valid YAML: {what}") from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise CannotStart(f"kubeconfig {file}: expected a mapping at the top, found {type(document).__name__}")
    base = Path(file).absolute().parent
    current = document.get("current-context")
    return Kubeconfig(
        (file,),
        _entries(document, "contexts", "context", file),
        {name: _absolute(one, base) for name, one in _entries(document, "clusters", "cluster", file).items()},
        {name: _absolute(one, base) for name, one in _entries(document, "users", "user", file).items()},
        current if isinstance(current, str) else "",
    )


def _entries(document: Json, section: str, key: str, file: str) -> dict[str, Json]:
    """Read one of the lists of named things. Raises CannotStart."""
    listed = document.get(section)
    if listed is None:
        return {}
    if not isinstance(listed, list):
        raise CannotStart(f"kubeconfig {file}: {section} is not a list")
    found: dict[str, Json] = {}
    for number, entry in enumerate(listed, 1):
        name = entry.get("name") if isinstance(entry, dict) else None
        value = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(name, str) or not isinstance(value, dict | None):
            raise CannotStart(f"kubeconfig {file}: entry {number} of {section} needs a name and a mapping `{key}`")
        found.setdefault(name, value or {})
    return found


def _absolute(entry: Json, base: Path) -> Json:
    """Make paths in a cluster or user entry absolute: they are relative to the file they stand in."""
    entry = dict(entry)
    for key in PATH_KEYS:
        if isinstance(entry.get(key), str) and entry[key]:
            entry[key] = os.path.normpath(base / entry[key])
    command = entry.get("exec")
    if isinstance(command, dict) and isinstance(command.get("command"), str) and os.sep in command["command"]:
        entry["exec"] = {**command, "command": os.path.normpath(base / command["command"])}
    if entry.get("tokenFile"):
        entry.pop("token", None)  # the file goes before the token beside it, as with kubectl
    return entry


def context(config: Kubeconfig, name: str) -> Context:
    """Look a context up by its name (empty: current-context). Raises Unusable."""
    name = name or config.current
    files = ", ".join(config.files) or "no kubeconfig"
    if name not in config.contexts:
        raise Unusable(f"there is no context {name!r} in {files}")
    refers: dict[str, Any] = config.contexts[name]
    cluster, user = refers.get("cluster", ""), refers.get("user")
    if not isinstance(cluster, str) or not isinstance(user, str | None):
        raise Unusable(f"context {name!r} in {files} should name its cluster and its user: one of them is no text")
    if cluster not in config.clusters:
        raise Unusable(f"context {name!r} names the cluster {cluster!r}, which is not in {files}")
    if not _is_url(config.clusters[cluster].get("server")):
        raise Unusable(f"cluster {cluster!r} in {files} has no server, or one whose address is not https:// or http://")
    if user and user not in config.users:
        raise Unusable(f"context {name!r} names the user {user!r}, which is not in {files}")
    return Context(name, config.clusters[cluster], config.users[user] if user else {})


def _is_url(server: object) -> bool:
    try:
        return (
            isinstance(server, str) and urlsplit(server).scheme in {"http", "https"} and bool(urlsplit(server).hostname)
        )
    except ValueError:
        return False
