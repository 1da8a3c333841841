"""Rules about which plugin is on where: on once, not beside its rival, and known at all.

Source: upstream pkg/plugins/config.go (validatePluginsDupes, validateExternalPlugins, ValidatePluginsUnknown),
pkg/hook/plugin-imports.
"""

import collections
import difflib
from collections.abc import Mapping

from prow_async.api.plugin_config import OrgPlugins, PluginConfig
from prow_async.core.config_findings import Findings

_NAMES = """
approve assign blockade blunderbuss branchcleaner bugzilla buildifier cat cherry-pick-approved
cherry-pick-unapproved cla config-updater dco dog golint goose heart help hold invalidcommitmsg issue-management
jira label lgtm lifecycle merge-method-comment mergecommitblocker milestone milestoneapplier milestonestatus
override owners-label pony project project-manager release-note require-matching-label retitle rifle shrug
sigmention size skip slackevents stage testfreeze trick-or-treat trigger verify-owners welcome wip yuks
"""
KNOWN = frozenset(_NAMES.split())
"""The plugins that upstream's hook has."""
_LIKE = 0.8
"""How near a name must come for a guess at what was meant."""
_RIVALS = frozenset({"blunderbuss", "rifle"})


def check(config: PluginConfig, found: Findings) -> None:
    """Note plugins that are on twice for a repo, and rivals that are both on."""
    externals = {
        scope: OrgPlugins(tuple(plugin.name for plugin in listed)) for scope, listed in config.external_plugins.items()
    }
    _double("plugins", config.plugins, found)
    _double("external_plugins", externals, found)
    for scope in config.plugins:
        org, slash, repo = scope.partition("/")
        above = config.enabled(org, "") if slash else ()
        if _RIVALS.issubset(config.enabled(org, repo)) and not _RIVALS.issubset(above):
            found.wrong("blunderbuss and rifle both ask for reviewers: keep one of them on", "plugins", scope)


def check_known(config: PluginConfig, found: Findings) -> None:
    """Note names of plugins that nobody has. For checkconfig alone: hook passes over them."""
    externals = {plugin.name for listed in config.external_plugins.values() for plugin in listed}
    for scope, entry in config.plugins.items():
        for name in dict.fromkeys(entry.plugins):
            if name in KNOWN:
                continue
            if name in externals:
                found.warn(f'"{name}" is an external plugin; naming it here starts nothing', "plugins", scope)
                continue
            near = difflib.get_close_matches(name[:64], KNOWN, 1, _LIKE)
            hint = f"; did you mean {near[0]}?" if near else ""
            found.wrong(f'there is no plugin "{name}"{hint}', "plugins", scope)


def _double(section: str, table: Mapping[str, OrgPlugins], found: Findings) -> None:
    for scope, own in table.items():
        for name in sorted(name for name, times in collections.Counter(own.plugins).items() if times > 1):
            found.wrong(f'"{name}" is listed twice', section, scope)
        org, slash, repo = scope.partition("/")
        above = table.get(org, OrgPlugins()) if slash else OrgPlugins()
        if repo in above.excluded_repos:
            continue
        for name in sorted(set(own.plugins).intersection(above.plugins)):
            found.wrong(f'"{name}" is on for the org {org} already', section, scope)
