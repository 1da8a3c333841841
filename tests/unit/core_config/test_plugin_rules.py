"""Every rule of plugins.yaml: what it refuses, what it only warns of, each with file and line."""

import pytest

from prow_async.api.errors import ConfigErrors
from prow_async.core import plugin_config_load
from prow_async.core.config_load import SourceFile

MANY = ", ".join(f"p{i}" for i in range(257))
LABEL = "require_matching_label: [{org: o, prs: true, regexp: ^a$, missing_label: b, "
WRONG: list[tuple[str, str, list[str]]] = [
    (
        "on for the org too",
        "plugins:\n  o: [size]\n  o/r: {plugins: [size]}",
        ['3: plugins.o/r: "size" is on for the org o already'],
    ),
    ("listed twice", "plugins:\n  o: [size, size]", ['2: plugins.o: "size" is listed twice']),
    (
        "external twice",
        "external_plugins:\n  o: [{name: e}, {name: e}]",
        ['2: external_plugins.o: "e" is listed twice'],
    ),
    (
        "rivals in one list",
        "plugins:\n  o: [blunderbuss, rifle]\n  o/r: [size]",
        ["2: plugins.o: blunderbuss and rifle both ask for reviewers: keep one of them on"],
    ),
    (
        "rivals through the org",
        "plugins:\n  o: [rifle]\n  o/r: [blunderbuss]",
        ["3: plugins.o/r: blunderbuss and rifle both ask for reviewers: keep one of them on"],
    ),
    ("nobody asked", "blunderbuss: {request_count: 0}", ["1: blunderbuss.request_count: must be at least 1, not 0"]),
    ("rifle", "rifle: {\nrequest_count: -1}", ["2: rifle.request_count: must be at least 1, not -1"]),
    (
        "neither name",
        "config_updater: {maps: {f: {key: k}}}",
        ["1: config_updater.maps.f: set either name or partitioned_names"],
    ),
    (
        "both names",
        "config_updater:\n  maps:\n    f: {name: a, partitioned_names: [b]}",
        ["3: config_updater.maps.f: set either name or partitioned_names"],
    ),
    (
        "partitions",
        f"config_updater: {{maps: {{f: {{partitioned_names: [{MANY}]}}}}}}",
        ["1: config_updater.maps.f.partitioned_names: has 257 names; 256 are possible"],
    ),
    (
        "clusters and groups",
        "config_updater: {cluster_groups: {g: {}}, maps: {f: {name: a, clusters: {c: [x]}, cluster_groups: [g]}}}",
        ["1: config_updater.maps.f: clusters and cluster_groups cannot both be set"],
    ),
    (
        "unknown group",
        "config_updater:\n  maps:\n    f:\n      name: a\n      cluster_groups:\n      - g",
        ['6: config_updater.maps.f.cluster_groups[0]: there is no cluster group "g"'],
    ),
    (
        "one key, two files",
        "config_updater:\n  maps:\n    x/f: {name: a}\n    z/f: {name: a, clusters: {default: ['', other]}}",
        ['4: config_updater.maps.z/f: writes the key "f" of a as "x/f" does'],
    ),
    (
        "one given key",
        "config_updater:\n  maps:\n    x: {partitioned_names: [a, b], key: k}\n"
        "    z: {partitioned_names: [a, b], key: k}",
        ['4: config_updater.maps.z: writes the key "k" of a,b as "x" does'],
    ),
    (
        "sizes fall",
        "\nsize: {s: 10}",
        ["2: size: the bounds s, m, l, xl, xxl must not fall: 10, 0, 0, 0, 0"],
    ),
    (
        "a label that says nothing",
        "require_matching_label:\n- {org: o, prs: true, regexp: ^a$, missing_label: b}\n- {}",
        [
            "3: require_matching_label[1]: looks at nothing: set prs, issues or both",
            "3: require_matching_label[1]: missing_label is missing",
            "3: require_matching_label[1]: org is missing",
            "3: require_matching_label[1]: regexp is missing",
        ],
    ),
    (
        "repo with its org",
        LABEL + "repo: o/r}]",
        ['1: require_matching_label[0].repo: "o/r" must be a name without its org; that goes into org'],
    ),
    (
        "branch of issues",
        "require_matching_label: [{org: o, issues: true, branch: b, regexp: ^a$, missing_label: b}]",
        ["1: require_matching_label[0].branch: counts only with prs: true"],
    ),
    (
        "grace period",
        LABEL + "grace_period: 5}]",
        ['1: require_matching_label[0].grace_period: time: missing unit in duration "5"'],
    ),
    (
        "label fits itself",
        "require_matching_label: [{org: o, prs: true, regexp: kind/, missing_label: needs-kind/x}]",
        ['1: require_matching_label[0].regexp: fits the missing_label "needs-kind/x" itself'],
    ),
    ("no projects", "project_manager: {orgsRepos: {o: {}}}", ["1: project_manager.orgsRepos.o: has no projects"]),
    (
        "no columns",
        "project_manager: {orgsRepos: {o: {projects: {p: {}}}}}",
        ["1: project_manager.orgsRepos.o.projects.p: has no columns"],
    ),
    (
        "bare column",
        "project_manager:\n  orgsRepos:\n    o: {projects: {p: {columns: [\n      {}]}}}",
        [
            "4: project_manager.orgsRepos.o.projects.p.columns[0]: labels is missing",
            "4: project_manager.orgsRepos.o.projects.p.columns[0]: needs an id or a name",
            "4: project_manager.orgsRepos.o.projects.p.columns[0]: org is missing",
        ],
    ),
    (
        "same labels",
        "project_manager: {orgsRepos: {o: {projects: {p: {columns:\n"
        "  [{id: 1, labels: [a, b], org: o}, {name: x, labels: [b, a], org: o}]}}}}}",
        ["2: project_manager.orgsRepos.o.projects.p.columns[1]: another column of the project has the same labels"],
    ),
    (
        "approve twice",
        "approve:\n- repos: [o, o/r]\n- repos: [o]",
        ['3: approve[1].repos[0]: "o" has an entry already'],
    ),
    ("welcome twice", "welcome: [{repos: [o/r, o/r]}]", ['1: welcome[0].repos[1]: "o/r" has an entry already']),
    (
        "commit checks",
        "invalid_commit_msg:\n- {repos: [o], checks: [{name: spelling}]}\n- repos:\n  - o",
        [
            '2: invalid_commit_msg[0].checks[0]: "spelling" is no check; there are fixupPrefix, issueClosingKeywords',
            '4: invalid_commit_msg[1].repos[0]: "o" has an entry already',
        ],
    ),
]
PATTERNS = [
    "sigmention: {regexp: '('}",
    "cherry_pick_unapproved: {branchregexp: '('}",
    "cherry_pick_approved: [{branchregexp: '('}]",
    "blockades: [{branchregexp: '('}]",
    "heart: {commentregexp: '('}",
    "require_matching_label: [{org: o, prs: true, regexp: '(', missing_label: b}]",
    "blunderbuss: {wait_for_status: {description: '('}}",
    "rifle: {wait_for_status: {description: '('}}",
]
WARNED: list[tuple[str, str]] = [
    ("triggers: [{repos: [o], trusted_org: t}]", "triggers[0].trusted_org: is deprecated; use only_org_members"),
    (
        "repo_milestone: {'': {maintainers_id: 3}}",
        "repo_milestone..maintainers_id: is deprecated; use maintainers_team",
    ),
    (
        "bugzilla: {orgs: {o: {repos: {r: {branches: {b: {dependent_bug_target_release: x}}}}}}}",
        "bugzilla.orgs.o.repos.r.branches.b.dependent_bug_target_release: is deprecated; "
        "use dependent_bug_target_releases",
    ),
    (
        "blockades: [{blockregexps: ['(']}]",
        "blockades[0].blockregexps[0]: passed over: error parsing regexp: missing ): ( in `(`",
    ),
    ("welcome: [{message_template: '{{'}]", "welcome[0].message_template: "),
    (
        "project_manager: {orgsRepos: {o: {projects: {p: {columns: [{id: 1, labels: [a], org: o, state: odd}]}}}}}",
        'project_manager.orgsRepos.o.projects.p.columns[0].state: "odd" fits no issue; use open, closed or all',
    ),
    (
        "config_updater: {cluster_groups: {g: {clusters: [c], namespaces: [x]}},"
        " maps: {a/f: {name: m, cluster_groups: [g]}, b/f: {name: m, cluster_groups: [g]}}}",
        'config_updater.maps.b/f: writes the key "f" of m as "a/f" does',
    ),
]
ALLOWED = [
    "plugins: {o: {plugins: [size], excluded_repos: [r]}, o/r: [size]}",
    "plugins: {o: {plugins: [rifle], excluded_repos: [r]}, o/r: [blunderbuss], p: [blunderbuss]}",
    "config_updater: {maps: {x/f: {name: a}, z/f: {name: a, key: other}, w/f: {name: b}}}",
    "config_updater: {maps: {x/f: {name: a, clusters: {c: [s]}}, z/f: {name: a, clusters: {c: [t]}}}}",
    "config_updater: {maps: {x/f: {name: a, use_full_path_as_key: true}, z/f: {name: a, use_full_path_as_key: true}}}",
    "size: {s: 1, m: 1, l: 2, xl: 3, xxl: 3}",
    "lgtm: [{repos: [o]}, {repos: [o]}]",
    "triggers: [{repos: [o]}, {repos: [o]}]",
    "plugins: {o: [made-up, reward-owners]}",
]


def load(text: str, known_plugins_only: bool = False) -> plugin_config_load.Loaded:
    return plugin_config_load.load(SourceFile("p.yaml", text.encode()), (), known_plugins_only)


def problems(text: str, known_plugins_only: bool = False) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        load(text, known_plugins_only)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "expected"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_each_rule_refuses(text: str, expected: list[str]) -> None:
    assert problems(text) == [f"p.yaml:{line}" for line in expected]


@pytest.mark.parametrize("text", PATTERNS)
def test_patterns_must_compile(text: str) -> None:
    """Those that upstream compiles when it loads."""
    [problem] = problems(text)
    assert problem.startswith(f"p.yaml:1: {text.partition(':')[0]}")
    assert "error parsing regexp: missing )" in problem


@pytest.mark.parametrize(("text", "expected"), WARNED)
def test_some_things_only_warn(text: str, expected: str) -> None:
    [warning] = load(f"plugins: {{o: [size]}}\n{text}").warnings
    assert str(warning).startswith(f"p.yaml:2: {expected}")


@pytest.mark.parametrize("text", ALLOWED)
def test_what_looks_like_it_is_allowed(text: str) -> None:
    """As upstream, unknown names among it: hook passes over them."""
    assert load(text)


def test_all_rules_speak_together() -> None:
    """One wrong section hides no other."""
    text = "\n".join(
        f"{part}" for part in ("size: {s: 1}", "plugins: {o: [a, a]}", "rifle: {request_count: 0}", "heart: 5")
    )
    assert [problem.split(" ")[0] for problem in problems(text)] == ["p.yaml:1:", "p.yaml:2:", "p.yaml:3:", "p.yaml:4:"]


def test_a_list_that_is_not_read_whole_is_judged_the_next_time() -> None:
    """Its other entries stand elsewhere than in the file: a line would be wrong."""
    text = "approve:\n- 5\n- repos: [o]\n- repos: [o]\nsize: {s: 1}\n"
    assert [problem.split(" ")[0] for problem in problems(text)] == ["p.yaml:2:", "p.yaml:5:"]
    assert problems(text.replace("- 5\n", ""))[0].startswith("p.yaml:3: approve[1]")
    assert len(problems(text.replace("approve", "Approve"))) == 2


def test_names_of_plugins_are_known_for_those_who_ask() -> None:
    """External plugins are told apart: naming them among the others starts nothing."""
    text = "plugins:\n  o: [trigger, sizes, reward-owners]\n  p: [ext]\nexternal_plugins: {o: [{name: ext}]}\n"
    assert problems(text, known_plugins_only=True) == [
        'p.yaml:2: plugins.o: there is no plugin "reward-owners"',
        'p.yaml:2: plugins.o: there is no plugin "sizes"; did you mean size?',
    ]
    [warning] = load(text.replace(", sizes, reward-owners", ""), known_plugins_only=True).warnings
    assert str(warning) == 'p.yaml:3: plugins.p: "ext" is an external plugin; naming it here starts nothing'
