"""plugins.yaml: which plugin is on where, and each plugin's own section.

Source: upstream pkg/plugins/config.go.
"""

import msgspec


class OrgPlugins(msgspec.Struct, frozen=True):
    """The value under one key of `plugins`. For an org key, repos named in `excluded_repos` do not get them."""

    plugins: tuple[str, ...] = ()
    excluded_repos: tuple[str, ...] = ()


class ExternalPlugin(msgspec.Struct, frozen=True):
    name: str = ""
    endpoint: str = ""
    events: tuple[str, ...] = ()
    """Empty means every event."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of trigger for the orgs and repos in `repos`; the first entry that names one wins."""

    repos: tuple[str, ...] = ()
    trusted_apps: tuple[str, ...] = ()
    trusted_org: str = ""
    join_org_url: str = ""
    only_org_members: bool = False
    ignore_ok_to_test: bool = False
    trigger_github_workflows: bool = False


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True):
    plugins: dict[str, OrgPlugins] = {}
    external_plugins: dict[str, tuple[ExternalPlugin, ...]] = {}
    triggers: tuple[Trigger, ...] = ()

    def enabled(self, org: str, repo: str) -> tuple[str, ...]:
        """Names of the plugins that are on for a repo: the org's (unless it is excluded) and the repo's own."""
        found: dict[str, None] = {}
        by_org = self.plugins.get(org, OrgPlugins())
        if repo not in by_org.excluded_repos:
            found.update(dict.fromkeys(by_org.plugins))
        found.update(dict.fromkeys(self.plugins.get(f"{org}/{repo}", OrgPlugins()).plugins))
        return tuple(found)

    def trigger_for(self, org: str, repo: str) -> Trigger:
        """Return trigger's settings: an entry naming the repo or its org, the first in file order; else the zeros."""
        full = f"{org}/{repo}"
        for entry in self.triggers:
            if full in entry.repos or org in entry.repos:
                return entry
        return Trigger()
