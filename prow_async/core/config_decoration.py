"""Merging of decoration and ProwJob defaults into jobs.

Source: upstream pkg/apis/prowjobs/v1/types.go ApplyDefault, pkg/config/config.go (matching of default entries).
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from prow_async.api import config
from prow_async.api.prowjob import DecorationConfig, ProwJobDefault

S = TypeVar("S", bound=msgspec.Struct)
Entry = config.DecorationEntry | config.ProwJobDefaultEntry

DEFAULT_CLUSTER = "default"
FALLBACK_TENANT = "GlobalDefaultID"

_REVIEW = re.compile(r"-review(?=\.|/|$)")
_WHOLE = frozenset({"oauth_token_secret", "github_app_private_key_secret"})


def filled(own: S | None, default: S | None) -> S | None:
    """Return `own` with what it leaves open taken from `default`; either may be None.

    Nested Structs are merged in turn, lists are taken whole. Of `mediaTypes` the default's entries win over own ones,
    as upstream has it.
    """
    if own is None or default is None:
        return default if own is None else own
    changes: dict[str, Any] = {}
    for name, empty in _empties(type(own)):
        ours, theirs = getattr(own, name), getattr(default, name)
        merged = _field(name, ours, theirs, empty)
        if merged is not ours:
            changes[name] = merged
    return msgspec.structs.replace(own, **changes) if changes else own


def _field(name: str, ours: Any, theirs: Any, empty: Any) -> Any:
    if name == "media_types":
        return {**ours, **theirs} if theirs else ours
    if isinstance(ours, msgspec.Struct) and name not in _WHOLE:
        return filled(ours, theirs)
    return theirs if type(ours) is type(empty) and ours == empty else ours


@functools.lru_cache(maxsize=64)
def _empties(struct: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    """Return each field and the value that leaves it open. For Go's pointers that is None, so an explicit "" counts."""
    return tuple((field.name, field.default) for field in msgspec.structs.fields(struct))


def as_entries(by_scope: Mapping[str, DecorationConfig]) -> tuple[config.DecorationEntry, ...]:
    """Turn the older map form into entries: `*` first, then orgs, then repos."""

    def rank(scope: str) -> tuple[int, str]:
        return (0 if scope == "*" else 2 if "/" in scope else 1, scope)

    return tuple(config.DecorationEntry(repo=scope, config=by_scope[scope]) for scope in sorted(by_scope, key=rank))


def matches(entry: Entry, repo: str, cluster: str) -> bool:
    """Say whether a default entry applies to a job of this repo (its full key) on this cluster alias."""
    if entry.cluster not in ("", "*", cluster):
        return False
    if entry.repo in ("", "*", repo):
        return True
    plain = repo.removeprefix("https://").removeprefix("http://")
    plain = _REVIEW.sub("", plain, count=1)
    return entry.repo in (plain, plain.partition("/")[0])


class Defaults:
    """Answers, from a main configuration, what a job gets by default. Merges once per (repo, cluster)."""

    def __init__(
        self, decoration: Sequence[config.DecorationEntry], prowjob: Sequence[config.ProwJobDefaultEntry]
    ) -> None:
        self._decoration = decoration
        self._prowjob = prowjob
        self._decorations: dict[tuple[str, str], DecorationConfig | None] = {}
        self._prowjobs: dict[tuple[str, str], ProwJobDefault] = {}
        self._same: dict[ProwJobDefault, ProwJobDefault] = {}

    def decoration(self, repo: str, cluster: str) -> DecorationConfig | None:
        """Return all matching entries merged, later ones overriding earlier ones; None when nothing matches."""
        key = (repo, cluster)
        if key not in self._decorations:
            merged: DecorationConfig | None = None
            for entry in self._decoration:
                if matches(entry, repo, cluster):
                    merged = filled(entry.config, merged)
            self._decorations[key] = merged
        return self._decorations[key]

    def prowjob(self, repo: str, cluster: str) -> ProwJobDefault:
        """Return the merged ProwJob defaults; the tenant is never empty."""
        key = (repo, cluster)
        if key not in self._prowjobs:
            merged: ProwJobDefault | None = None
            for entry in self._prowjob:
                if matches(entry, repo, cluster):
                    merged = filled(entry.config, merged)
            merged = merged or ProwJobDefault()
            if not merged.tenant_id:
                merged = msgspec.structs.replace(merged, tenant_id=FALLBACK_TENANT)
            self._prowjobs[key] = self._same.setdefault(merged, merged)
        return self._prowjobs[key]
