"""Which orgs and repos this process handles at all, whatever plugins.yaml says.

Source: upstream pkg/flagutil/github_enablement.go.
"""

from collections.abc import Sequence

import msgspec

from prow_async.api.errors import CannotStart


class Enablement(msgspec.Struct, frozen=True):
    """Lists of orgs and of `org/repo`. With an enabled list only what it names; disabled always wins."""

    enabled_orgs: frozenset[str] = frozenset()
    enabled_repos: frozenset[str] = frozenset()
    disabled_orgs: frozenset[str] = frozenset()
    disabled_repos: frozenset[str] = frozenset()

    def enabled(self, org: str, repo: str) -> bool:
        full = f"{org}/{repo}"
        if org in self.disabled_orgs or full in self.disabled_repos:
            return False
        if not self.enabled_orgs and not self.enabled_repos:
            return True
        return org in self.enabled_orgs or full in self.enabled_repos


def parse(
    enabled_orgs: Sequence[str],
    enabled_repos: Sequence[str],
    disabled_orgs: Sequence[str],
    disabled_repos: Sequence[str],
) -> Enablement:
    """Check the four lists. Raises CannotStart for a malformed repo, or a name both enabled and disabled."""
    for repo in (*enabled_repos, *disabled_repos):
        org, slash, name = repo.partition("/")
        if not (org and slash and name) or "/" in name:
            raise CannotStart(f"{repo!r} is no org/repo (--github-enabled-repo, --github-disabled-repo)")
    both = (set(enabled_orgs) & set(disabled_orgs)) | (set(enabled_repos) & set(disabled_repos))
    if both:
        raise CannotStart(f"both enabled and disabled: {', '.join(sorted(both))}")
    return Enablement(
        frozenset(enabled_orgs), frozenset(enabled_repos), frozenset(disabled_orgs), frozenset(disabled_repos)
    )
