"""Supplemental Prow configuration: what it may set, how it is merged, what two files must not both set."""

import pytest

from prow_async.api import config
from prow_async.api.errors import ConfigErrors
from prow_async.core import config_load
from prow_async.core.config_load import SourceFile


def load(main: str, *parts: str) -> config.Config:
    files = [SourceFile(f"{i}_prowconfig.yaml", text.encode()) for i, text in enumerate(parts)]
    return config_load.load(SourceFile("config.yaml", main.encode()), (), files).config


def test_what_may_be_set_is_merged() -> None:
    """Queries add up, tables and the levels of branch protection are united."""
    found = load(
        "tide: {sync_period: 2m, queries: [{orgs: [a]}], merge_method: {a: squash}}\n"
        "branch-protection: {protect: true, orgs: {a: {repos: {x: {protect: false}}}}}",
        "tide: {queries: [{orgs: [b], labels: [lgtm]}], merge_method: {a: {r: rebase}, b/c: merge}}\n"
        "slack_reporter_configs: {b: {channel: c}}",
        "branch-protection: {protect-tested-repos: true, orgs: {a: {repos: {x: {branches: {main: {protect: true}}}}}}}",
    )
    assert found.tide.sync_period_s == 120.0
    assert sorted(query.orgs for query in found.tide.queries) == [("a",), ("b",)]
    assert found.tide.merge_method["a"].method == "squash"
    assert found.tide.merge_method["a"].repos["r"].method == "rebase"
    assert found.slack_reporter_configs["b"].channel == "c"
    repo = found.branch_protection.orgs["a"].repos["x"]
    assert (found.branch_protection.protect, found.branch_protection.protect_tested_repos) == (True, True)
    assert (repo.protect, repo.branches["main"].protect) == (False, True)


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("plank: {max_concurrency: 1}", "1: plank: cannot be set in supplemental"),
        ("tide:\n  squash_label: x", "2: tide.squash_label: cannot be set in supplemental"),
        ("periodics: [{name: x}]", "1: periodics: cannot be set in supplemental"),
        ("slack_reporter_configs: {a: {channel: d}}", "1: slack_reporter_configs.a: is set in another file"),
        ("tide:\n  merge_method:\n    a: rebase", "3: tide.merge_method.a: is set in another file"),
        ("tide: {merge_method: {a: {r: merge}}}", "1: tide.merge_method.a.r: is set in another file"),
        ("branch-protection: {protect: false}", "1: branch-protection: is set in another file"),
        ("branch-protection: {orgs: {a: {enforce_admins: true}}}", "1: branch-protection.orgs.a: is set in another"),
        ("tide: {queries: [{orgs: [a/b]}]}", '1: tide.queries[0].orgs: "a/b" is no org'),
        ("tide: [", "1: not readable as YAML"),
    ],
)
def test_what_is_refused_has_its_file_and_line(part: str, complaint: str) -> None:
    main = (
        "slack_reporter_configs: {a: {channel: c}}\n"
        "tide: {queries: [{orgs: [z]}], merge_method: {a: {r: squash}}}\n"
        "branch-protection: {protect: true, orgs: {a: {protect: true}}}"
    )
    if "a: rebase" in part:
        main = "tide: {merge_method: {a: squash}}"
    with pytest.raises(ConfigErrors) as caught:
        load(main, part)
    assert any(str(problem).startswith(f"0_prowconfig.yaml:{complaint}") for problem in caught.value.problems), [
        str(problem) for problem in caught.value.problems
    ]


RULES = [
    ("deck: {spyglass: {size_limit: -1}}", "deck.spyglass.size_limit: must not be negative"),
    ("deck: {spyglass: {lenses: [{required_files: ['(']}]}}", "deck.spyglass.lenses[0].required_files[0]: error"),
    (
        "deck: {spyglass: {gcs_browser_prefix: a, gcs_browser_prefixes: {'*': b}}}",
        "deck.spyglass.gcs_browser_prefixes.*",
    ),
    ("deck: {external_agent_logs: [{selector: '=='}]}", "deck.external_agent_logs[0].selector: "),
    ("deck: {external_agent_logs: [{url_template: '{{'}]}", "deck.external_agent_logs[0].url_template: template: "),
    ("deck: {additional_allowed_buckets: [b]}", "deck.additional_allowed_buckets: counts only with"),
    (
        "deck: {rerun_auth_configs: {a: {allow_anyone: true, github_users: [b]}}}",
        "deck.rerun_auth_configs.a: allow_anyone and a list",
    ),
    (
        "deck: {rerun_auth_configs: {a: {}}, default_rerun_auth_configs: [{repo: a}]}",
        "deck.rerun_auth_configs: rerun_auth_configs and default",
    ),
    ("tide: {max_goroutines: -1}", "tide.max_goroutines: must not be negative"),
    ("tide: {target_url: a, target_urls: {a: b}}", "tide.target_url: target_url and target_urls"),
    ("tide: {pr_status_base_urls: {a: b}}", "tide.pr_status_base_urls: needs the key '*'"),
    ("tide: {github_merge_blocks_policy: {a: stop}}", 'tide.github_merge_blocks_policy.a: "stop" is no policy'),
    ("tide: {merge_commit_template: {a: {title: '{{'}}}", "tide.merge_commit_template.a.title: template: "),
    ("tide: {merge_method: {a: join}}", 'tide.merge_method.a: "join" is no merge method'),
    ("tide: {merge_method: {a: {b: {main: ''}}}}", 'tide.merge_method.a.b.main: "" is no merge method'),
    ("tide: {merge_method: {a: {b: {'(': merge}}}}", "tide.merge_method.a.b.(: error parsing regexp"),
    ("tide: {queries: [{}]}", "tide.queries[0]: needs orgs or repos"),
    ("tide: {queries: [{repos: [a]}]}", 'tide.queries[0].repos: "a" is not of the form org/repo'),
    ("tide: {queries: [{orgs: [a], repos: [a/b]}]}", 'tide.queries[0].repos: "a/b" is searched already'),
    ("tide: {queries: [{orgs: [a], excludedRepos: [b/c]}]}", 'tide.queries[0].excludedRepos: "b/c" is not searched'),
    ("tide: {queries: [{orgs: [a], labels: [x, x]}]}", 'tide.queries[0].labels: "x" is listed twice'),
    (
        "tide: {queries: [{orgs: [a], labels: [x], missingLabels: [x]}]}",
        'tide.queries[0].missingLabels: "x" is required',
    ),
    (
        "tide: {queries: [{orgs: [a], includedBranches: [x], excludedBranches: [y]}]}",
        "tide.queries[0].includedBranches: includedBranches and",
    ),
    ("gerrit: {allowed_presubmit_trigger_re: '('}", "gerrit.allowed_presubmit_trigger_re: error parsing"),
    ("gerrit: {deck_url: 'a b://c'}", "gerrit.deck_url: "),
    ("branch-protection: {include: [a], exclude: [b]}", "branch-protection.include: include and exclude"),
    (
        "pubsub_subscriptions: {a: [b]}\npubsub_triggers: [{project: a}]",
        "pubsub_subscriptions: pubsub_subscriptions and",
    ),
    ("slack_reporter_configs: {a: {}}", "slack_reporter_configs.a: channel is missing"),
    (
        "slack_reporter_configs: {a: {channel: c, report_template: '{{.Spec.Nothing}}'}}",
        "slack_reporter_configs.a.report_template: template: ",
    ),
    ("jenkins_operators: [{label_selector: a=b}]", "jenkins_operators[0].label_selector: a single operator"),
    ("jenkins_operators: [{label_selector: a=b}, {}]", "jenkins_operators[1]: several operators"),
    ("jenkins_operators: [{max_concurrency: -1}]", "jenkins_operators[0].max_concurrency: must not be negative"),
    (
        "gangway: {allowed_api_clients: [{allowed_jobs_filters: [{tenant_id: t}]}]}",
        "gangway.allowed_api_clients[0]: gcp",
    ),
    (
        "gangway: {allowed_api_clients: [{gcp: {endpoint_api_consumer_type: USER, endpoint_api_consumer_number: '1'},"
        " allowed_jobs_filters: [{tenant_id: t}]}]}",
        'gangway.allowed_api_clients[0].gcp.endpoint_api_consumer_type: "USER" must be PROJECT',
    ),
    (
        "managed_webhooks: {org_repo_config: {a: {token_created_after: yesterday}}}",
        'managed_webhooks.org_repo_config.a.token_created_after: "yesterday" is no time',
    ),
]


@pytest.mark.parametrize(("main", "complaint"), RULES)
def test_rules_of_the_main_configuration(main: str, complaint: str) -> None:
    """Each broken alone is one problem with its place."""
    with pytest.raises(ConfigErrors) as caught:
        load(main)
    [problem] = caught.value.problems
    assert problem.line == 1
    assert problem.text.startswith(complaint)


def test_a_webhook_token_of_the_future_is_refused() -> None:
    loader = config_load.Loader()
    text = b"managed_webhooks: {org_repo_config: {a: {token_created_after: '2026-01-02T03:04:05Z'}}}"
    loader.update(SourceFile("config.yaml", text), "main")
    assert loader.load(now_s=2e9).config.managed_webhooks.org_repo_config
    with pytest.raises(ConfigErrors, match="is in the future"):
        loader.load(now_s=1e9)


def test_older_forms_become_newer_ones() -> None:
    found = load(
        "tide: {target_url: t, pr_status_base_url: p, "
        "queries: [{orgs: [b], labels: [z, x]}, {orgs: [a], labels: [x, z]}]}\n"
        "deck: {rerun_auth_configs: {a/b: {allow_anyone: true}, '*': {}}, "
        "spyglass: {gcs_browser_prefix: g, viewers: {f.txt: [b, a]}}}\n"
        "pubsub_subscriptions: {p: [s]}\nin_repo_config: {enabled: {a: true, a/b: null, a/c: false}, "
        "allowed_clusters: {a: [x], a/b: [z]}}"
    )
    assert (found.tide.target_urls, found.tide.pr_status_base_urls) == ({"*": "t"}, {"*": "p"})
    assert [(query.orgs, query.labels) for query in found.tide.queries] == [(("a", "b"), ("x", "z"))]
    assert [entry.repo for entry in found.deck.default_rerun_auth_configs] == ["*", "a/b"]
    assert [files.lens.name for files in found.deck.spyglass.lenses] == ["a", "b"]
    assert found.deck.spyglass.gcs_browser_prefixes == {"*": "g"}
    assert found.pubsub_triggers[0].allowed_clusters == ("*",)
    assert found.pubsub_triggers[0].max_outstanding_messages == 10
    section = found.in_repo_config
    assert [section.is_enabled("a", repo) for repo in "bcd"] == [True, False, True]
    assert not section.is_enabled("z", "b")
    assert section.clusters("a", "b") == {"default", "x", "z"}
    assert found.tide.status_update_period_s == 60.0
