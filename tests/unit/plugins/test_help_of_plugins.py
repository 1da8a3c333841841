"""What our plugins say of their configuration, and the examples they give of it."""

import pytest

from prow_async.api.plugin_config import PluginConfig
from prow_async.apps.hook import PLUGINS
from prow_async.core import plugin_config_load
from prow_async.core.config_load import SourceFile
from prow_async.plugins import config_updater, hold, label, lgtm, size, trigger
from prow_async.plugins import help as help_plugin
from prow_async.ports.plugin import Plugin

REPOS = ("o/r", "p/q")


def loaded(text: str) -> PluginConfig:
    found = plugin_config_load.load(SourceFile("plugins.yaml", text.encode()))
    assert not found.unknown, "every key of an example is one that somebody reads"
    return found.config


def told(plugin: Plugin, text: str = "plugins: {}") -> dict[str, str]:
    assert plugin.help.config is not None
    return plugin.help.config(loaded(text), REPOS)


@pytest.mark.parametrize("plugin", [one for one in PLUGINS if one.help.snippet], ids=lambda one: str(one.name))
def test_examples_are_configurations(plugin: Plugin) -> None:
    """Each loads without a complaint, and changes what the plugin says of some repository."""
    assert plugin.help.config is not None
    repos = ("my-org/my-repo", "other/repo")
    text = plugin.help.snippet
    assert plugin.help.config(loaded(text), repos) != plugin.help.config(loaded("plugins: {}"), repos) or plugin is SIZE
    assert text.endswith("\n")


SIZE = size.PLUGIN
"""Its example names the bounds that hold anyway."""


def test_one_without_settings() -> None:
    assert (hold.PLUGIN.help.config, hold.PLUGIN.help.snippet) == (None, "")
    assert [plugin.name for plugin in PLUGINS if not plugin.help.snippet] == ["hold"]


def test_config_updater() -> None:
    assert told(config_updater.PLUGIN)[""].splitlines()[1:] == [
        "- `config/prow/config.yaml` goes into `config` in the ProwJobs' namespace of `default`",
        "- `config/prow/plugins.yaml` goes into `plugins` in the ProwJobs' namespace of `default`",
    ]
    text = """
config_updater:
  maps:
    a: {partitioned_names: [one, two], clusters: {arm: [far]}, use_full_path_as_key: true, denied_repos: [o/r]}
    b: {name: z, key: k, allowed_repos: [o, p/q]}
"""
    assert told(config_updater.PLUGIN, text)[""].splitlines()[1:] == [
        "- `a` goes into `one`, `two` in namespace `far` of cluster `arm`, key made of the whole path; never from o/r",
        "- `b` goes into `z` in the ProwJobs' namespace of `default`, key `k`; only from o, p/q",
    ]


def test_help() -> None:
    assert "https://git.k8s.io/" in told(help_plugin.PLUGIN)[""]
    text = "help: {help_guidelines_url: 'https://x', help_guidelines_summary: be kind}"
    assert told(help_plugin.PLUGIN, text) == {"": "Issues are measured by the guidelines at https://x:\nbe kind"}


def test_label() -> None:
    assert told(label.PLUGIN) == {}
    text = """
label:
  additional_labels: [a, b]
  restricted_labels:
    "*": [{label: all}]
    o/r: [{label: some, allowed_teams: [t], allowed_users: [ann, ben], assign_on: [{label: x}]}]
"""
    assert told(label.PLUGIN, text) == {
        "": "`/label` also takes `a`, `b`.",
        "o/r": "Not everybody may set these labels:\n- `all`: nobody\n"
        "- `some`: the team t, ann, ben; these users are assigned where `x` is set",
        "p/q": "Not everybody may set these labels:\n- `all`: nobody",
    }


def test_lgtm() -> None:
    assert told(lgtm.PLUGIN) == {}
    text = "lgtm: [{repos: [o], review_acts_as_lgtm: true, store_tree_hash: true, trusted_team_for_sticky_lgtm: T}]"
    (only,) = told(lgtm.PLUGIN, text).items()
    assert only[0] == "o/r"
    assert "approving review" in only[1]
    assert "team T" in only[1]


def test_size() -> None:
    assert told(size.PLUGIN, "size: {s: 5, m: 30, l: 100, xl: 500, xxl: 1000}")[""].splitlines() == [
        "- `size/XS` below 5 lines",
        "- `size/S` from 5 lines",
        "- `size/M` from 30 lines",
        "- `size/L` from 100 lines",
        "- `size/XL` from 500 lines",
        "- `size/XXL` from 1000 lines",
    ]


def test_trigger() -> None:
    usual = told(trigger.PLUGIN)
    assert usual["o/r"] == "Jobs start by themselves for members of o and collaborators of r."
    text = """
triggers:
- {repos: [o], only_org_members: true, trusted_org: x, trusted_apps: [a], ignore_ok_to_test: true}
"""
    now = told(trigger.PLUGIN, text)
    assert now["p/q"] == usual["p/q"]
    assert now["o/r"].startswith(
        "Jobs start by themselves for members of o, members of x. These apps are trusted too: a."
    )
    assert "/test all" in now["o/r"]
