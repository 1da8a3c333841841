"""What a repo gets of plugins.yaml: its own entry first, then its org's."""

import pytest

from prow_async.api.plugin_bugzilla import BugState, Bugzilla, BugzillaBranch, BugzillaOrg, BugzillaRepo
from prow_async.api.plugin_config import ExternalPlugin, PluginConfig, Trigger
from prow_async.api.plugin_labels import CommitMsgCheck, InvalidCommitMsg, Label, RestrictedLabel, Size, Welcome
from prow_async.api.plugin_projects import Milestone, ProjectConfig, ProjectOrgConfig, ProjectRepoConfig
from prow_async.api.plugin_review import (
    Approve,
    Blockade,
    BranchCleaner,
    Dco,
    Lgtm,
    Override,
    Owners,
    OwnersFilenames,
)
from prow_async.core import bugzilla_options

SCOPES = (("x",), ("o",), ("o", "o/q"), ("o/r",), ("o/r", "p"))
Options = BugzillaBranch


def config() -> PluginConfig:
    return PluginConfig(
        triggers=tuple(Trigger(repos=scopes) for scopes in SCOPES),
        approve=tuple(Approve(repos=scopes) for scopes in SCOPES),
        lgtm=tuple(Lgtm(repos=scopes) for scopes in SCOPES),
        welcome=tuple(Welcome(repos=scopes) for scopes in SCOPES),
        invalid_commit_msg=tuple(InvalidCommitMsg(repos=scopes) for scopes in SCOPES),
    )


@pytest.mark.parametrize("name", ["trigger", "approve", "lgtm", "welcome", "invalid_commit_msg"])
def test_a_repo_s_own_entry_comes_first_wherever_it_stands(name: str) -> None:
    """Then the org's; the first of several; without either the defaults."""
    look_up = getattr(config(), f"{name}_for")
    assert look_up("o", "r").repos == ("o/r",)
    assert look_up("o", "q").repos == ("o", "o/q")
    assert look_up("o", "other").repos == ("o",)
    assert look_up("p", "r").repos == ("o/r", "p")
    assert look_up("nowhere", "r") == type(look_up("nowhere", "r"))()


def test_pointers_decide_only_when_set() -> None:
    """Authors approve their own work and reviews count, unless the file says otherwise."""
    assert (Approve().has_self_approval, Approve().consider_review_state) == (True, True)
    strict = Approve(require_self_approval=True, ignore_review_state=True)
    assert (strict.has_self_approval, strict.consider_review_state) == (False, False)
    assert Approve(require_self_approval=False).has_self_approval


def test_restricted_labels_of_three_levels_are_one_table() -> None:
    """By name in lower case, the narrower word over the wider."""
    label = Label(
        restricted_labels={
            "o/r": (RestrictedLabel(label="B", allowed_users=("repo",)),),
            "*": (RestrictedLabel(label="a"), RestrictedLabel(label="b", allowed_users=("any",))),
            "o": (RestrictedLabel(label="b", allowed_users=("org",)), RestrictedLabel(label="c")),
        }
    )
    assert {name: entry.allowed_users for name, entry in label.restricted_for("o", "r").items()} == {
        "a": (),
        "b": ("repo",),
        "c": (),
    }
    assert label.restricted_for("p", "r").keys() == {"a", "b"}
    assert label.restricted_for("o", "x")["b"].allowed_users == ("org",)


def test_tables_are_looked_up_by_repo_then_org() -> None:
    org, repo = Dco(trusted_org="org"), Dco(trusted_org="repo")
    dco = PluginConfig(dco={"*": Dco(trusted_org="any"), "o": org, "o/r": repo, "o/null": None})
    found = [dco.dco_for(*scope.split("/")).trusted_org for scope in ("o/r", "o/x", "o/null", "p/r")]
    assert found == ["repo", "org", "org", "any"]
    assert PluginConfig().dco_for("o", "r") == Dco()
    names = PluginConfig(owners=Owners(filenames={"o": OwnersFilenames("O"), "o/r": OwnersFilenames("R", "A")}))
    assert names.owners_filenames("o", "r") == OwnersFilenames("R", "A")
    assert names.owners_filenames("o", "x") == OwnersFilenames("O", "")
    assert names.owners_filenames("p", "x") == OwnersFilenames("OWNERS", "OWNERS_ALIASES")


def test_lists_name_a_repo_or_its_org() -> None:
    found = PluginConfig(
        owners=Owners(md_yaml_repos=("o/r",), skip_collaborators=("o",)),
        blockades=(Blockade(repos=("o",)), Blockade(repos=("p",)), Blockade(repos=("o/r",))),
        external_plugins={"o": (ExternalPlugin("org"),), "o/r": (ExternalPlugin("repo"),)},
        branch_cleaner=BranchCleaner({"o": ("main",), "o/r": ("dev",)}),
        override=Override(allowed_github_teams={"o": ("a", "b"), "o/r": ("b", "c")}),
    )
    assert (found.md_yaml_enabled("o", "r"), found.md_yaml_enabled("o", "x")) == (True, False)
    assert (found.skips_collaborators("o", "x"), found.skips_collaborators("p", "x")) == (True, False)
    assert [entry.repos for entry in found.blockades_for("o", "r")] == [("o",), ("o/r",)]
    assert {plugin.name for plugin in found.external_for("o", "r")} == {"org", "repo"}
    assert found.branch_cleaner.preserved("o", "r") == ("dev", "main")
    assert found.override.teams("o", "r") == ("b", "c", "a")


def test_milestones_and_projects() -> None:
    """Milestones by repo or for all, never by org; a repo with a project of its own inherits nothing."""
    keepers = PluginConfig(repo_milestone={"": Milestone(maintainers_team="all"), "o/r": Milestone(), "o": Milestone()})
    own, rest = keepers.milestone_for("o", "r"), keepers.milestone_for("o", "x")
    assert (own and own.maintainers_team, rest and rest.maintainers_team) == ("", "all")
    assert PluginConfig().milestone_for("o", "r") is None
    org = ProjectOrgConfig(7, {"p": "To do"}, {"r": ProjectRepoConfig(8)})
    projects = ProjectConfig({"o": org})
    assert [projects.maintainers("o", "r"), projects.maintainers("o", "x"), projects.maintainers("p", "x")] == [
        8,
        7,
        None,
    ]
    assert [projects.columns("o", "r"), projects.columns("o", "x"), projects.columns("p", "x")] == [
        {},
        {"p": "To do"},
        {},
    ]


def test_small_rules() -> None:
    assert Size(m=40).bounds() == (10, 40, 100, 500, 1000)
    checks = InvalidCommitMsg(checks=(CommitMsgCheck("fixupPrefix", True), CommitMsgCheck("issueClosingKeywords")))
    assert (checks.is_disabled("fixupPrefix"), checks.is_disabled("issueClosingKeywords")) == (True, False)


CASCADE: list[tuple[str, BugzillaBranch, BugzillaBranch, BugzillaBranch]] = [
    ("nothing", Options(), Options(), Options()),
    ("inherits", Options(is_open=True, target_release="1"), Options(), Options(is_open=True, target_release="1")),
    (
        "overrides",
        Options(is_open=True, validate_by_default=True),
        Options(is_open=False),
        Options(is_open=False, validate_by_default=True),
    ),
    (
        "excludes",
        Options(is_open=True, allowed_groups=("g",)),
        Options(exclude_defaults=True, add_external_link=True),
        Options(exclude_defaults=True, add_external_link=True),
    ),
    (
        "groups",
        Options(allowed_groups=("b", "a")),
        Options(allowed_groups=("c", "a")),
        Options(allowed_groups=("a", "b", "c")),
    ),
    ("backporting", Options(enable_backporting=True), Options(), Options(enable_backporting=True)),
    (
        "statuses are states",
        Options(statuses=("NEW", "ASSIGNED")),
        Options(),
        Options(valid_states=(BugState("ASSIGNED"), BugState("NEW"))),
    ),
    (
        "statuses beside states",
        Options(valid_states=(BugState("CLOSED", "FIXED"),), statuses=("NEW",)),
        Options(),
        Options(valid_states=(BugState("CLOSED", "FIXED"), BugState("NEW"))),
    ),
    (
        "statuses over states of the parent",
        Options(valid_states=(BugState("A"),), dependent_bug_states=(BugState("A"),)),
        Options(statuses=("B",), dependent_bug_statuses=("C",)),
        Options(valid_states=(BugState("B"),), dependent_bug_states=(BugState("C"),)),
    ),
    ("no statuses left", Options(valid_states=(BugState("A"),)), Options(statuses=()), Options()),
    (
        "older states",
        Options(status_after_validation="POST", status_after_merge="DONE", state_after_merge=BugState("MODIFIED")),
        Options(status_after_validation="NEW", state_after_close=BugState("NEW")),
        Options(
            state_after_validation=BugState("NEW"),
            state_after_merge=BugState("MODIFIED"),
            state_after_close=BugState("NEW"),
        ),
    ),
    (
        "older release",
        Options(dependent_bug_target_releases=("1",), dependent_bug_target_release="2"),
        Options(),
        Options(dependent_bug_target_releases=("1", "2")),
    ),
    (
        "older release of the child",
        Options(dependent_bug_target_releases=("1",)),
        Options(dependent_bug_target_release="2"),
        Options(dependent_bug_target_releases=("2",)),
    ),
]


@pytest.mark.parametrize(
    ("parent", "child", "expected"), [case[1:] for case in CASCADE], ids=[case[0] for case in CASCADE]
)
def test_bugzilla_options_of_two_levels(
    parent: BugzillaBranch, child: BugzillaBranch, expected: BugzillaBranch
) -> None:
    assert bugzilla_options.resolve(parent, child) == expected


def test_bugzilla_options_cascade() -> None:
    """Default, org, repo; in each `*`, then the branch. Where an org or a repo is unknown the wider word stands."""
    section = Bugzilla(
        default={"*": Options(target_release="any", allowed_groups=("a",)), "main": Options(is_open=True)},
        orgs={
            "o": BugzillaOrg(
                {"*": Options(target_release="org", allowed_groups=("b",))},
                {
                    "r": BugzillaRepo(
                        {"*": Options(is_open=False), "main": Options(target_release="main", allowed_groups=("c",))}
                    )
                },
            )
        },
    )
    found = bugzilla_options.for_branch(section, "o", "r", "main")
    assert found == Options(is_open=False, target_release="main", allowed_groups=("a", "b", "c"))
    assert bugzilla_options.for_branch(section, "o", "r", "dev").target_release == "org"
    assert bugzilla_options.for_branch(section, "o", "x", "main") == Options(
        is_open=True, target_release="org", allowed_groups=("a", "b")
    )
    assert bugzilla_options.for_branch(section, "p", "r", "main") == Options(
        is_open=True, target_release="any", allowed_groups=("a",)
    )
    assert bugzilla_options.for_branch(Bugzilla(), "o", "r", "main") == Options()
