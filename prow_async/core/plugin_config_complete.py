"""Fills in what depends on other values of plugins.yaml, as upstream does when it loads.

Source: upstream pkg/plugins/config.go (setDefaults, ConfigUpdater.resolve).
"""

from typing import TypeVar

import msgspec

from prow_async.api.plugin_config import ExternalPlugin, PluginConfig, Trigger
from prow_async.api.plugin_labels import RequireMatchingLabel
from prow_async.api.plugin_projects import DEFAULT_MAPS, ConfigMapSpec, ConfigUpdater
from prow_async.api.plugin_review import Blunderbuss
from prow_async.core import durations

S = TypeVar("S", bound=msgspec.Struct)
B = TypeVar("B", bound=Blunderbuss)
_DEFAULT_CLUSTER = "default"
_PROWJOB_NAMESPACE = ""


def complete(raw: PluginConfig) -> PluginConfig:
    """Return the configuration with its defaults. Groups of clusters are left to `resolve`."""
    return msgspec.structs.replace(
        raw,
        external_plugins={
            scope: tuple(_external(plugin) for plugin in listed) for scope, listed in raw.external_plugins.items()
        },
        approve=tuple(filled(entry, "command_help_link", "pr_process_link") for entry in raw.approve),
        blunderbuss=_reviewers(raw.blunderbuss),
        rifle=_reviewers(raw.rifle),
        cherry_pick_approved=tuple(filled(entry, "branch_regexp") for entry in raw.cherry_pick_approved),
        cherry_pick_unapproved=filled(raw.cherry_pick_unapproved, "branch_regexp", "comment"),
        config_updater=_updater(raw.config_updater),
        dco={
            scope: entry and filled(entry, "contributing_branch", "contributing_path")
            for scope, entry in raw.dco.items()
        },
        help=filled(raw.help, "help_guidelines_url"),
        repo_milestone={
            scope: filled(entry, "maintainers_friendly_name") for scope, entry in raw.repo_milestone.items()
        },
        require_matching_label=tuple(_matching(entry) for entry in raw.require_matching_label),
        sigmention=filled(raw.sigmention, "regexp"),
        triggers=tuple(_trigger(entry) for entry in raw.triggers),
    )


def resolve(updater: ConfigUpdater) -> ConfigUpdater:
    """Write the groups of clusters out. All that a spec says besides is kept."""
    maps = {glob: _resolved(spec, updater) if spec.cluster_groups else spec for glob, spec in updater.maps.items()}
    return msgspec.structs.replace(updater, maps=maps, cluster_groups={})


def _resolved(spec: ConfigMapSpec, updater: ConfigUpdater) -> ConfigMapSpec:
    clusters: dict[str, tuple[str, ...]] = dict(spec.clusters)
    for name in spec.cluster_groups:
        group = updater.cluster_groups.get(name)
        for cluster in group.clusters if group else ():
            clusters[cluster] = (*clusters.get(cluster, ()), *(group.namespaces if group else ()))
    return msgspec.structs.replace(spec, clusters=clusters, cluster_groups=())


def filled(entry: S, *names: str) -> S:
    """Put an entry's defaults where its text is empty."""
    missing = [name for name in names if not getattr(entry, name)]
    if not missing:
        return entry
    defaults = type(entry)()
    return msgspec.structs.replace(entry, **{name: getattr(defaults, name) for name in missing})


def _external(plugin: ExternalPlugin) -> ExternalPlugin:
    return plugin if plugin.endpoint else msgspec.structs.replace(plugin, endpoint=f"http://{plugin.name}")


def _reviewers(section: B) -> B:
    wait = section.wait_for_status
    if wait is None:
        return section
    return msgspec.structs.replace(section, wait_for_status=filled(wait, "context", "state", "description"))


def _updater(updater: ConfigUpdater) -> ConfigUpdater:
    maps = {
        glob: spec
        if spec.clusters or spec.cluster_groups
        else msgspec.structs.replace(spec, clusters={_DEFAULT_CLUSTER: (_PROWJOB_NAMESPACE,)})
        for glob, spec in (updater.maps or DEFAULT_MAPS).items()
    }
    return msgspec.structs.replace(updater, maps=maps)


def _matching(entry: RequireMatchingLabel) -> RequireMatchingLabel:
    """Fill in the grace period; one that cannot be read is told by plugin_config_check."""
    if not entry.grace_period:
        return filled(entry, "grace_period")
    try:
        return msgspec.structs.replace(entry, grace_period_s=durations.parse_s(entry.grace_period))
    except durations.DurationError:
        return entry


def _trigger(entry: Trigger) -> Trigger:
    if not entry.trusted_org or entry.join_org_url:
        return entry
    return msgspec.structs.replace(entry, join_org_url=f"https://github.com/orgs/{entry.trusted_org}/people")
