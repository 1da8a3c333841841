"""What plugins.yaml may not mean. Source: upstream cmd/checkconfig/main.go, pkg/plugins/config.go (HasConfigFor)."""

from collections.abc import Iterator

from prow_async.api.errors import Problem
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import config_updater_check
from prow_async.core.checkconfig_facts import ANY_SCOPE, Facts

_OWNERS_PLUGINS = ("approve", "blunderbuss", "rifle", "owners-label")
_CHECKS_OWNERS = "verify-owners"


def validate_owners(facts: Facts) -> Iterator[Problem]:
    """Plugins that read OWNERS files want them checked."""
    for scope in facts.plugins.plugins:
        org, _, repo = scope.partition("/")
        enabled = facts.plugins.enabled(org, repo)
        using = [name for name in _OWNERS_PLUGINS if name in enabled]
        if using and _CHECKS_OWNERS not in enabled:
            text = f"plugins.{scope}: {', '.join(using)} without {_CHECKS_OWNERS}: OWNERS may be broken"
            yield facts.at_plugins(text, "plugins", scope)


def validate_label(facts: Facts) -> Iterator[Problem]:
    """Restricted labels have a name, and are not free to everybody besides."""
    label = facts.plugins.label
    for scope, entries in sorted(label.restricted_labels.items()):
        path = ("label", "restricted_labels", scope)
        for entry in entries:
            if not entry.label:
                yield facts.at_plugins(f"{'.'.join(path)}: a restricted label has no name", *path)
            elif entry.label in label.additional_labels:
                text = f'"{entry.label}" is restricted, and one of additional_labels, which everybody may set'
                yield facts.at_plugins(f"{'.'.join(path)}: {text}", *path)


def validate_config_updater_acls(facts: Facts) -> Iterator[Problem]:
    """Lists of repos that may or may not update a ConfigMap name an org or a repo each."""
    for glob, spec in facts.plugins.config_updater.maps.items():
        for key, number, why in config_updater_check.repo_problems(spec):
            text = f"config_updater.maps.{glob}.{key}[{number}]: {why}"
            yield facts.at_plugins(text, "config_updater", "maps", glob, key, number)


def touched(config: PluginConfig) -> frozenset[str]:
    """Return the orgs and repos that a supplemental file sets something for."""
    found = {*config.plugins, *config.external_plugins, *config.label.restricted_labels}
    for entries in (config.approve, config.lgtm, config.triggers, config.welcome):
        found |= {scope for entry in entries for scope in entry.repos}
    if config.bugzilla.default is not None:
        found.add(ANY_SCOPE)
    for name, org in config.bugzilla.orgs.items():
        found |= {f"{name}/{repo}" for repo in org.repos}
        if org.default is not None:
            found.add(name)
    return frozenset(found)
