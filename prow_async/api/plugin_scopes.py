"""Parts of plugins.yaml that are looked up by repo, then by org. Source: upstream pkg/plugins/config.go."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec


class Scoped(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that holds for the orgs and repos (`org` or `org/repo`) that it names."""

    repos: tuple[str, ...] = ()


E = TypeVar("E", bound=Scoped)
V = TypeVar("V")


def entry_for(entries: Iterable[E], org: str, repo: str) -> E | None:
    """Return the first entry that names the repo, else the first that names its org, else None."""
    wider = None
    full = f"{org}/{repo}"
    for entry in entries:
        if full in entry.repos:
            return entry
        if wider is None and org in entry.repos:
            wider = entry
    return wider


def value_for(table: Mapping[str, V], org: str, repo: str) -> V | None:
    """Return what stands under the repo, else what stands under its org, else None."""
    found = table.get(f"{org}/{repo}")
    return table.get(org) if found is None else found


def names(scopes: Iterable[str], org: str, repo: str) -> bool:
    """Say whether a list of orgs and repos names the repo or its org."""
    full = f"{org}/{repo}"
    return any(scope in (full, org) for scope in scopes)
