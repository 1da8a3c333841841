"""What a configuration may not mean in the light of what GitHub says. Source: upstream cmd/checkconfig/main.go."""

from collections.abc import Iterator

from prow_async.api.config import Config
from prow_async.api.errors import Problem
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import repo_sets
from prow_async.core.checkconfig_facts import Facts

OWNERS_PRESENCE = "verify-owners-presence"
APP_INSTALLATION = "validate-github-app-installation"
OWNERS = "OWNERS"
READERS = ("approve", "blunderbuss", "owners-label")
"""Plugins that have nothing to go by where a repository has no OWNERS file."""


def reading_owners(plugins: PluginConfig) -> dict[str, repo_sets.RepoSet]:
    """Return where each plugin that reads OWNERS files is on."""
    return {name: repo_sets.enabled(plugins, name) for name in READERS}


def orgs_of(config: Config) -> frozenset[str]:
    """Return the organizations at GitHub that there is anything for: jobs, or queries of tide."""
    repos = {*config.presubmits, *config.postsubmits}
    repos |= {name for query in config.tide.queries for name in (*query.orgs, *query.repos)}
    return frozenset(name.partition("/")[0] for name in repos if "://" not in name)


def owners_presence(facts: Facts) -> Iterator[Problem]:
    """Where plugins read OWNERS files, the root of the default branch has one."""
    for repo in sorted(facts.without_owners):
        org = repo.partition("/")[0]
        for name, where in reading_owners(facts.plugins).items():
            if repo in where:
                scope = repo if repo in where.repos else org
                text = (
                    f"plugins.{scope}: {name} is on for {repo}, whose default branch has no {OWNERS} file at its root"
                )
                yield facts.at_plugins(text, "plugins", scope)
                break


def app_installation(facts: Facts) -> Iterator[Problem]:
    """The GitHub App is installed wherever there is something for it to do."""
    if facts.app_installations is None:
        return
    installed = {org.lower() for org in facts.app_installations}
    for org in sorted(orgs_of(facts.config)):
        if org.lower() not in installed:
            text = f"there is configuration for {org}, where the GitHub App is not installed"
            yield Problem(facts.config_path, 0, text)
