"""plugins.yaml and its supplemental files."""

import pytest

from prow_async.api.errors import ConfigErrors
from prow_async.api.plugin_config import ExternalPlugin, OrgPlugins, Trigger
from prow_async.core import plugin_config_load
from prow_async.core.config_load import SourceFile


def load(main: str, *further: str) -> plugin_config_load.Loaded:
    files = [SourceFile(f"{i}_pluginconfig.yaml", text.encode()) for i, text in enumerate(further)]
    return plugin_config_load.load(SourceFile("plugins.yaml", main.encode()), files)


def problems(main: str, *further: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(main, *further)
    return [str(problem) for problem in caught.value.problems]


def test_both_forms_of_plugins_are_read() -> None:
    """A list of names, and names with excluded repos; unknown names are kept."""
    config = load("plugins:\n  o: {plugins: [trigger, dog], excluded_repos: [x]}\n  o/r: [made-up]\n").config
    assert config.plugins == {"o": OrgPlugins(("trigger", "dog"), ("x",)), "o/r": OrgPlugins(("made-up",))}
    assert config.enabled("o", "r") == ("trigger", "dog", "made-up")
    assert config.enabled("o", "x") == ()


def test_defaults_are_filled_in() -> None:
    """An external plugin's endpoint from its name; the join URL only beside trusted_org, which warns."""
    loaded = load(
        "plugins: {o: [trigger]}\nexternal_plugins: {o: [{name: ext, events: [push]}]}\n"
        "triggers:\n- repos: [o/r]\n  trusted_org: t\n- repos: [o]\n  only_org_members: true\n"
    )
    assert loaded.config.external_plugins == {"o": (ExternalPlugin("ext", "http://ext", ("push",)),)}
    first = Trigger(repos=("o/r",), trusted_org="t", join_org_url="https://github.com/orgs/t/people")
    assert loaded.config.triggers == (first, Trigger(repos=("o",), only_org_members=True))
    assert [str(w) for w in loaded.warnings] == [
        "plugins.yaml:5: triggers[0].trusted_org: is deprecated; use only_org_members"
    ]


def test_supplemental_files_are_merged() -> None:
    """Keys are joined, lists appended; sections of plugins that are not here pass."""
    loaded = load(
        "plugins: {o: [a]}\nsize: {xxl: 1}", "plugins: {p: [b]}\ntriggers: [{repos: [p]}]\nlgtm: [{repos: [p]}]"
    )
    assert set(loaded.config.plugins) == {"o", "p"}
    assert loaded.config.trigger_for("p", "x") == Trigger(repos=("p",))
    assert loaded.unknown == ()


def test_an_empty_configuration_warns() -> None:
    """Nothing on anywhere is possible, and rarely meant."""
    assert [str(w) for w in load("").warnings] == ["plugins.yaml: no plugin is on anywhere"]


def test_all_problems_come_at_once() -> None:
    """Keys in two files, plugins that are on twice, sections in the wrong file, wrong types."""
    main = "plugins:\n  o: [a, b]\n  o/r: [a]\n  p: {plugins: [c], excluded_repos: [x]}\n  p/x: [c]\n  q: [d, d]\n"
    further = "plugins:\n  o: [x]\nsize: {s: 1}\nlabel: {additional_labels: [x]}\ntriggers: 5\n"
    assert problems(main, further, "a: [") == [
        "0_pluginconfig.yaml:2: plugins.o: is set in two files; the other is plugins.yaml:2",
        "0_pluginconfig.yaml:3: size: must be in the main plugin configuration, not in a supplemental file",
        "0_pluginconfig.yaml:4: label: a supplemental file may set label.restricted_labels only",
        '0_pluginconfig.yaml:5: triggers: expected a list, found a number "5"',
        "1_pluginconfig.yaml:1: not readable as YAML: while parsing a flow node did not find expected node content",
        'plugins.yaml:3: plugins.o/r: "a" is on for the org o already',
        'plugins.yaml:6: plugins.q: "d" is listed twice',
    ]


def test_external_plugins_are_on_once() -> None:
    """The same rule as for built-in plugins."""
    found = problems("external_plugins:\n  o: [{name: e}]\n  o/r: [{name: e}]\n")
    assert found == ['plugins.yaml:3: external_plugins.o/r: "e" is on for the org o already']
