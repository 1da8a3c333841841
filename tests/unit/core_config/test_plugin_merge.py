"""Supplemental plugin configuration: what it adds, what two files may not both say, and whose line a problem has."""

import pytest

from prow_async.api.errors import ConfigErrors
from prow_async.core import plugin_config_load
from prow_async.core.config_load import SourceFile

FOREIGN = [
    "owners: {mdyamlrepos: [o]}",
    "blockades: [{}]",
    "blunderbuss: {request_count: 3}",
    "rifle: {ignore_drafts: true}",
    "branch_cleaner: {preserved_branches: {o: [main]}}",
    "cat: {key_path: k}",
    "cherry_pick_approved: [{}]",
    "cherry_pick_unapproved: {comment: c}",
    "config_updater: {gzip: true}",
    "dco: {o: {}}",
    "golint: {minimum_confidence: 0.5}",
    "goose: {key_path: k}",
    "heart: {adorees: [a]}",
    "help: {help_guidelines_summary: s}",
    "invalid_commit_msg: [{}]",
    "jira: {disabled_jira_projects: [p]}",
    "milestone_applier: {o/r: {}}",
    "override: {allow_top_level_owners: true}",
    "project_config: {project_org_configs: {o: {}}}",
    "project_manager: {orgsRepos: {o: {}}}",
    "release_note: {guidelines_url: u}",
    "repo_milestone: {'': {}}",
    "require_matching_label: [{}]",
    "retitle: {allow_closed_issues: true}",
    "sigmention: {regexp: x}",
    "Size: {xxl: 1}",
    "slack: {mentionchannels: [c]}",
]
DOUBLE: list[tuple[str, str, str, str]] = [
    ("plugins", "plugins:\n  o: [a]", "plugins:\n  p: [a]\n  o: [b]", "3: plugins.o: is set in two files"),
    (
        "external plugins",
        "external_plugins:\n  o: [{name: a}]",
        "external_plugins: {o: []}",
        "1: external_plugins.o: is set in two files",
    ),
    (
        "a restricted label",
        "label: {restricted_labels: {\n  o: [{label: x}]}}",
        "label: {restricted_labels: {o: [{label: w},\n  {label: x}]}}",
        '2: label.restricted_labels.o[1]: "x" is restricted in two files',
    ),
    (
        "bugzilla's default",
        "bugzilla:\n  default: {}",
        "bugzilla: {default: {'*': {}}}",
        "1: bugzilla.default: is set in two files",
    ),
    (
        "an org's default",
        "bugzilla: {orgs: {o: {\n  default: {}}}}",
        "bugzilla: {orgs: {o: {default: {}}}}",
        "1: bugzilla.orgs.o.default: is set in two files",
    ),
    (
        "a repo of bugzilla",
        "bugzilla: {orgs: {o: {repos: {\n  r: {}}}}}",
        "bugzilla:\n  orgs: {o: {repos: {r: {branches: {b: {}}}}}}",
        "2: bugzilla.orgs.o.repos.r: is set in two files",
    ),
]


def load(main: str, *further: str) -> plugin_config_load.Loaded:
    files = [SourceFile(f"{i}.yaml", text.encode()) for i, text in enumerate(further)]
    return plugin_config_load.load(SourceFile("main.yaml", main.encode()), files)


def problems(main: str, *further: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(main, *further)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("text", FOREIGN)
def test_most_sections_are_the_main_file_s_alone(text: str) -> None:
    """Upstream refuses whatever it cannot merge."""
    [problem] = [problem for problem in problems("", text) if "must be in the main" in problem]
    assert problem.startswith(f"0.yaml:1: {text.partition(':')[0]}: ")
    assert load("", f"{text.partition(':')[0]}: null")


@pytest.mark.parametrize(
    ("main", "further", "expected"), [case[1:] for case in DOUBLE], ids=[case[0] for case in DOUBLE]
)
def test_nothing_is_said_twice(main: str, further: str, expected: str) -> None:
    """Both places are named."""
    assert problems(main, further) == [f"0.yaml:{expected}; the other is main.yaml:2"]
    assert problems("", main, further) == [f"1.yaml:{expected}; the other is 0.yaml:2"]


def test_sections_that_say_nothing_pass() -> None:
    """As upstream, which compares with an empty configuration."""
    assert load(
        "", "size: {s: 0}\nretitle: {}\nowners: {mdyamlrepos: []}\nblockades: []\nlabel: {additional_labels: []}"
    )


def test_parts_are_joined_in_the_order_of_files() -> None:
    loaded = load(
        "plugins: {o: [a]}\napprove: [{repos: [a]}]\nlabel: {additional_labels: [free],"
        " restricted_labels: {o: [{label: x}]}}\nbugzilla: {orgs: {o: {default: {}}}}",
        "plugins: {p: [a]}\napprove: [{repos: [b]}]\nlgtm: [{repos: [b]}]\n"
        "label: {restricted_labels: {o: [{label: w}]}}",
        "welcome: [{repos: [c]}]\ntriggers: [{repos: [c]}]\napprove: [{repos: [c]}]\n"
        "external_plugins: {o: [{name: e}]}\nbugzilla: {default: {}, orgs: {o: {repos: {r: {}}}, p: {}}}",
    )
    config = loaded.config
    assert [entry.repos for entry in config.approve] == [("a",), ("b",), ("c",)]
    assert [config.lgtm[0].repos, config.welcome[0].repos, config.triggers[0].repos] == [("b",), ("c",), ("c",)]
    assert config.label.additional_labels == ("free",)
    assert [entry.label for entry in config.label.restricted_labels["o"]] == ["x", "w"]
    assert (set(config.plugins), config.external_plugins["o"][0].endpoint) == ({"o", "p"}, "http://e")
    assert config.bugzilla.default == {}
    assert (config.bugzilla.orgs["o"].default, set(config.bugzilla.orgs["o"].repos)) == ({}, {"r"})
    assert set(config.bugzilla.orgs) == {"o", "p"}


def test_a_problem_has_the_line_of_its_own_file() -> None:
    """Rules look at the whole; what they find stands in one of the files."""
    found = problems(
        "plugins:\n  o: [size]\napprove:\n- repos: [a]\n- repos: [b]",
        "\nwelcome: [{repos: [a]}]",
        "plugins:\n  o/r: [size]\nwelcome:\n- repos: [b]\n- repos:\n  - c\n  - a\napprove: [\n{repos: [b]}]",
    )
    assert found == [
        '1.yaml:2: plugins.o/r: "size" is on for the org o already',
        '1.yaml:7: welcome[1].repos[1]: "a" has an entry already',
        '1.yaml:9: approve[0].repos[0]: "b" has an entry already',
    ]
