"""Every section of plugins.yaml: what it has when nothing is said, by upstream's names, and what each key means."""

from typing import Any

import msgspec
import pytest

from prow_async.api.plugin_bugzilla import BugState, Bugzilla
from prow_async.api.plugin_config import ExternalPlugin, OrgInvite, PluginConfig, ProminentInvite, Trigger
from prow_async.api.plugin_projects import ConfigMapSpec
from prow_async.api.plugin_review import ContextMatch, OwnersFilenames
from prow_async.core import plugin_config_load
from prow_async.core.config_load import SourceFile

HELP_URL = "https://git.k8s.io/community/contributors/guide/help-wanted.md"
PROCESS_URL = "https://git.k8s.io/community/contributors/guide/owners.md#the-code-review-process"
DESCRIPTION = (
    r"Not mergeable. (PullRequest is missing sufficient approving GitHub review\(s\)"
    r"|Needs (lgtm|approved|approved, lgtm) labels?)\.?"
)
MENTION = r"(?m)@kubernetes/sig-([\w-]*)-(misc|test-failures|bugs|feature-requests|proposals|pr-reviews|api-reviews)"
REVIEWERS = {
    "request_count": 2,
    "max_request_count": 0,
    "exclude_approvers": False,
    "use_status_availability": False,
    "ignore_drafts": False,
    "ignore_authors": [],
    "wait_for_status": None,
}
BARE: list[tuple[str, Any]] = [
    ("plugins", {}),
    ("external_plugins", {}),
    (
        "owners",
        {"mdyamlrepos": [], "skip_collaborators": [], "labels_denylist": ["approved", "lgtm"], "filenames": {}},
    ),
    ("approve", []),
    ("blockades", []),
    ("blunderbuss", REVIEWERS),
    ("rifle", REVIEWERS),
    ("bugzilla", {"default": None, "orgs": {}}),
    ("branch_cleaner", {"preserved_branches": {}}),
    ("cat", {"key_path": ""}),
    ("cherry_pick_approved", []),
    ("golint", {"minimum_confidence": 0.8}),
    ("goose", {"key_path": ""}),
    ("heart", {"adorees": [], "commentregexp": ""}),
    ("help", {"help_guidelines_url": HELP_URL, "help_guidelines_summary": ""}),
    ("invalid_commit_msg", []),
    ("jira", None),
    ("label", {"additional_labels": [], "restricted_labels": {}}),
    ("lgtm", []),
    ("milestone_applier", {}),
    ("override", {"allow_top_level_owners": False, "allowed_github_teams": {}}),
    ("project_config", {"project_org_configs": {}}),
    ("project_manager", {"orgsRepos": {}}),
    ("release_note", {"guidelines_url": ""}),
    ("repo_milestone", {}),
    ("require_matching_label", []),
    ("retitle", {"allow_closed_issues": False}),
    ("sigmention", {"regexp": MENTION}),
    ("size", {"s": 0, "m": 0, "l": 0, "xl": 0, "xxl": 0}),
    ("slack", {"mentionchannels": [], "mergewarnings": []}),
    ("triggers", []),
    ("welcome", []),
    ("dco", {}),
]
ENTRIES: list[tuple[str, str, Any]] = [
    ("external_plugins", "{o: [{name: e}]}", {"o": [{"name": "e", "endpoint": "http://e", "events": []}]}),
    (
        "approve",
        "[{repos: [o], commandHelpLink: ''}]",
        [
            {
                "repos": ["o"],
                "issue_required": False,
                "require_self_approval": None,
                "lgtm_acts_as_approve": False,
                "ignore_review_state": None,
                "commandHelpLink": "https://go.k8s.io/bot-commands",
                "pr_process_link": PROCESS_URL,
            }
        ],
    ),
    (
        "blockades",
        "[{repos: [o], explanation: x}]",
        [{"repos": ["o"], "branchregexp": None, "blockregexps": [], "exceptionregexps": [], "explanation": "x"}],
    ),
    (
        "blunderbuss",
        "{wait_for_status: {context: ''}}",
        {**REVIEWERS, "wait_for_status": {"context": "tide", "state": "pending", "description": DESCRIPTION}},
    ),
    ("rifle", "{request_count: 1}", {**REVIEWERS, "request_count": 1}),
    (
        "cherry_pick_approved",
        "[{org: o, branchregexp: ''}]",
        [
            {
                "org": "o",
                "repo": "",
                "branchregexp": "^release-.*$",
                "approvers": [],
                "allow_missing_approved_label": False,
                "allow_missing_lgtm_label": False,
            }
        ],
    ),
    (
        "dco",
        "{'*': {contributing_path: ''}, o: null}",
        {
            "*": {
                "skip_dco_check_for_members": False,
                "trusted_apps": [],
                "trusted_org": "",
                "skip_dco_check_for_collaborators": False,
                "contributing_repo": "",
                "contributing_branch": "master",
                "contributing_path": "CONTRIBUTING.md",
            },
            "o": None,
        },
    ),
    ("golint", "{minimum_confidence: 0}", {"minimum_confidence": 0.0}),
    (
        "invalid_commit_msg",
        "[{repos: [o], checks: [{name: fixupPrefix}]}]",
        [{"repos": ["o"], "checks": [{"name": "fixupPrefix", "disabled": False}]}],
    ),
    ("jira", "{}", {"disabled_jira_projects": []}),
    (
        "label",
        "{restricted_labels: {o: [{label: x, assign_on: [{label: on-it}]}]}}",
        {
            "additional_labels": [],
            "restricted_labels": {
                "o": [{"label": "x", "allowed_teams": [], "allowed_users": [], "assign_on": [{"label": "on-it"}]}]
            },
        },
    ),
    (
        "lgtm",
        "[{}]",
        [{"repos": [], "review_acts_as_lgtm": False, "store_tree_hash": False, "trusted_team_for_sticky_lgtm": ""}],
    ),
    ("milestone_applier", "{o/r: {main: 1.2}}", {"o/r": {"main": "1.2"}}),
    (
        "project_config",
        "{project_org_configs: {o: {project_repo_configs: {r: {repo_maintainers_team_id: 7}}}}}",
        {
            "project_org_configs": {
                "o": {
                    "org_maintainers_team_id": 0,
                    "org_default_column_map": {},
                    "project_repo_configs": {"r": {"repo_maintainers_team_id": 7, "repo_default_column_map": {}}},
                }
            }
        },
    ),
    (
        "project_manager",
        "{orgsRepos: {o: {projects: {p: {columns: [{id: 1, labels: [x], org: o}]}}}}}",
        {
            "orgsRepos": {
                "o": {"projects": {"p": {"columns": [{"id": 1, "name": "", "state": "", "labels": ["x"], "org": "o"}]}}}
            }
        },
    ),
    (
        "repo_milestone",
        "{'': {maintainers_team: t}}",
        {"": {"maintainers_id": 0, "maintainers_team": "t", "maintainers_friendly_name": "SIG Chairs/TLs"}},
    ),
    (
        "require_matching_label",
        "[{org: o, issues: true, regexp: ^a$, missing_label: b, grace_period: ''}]",
        [
            {
                "org": "o",
                "repo": "",
                "branch": "",
                "prs": False,
                "issues": True,
                "regexp": "^a$",
                "missing_label": "b",
                "missing_comment": "",
                "grace_period": "5s",
                "grace_period_s": 5.0,
            }
        ],
    ),
    (
        "slack",
        "{mentionchannels: [c], mergewarnings: [{repos: [o], exempt_branches: {main: [u]}}]}",
        {
            "mentionchannels": ["c"],
            "mergewarnings": [
                {"repos": ["o"], "channels": [], "exempt_users": [], "exempt_branches": {"main": ["u"]}},
            ],
        },
    ),
    (
        "triggers",
        "[{repos: [o], org_invite: {prominent: {message: m}}}]",
        [
            {
                "repos": ["o"],
                "trusted_apps": [],
                "trusted_org": "",
                "join_org_url": "",
                "only_org_members": False,
                "ignore_ok_to_test": False,
                "trigger_github_workflows": False,
                "org_invite": {"prominent": {"disabled": False, "merged_pr_threshold": 3, "message": "m"}},
            }
        ],
    ),
    ("welcome", "[{repos: [o]}]", [{"repos": ["o"], "message_template": "", "always_post": False}]),
]


def load(text: str) -> PluginConfig:
    loaded = plugin_config_load.load(SourceFile("plugins.yaml", text.encode()))
    assert loaded.unknown == ()
    return loaded.config


def section(config: PluginConfig, name: str) -> Any:
    return msgspec.json.decode(msgspec.json.encode(config))[name]


@pytest.mark.parametrize(("name", "expected"), BARE, ids=[case[0] for case in BARE])
@pytest.mark.parametrize("text", ["", "{name}: null"], ids=["absent", "null"])
def test_each_section_unsaid(name: str, expected: Any, text: str) -> None:
    """Upstream's zero values, and the defaults it fills in when it loads; null says nothing."""
    assert section(load(text.replace("{name}", name)), name) == expected


@pytest.mark.parametrize(("name", "text", "expected"), ENTRIES, ids=[case[0] for case in ENTRIES])
def test_each_section_by_upstreams_keys(name: str, text: str, expected: Any) -> None:
    """Entries get their defaults; text that is empty has them too, pointers that are unset stay None."""
    assert section(load(f"{name}: {text}"), name) == expected


def test_every_section_is_tried() -> None:
    """A new section needs a row in the tables above."""
    assert {name for name, _ in BARE} | {"cherry_pick_unapproved", "config_updater"} == set(
        PluginConfig.__struct_encode_fields__
    )


def test_unapproved_cherry_picks_are_those_to_release_branches() -> None:
    """The comment is our own words; an empty one is none."""
    bare = load("").cherry_pick_unapproved
    assert bare.branch_regexp == "^release-.*$"
    assert "do-not-merge/cherry-pick-not-approved" in bare.comment
    assert load("cherry_pick_unapproved: {comment: '', branchregexp: ''}").cherry_pick_unapproved == bare
    assert load("cherry_pick_unapproved: {comment: c}").cherry_pick_unapproved.comment == "c"


def test_config_updater_knows_where_files_go() -> None:
    """Two maps by default, the default cluster and ProwJobs' namespace where neither clusters nor groups are named."""
    home = {"default": ("",)}
    assert load("").config_updater.maps == {
        "config/prow/config.yaml": ConfigMapSpec(name="config", clusters=home),
        "config/prow/plugins.yaml": ConfigMapSpec(name="plugins", clusters=home),
    }
    updater = load(
        "config_updater: {gzip: true, maps: {f: {name: c, gzip: false}, g: {partitioned_names: [a, b], key: k}}}"
    ).config_updater
    assert (updater.gzip, updater.maps["f"].gzip, updater.maps["g"].gzip) == (True, False, None)
    assert updater.maps["g"].clusters == home


def test_groups_of_clusters_are_written_out_and_nothing_is_lost() -> None:
    """Upstream drops use_full_path_as_key and the lists of repos here."""
    updater = load(
        "config_updater:\n"
        "  cluster_groups: {g: {clusters: [a, b], namespaces: [x]}, h: {clusters: [b], namespaces: [w, z]}}\n"
        "  maps:\n    m: {name: c, cluster_groups: [g, h], use_full_path_as_key: true,"
        " allowed_repos: [o], denied_repos: [o/r]}\n"
    ).config_updater
    spec = ConfigMapSpec(
        name="c",
        clusters={"a": ("x",), "b": ("x", "w", "z")},
        use_full_path_as_key=True,
        allowed_repos=("o",),
        denied_repos=("o/r",),
    )
    assert (updater.cluster_groups, updater.maps) == ({}, {"m": spec})


def test_an_empty_denylist_allows_every_label() -> None:
    """Only what is not said has the default."""
    assert load("owners: {labels_denylist: []}").owners.labels_denylist == ()


def test_keys_and_values_are_read_as_go_reads_them() -> None:
    """Numbers and truth values become text, keys fold, null is absent; the folding warns."""
    text = (
        "Approve: [{Repos: [1], CommandHelpLink: true, issue_required: null}]\n"
        "external_plugins: {o: [{name: 10}, null]}\nsize: {xxl: 5.0}\ndco: {1: {}}\n"
        "triggers: [{repos: null, org_invite: {prominent: {merged_pr_threshold: 0}}}]\n"
    )
    loaded = plugin_config_load.load(SourceFile("plugins.yaml", text.encode()))
    config = loaded.config
    assert config.approve[0].repos == ("1",)
    assert config.approve[0].command_help_link == "true"
    assert config.external_plugins["o"] == (ExternalPlugin("10", "http://10"), ExternalPlugin("", "http://"))
    assert (config.size.xxl, *config.dco) == (5, "1")
    assert config.triggers == (Trigger(org_invite=OrgInvite(ProminentInvite(merged_pr_threshold=0))),)
    assert 'plugins.yaml:1: Approve: key "Approve" is read as "approve"; write it so' in map(str, loaded.warnings)


def test_what_nobody_reads_is_told() -> None:
    """In every depth, for checkconfig's unknown-fields."""
    text = "odd: 1\nsize: {tiny: 1}\ntriggers:\n- org_invite: {prominent: {grace: 1}}\nrequire_matching_label: []\n"
    loaded = plugin_config_load.load(SourceFile("plugins.yaml", text.encode()))
    assert [str(problem) for problem in loaded.unknown] == [
        'plugins.yaml:1: odd: unknown key "odd"',
        'plugins.yaml:2: size.tiny: unknown key "tiny"',
        'plugins.yaml:4: triggers[0].org_invite.prominent.grace: unknown key "grace"',
    ]


def test_seconds_are_not_for_people_to_set() -> None:
    """What the program fills in is an unknown key."""
    text = "require_matching_label: [{org: o, prs: true, regexp: ^a$, missing_label: b, grace_period_s: 1}]"
    loaded = plugin_config_load.load(SourceFile("plugins.yaml", text.encode()))
    assert loaded.config.require_matching_label[0].grace_period_s == 5.0
    assert len(loaded.unknown) == 1


def test_filenames_and_states_are_what_they_say() -> None:
    """An entry of filenames gives both names; states of bugs have two parts."""
    config = load("owners: {filenames: {o: {owners: O}}}\nbugzilla: {default: {'*': {valid_states: [{status: NEW}]}}}")
    assert config.owners.filenames == {"o": OwnersFilenames("O", "")}
    assert (config.bugzilla.default or {})["*"].valid_states == (BugState("NEW"),)
    assert Bugzilla() == PluginConfig().bugzilla
    assert ContextMatch().context == "tide"
