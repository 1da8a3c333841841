"""Sets of repositories that name whole orgs: what tide searches, where a plugin is on.

Source: upstream cmd/checkconfig/main.go (orgRepoConfig), pkg/config/tide.go (OrgExceptionsAndRepos).
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from prow_async.api.config_tide import TideQuery
from prow_async.api.plugin_config import PluginConfig


class RepoSet(msgspec.Struct, frozen=True):
    """Whole orgs, each with the repos (`org/repo`) that are not meant, and repos by themselves."""

    orgs: Mapping[str, frozenset[str]] = {}
    repos: frozenset[str] = frozenset()

    def minus(self, other: "RepoSet") -> "RepoSet":
        """Return what is here and not in the other."""
        orgs: dict[str, frozenset[str]] = {}
        repos = set(self.repos)
        for org, left_out in self.orgs.items():
            if org in other.orgs:
                repos |= other.orgs[org] - left_out
            else:
                orgs[org] = left_out | {repo for repo in other.repos if _org(repo) == org}
        return RepoSet(orgs, frozenset(repo for repo in repos if repo not in other))

    def both(self, other: "RepoSet") -> "RepoSet":
        """Return what is here and in the other too."""
        orgs = {org: self.orgs[org] | other.orgs[org] for org in self.orgs.keys() & other.orgs.keys()}
        repos = {repo for repo in self.repos if repo in other} | {repo for repo in other.repos if repo in self}
        covered = RepoSet(orgs)
        return RepoSet(orgs, frozenset(repo for repo in repos if repo not in covered))

    def __contains__(self, repo: str) -> bool:
        """Say whether a repo is meant, by its name or through its org."""
        org = _org(repo)
        return repo in self.repos or (org in self.orgs and repo not in self.orgs[org])

    def listed(self) -> Iterator[tuple[str, str]]:
        """Yield each org and repo in order, with the words for it: `o without o/r`."""
        for org, left_out in sorted(self.orgs.items()):
            yield org, f"{org} without {', '.join(sorted(left_out))}" if left_out else org
        yield from ((repo, repo) for repo in sorted(self.repos))


def searched(queries: Iterable[TideQuery]) -> RepoSet:
    """Return what tide's queries search. A repo is left out of its org where every query for the org leaves it out."""
    listed = list(queries)
    repos = frozenset(repo for query in listed for repo in query.repos)
    orgs: dict[str, frozenset[str]] = {}
    for query in listed:
        for org in query.orgs:
            left_out = frozenset(repo for repo in query.excluded_repos if _org(repo) == org)
            orgs[org] = orgs.get(org, left_out) & left_out
    return RepoSet({org: left_out - repos for org, left_out in orgs.items()}, repos)


def enabled(plugins: PluginConfig, name: str) -> RepoSet:
    """Return where a plugin is on."""
    scopes = {scope: entry for scope, entry in plugins.plugins.items() if name in entry.plugins}
    repos = frozenset(scope for scope in scopes if "/" in scope)
    orgs = {
        org: frozenset(f"{org}/{repo}" for repo in entry.excluded_repos) - repos
        for org, entry in scopes.items()
        if "/" not in org
    }
    return RepoSet(orgs, repos)


def enabled_external(plugins: PluginConfig, name: str) -> RepoSet:
    """Return where an external plugin is on."""
    scopes = [scope for scope, listed in plugins.external_plugins.items() if any(one.name == name for one in listed)]
    return RepoSet(
        {scope: frozenset() for scope in scopes if "/" not in scope},
        frozenset(scope for scope in scopes if "/" in scope),
    )


def _org(repo: str) -> str:
    return repo.partition("/")[0]
