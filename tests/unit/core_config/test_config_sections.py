"""Sections of the main file that other components read: every rule once, with its line; defaults; older forms."""

import pytest

from prow_async.api.config import Config
from prow_async.api.errors import ConfigErrors
from prow_async.core import config_load, gotemplate
from prow_async.core.config_load import SourceFile

NOW_S = 1_800_000_000.0


def load(text: str, *jobs: str) -> config_load.Loaded:
    loader = config_load.Loader()
    loader.update(SourceFile("config.yaml", text.encode()), "main")
    for number, job in enumerate(jobs):
        loader.update(SourceFile(f"jobs-{number}.yaml", job.encode()))
    return loader.load(now_s=NOW_S)


def problems(text: str, *jobs: str) -> list[str]:
    try:
        load(text, *jobs)
    except ConfigErrors as error:
        return [str(problem) for problem in error.problems]
    return []


WRONG = [
    ("tide: {max_goroutines: -1}", "1: tide.max_goroutines: must not be negative"),
    ("tide: {target_url: a, target_urls: {o: b}}", "1: tide.target_url: target_url and target_urls cannot both"),
    ("tide: {pr_status_base_url: a, pr_status_base_urls: {'*': b}}", "1: tide.pr_status_base_url: "),
    ("tide: {pr_status_base_urls: {o: b}}", "1: tide.pr_status_base_urls: needs the key '*' too"),
    ("tide:\n  merge_method: {o: fast}", '2: tide.merge_method.o: "fast" is no merge method'),
    ("tide:\n  merge_method:\n    o: {r: fast}", '3: tide.merge_method.o.r: "fast" is no merge method'),
    ("tide:\n  merge_method:\n    o: {r: {main: ''}}", '3: tide.merge_method.o.r.main: "" is no merge method'),
    ("tide:\n  merge_method:\n    o: {r: {'(': merge}}", "3: tide.merge_method.o.r.(: error parsing regexp"),
    ("tide:\n  merge_commit_template: {o: {title: '{{'}}", "2: tide.merge_commit_template.o.title: template: title:1:"),
    ("tide:\n  merge_commit_template: {o: {body: '{{.X'}}", "2: tide.merge_commit_template.o.body: template: body:1:"),
    ("tide: {github_merge_blocks_policy: {o: x}}", '1: tide.github_merge_blocks_policy.o: "x" is no policy'),
    ("tide:\n  queries:\n  - {}", "3: tide.queries[0]: needs orgs or repos"),
    ("tide: {queries: [{orgs: [a/b]}]}", '1: tide.queries[0].orgs: "a/b" is no org'),
    ("tide: {queries: [{orgs: ['']}]}", '1: tide.queries[0].orgs: "" is no org'),
    ("tide: {queries: [{repos: [a]}]}", '1: tide.queries[0].repos: "a" is not of the form org/repo'),
    ("tide: {queries: [{repos: [a/b/c]}]}", '1: tide.queries[0].repos: "a/b/c" is not of the form org/repo'),
    ("tide: {queries: [{repos: [a/b, a/b]}]}", '1: tide.queries[0].repos: "a/b" is listed twice'),
    ("tide: {queries: [{orgs: [a], repos: [a/b]}]}", '1: tide.queries[0].repos: "a/b" is searched already'),
    ("tide: {queries: [{orgs: [a], excludedRepos: [b/c]}]}", '1: tide.queries[0].excludedRepos: "b/c" is not searched'),
    ("tide: {queries: [{orgs: [a], labels: [x], missingLabels: [x]}]}", '1: tide.queries[0].missingLabels: "x" is'),
    ("tide: {queries: [{orgs: [a], labels: [x, x]}]}", '1: tide.queries[0].labels: "x" is listed twice'),
    (
        "tide: {queries: [{orgs: [a], includedBranches: [x], excludedBranches: [y]}]}",
        "1: tide.queries[0].includedBranches: includedBranches and excludedBranches cannot both be set",
    ),
    ("deck: {spyglass: {size_limit: -1}}", "1: deck.spyglass.size_limit: must not be negative"),
    ("deck: {spyglass: {lenses: [{required_files: ['(']}]}}", "1: deck.spyglass.lenses[0].required_files[0]: error"),
    ("deck: {spyglass: {lenses: [{optional_files: [x, '[']}]}}", "1: deck.spyglass.lenses[0].optional_files[1]: error"),
    (
        "deck: {spyglass: {gcs_browser_prefix: a, gcs_browser_prefixes: {'*': b}}}",
        "1: deck.spyglass.gcs_browser_prefixes.*: gcs_browser_prefix cannot be set beside",
    ),
    (
        "deck: {spyglass: {gcs_browser_prefix: a, gcs_browser_prefixes_by_bucket: {'*': b}}}",
        "1: deck.spyglass.gcs_browser_prefixes_by_bucket.*: gcs_browser_prefix cannot be set beside",
    ),
    (
        "deck: {external_agent_logs: [{selector: 'a in'}]}",
        '1: deck.external_agent_logs[0].selector: "a in" is no label',
    ),
    ("deck: {external_agent_logs: [{url_template: '{{'}]}", "1: deck.external_agent_logs[0].url_template: template:"),
    (
        "deck: {rerun_auth_configs: {'*': {}}, default_rerun_auth_configs: [{repo: o}]}",
        "1: deck.rerun_auth_configs: rerun_auth_configs and default_rerun_auth_configs cannot both be set",
    ),
    (
        "deck: {rerun_auth_configs: {o: {allow_anyone: true, github_orgs: [o]}}}",
        "1: deck.rerun_auth_configs.o: allow_anyone and a list of who may cannot both be set",
    ),
    ("deck: {additional_allowed_buckets: [b]}", "1: deck.additional_allowed_buckets: counts only with"),
    ("slack_reporter_configs:\n  o: {job_types_to_report: [periodic]}", "2: slack_reporter_configs.o: channel is"),
    (
        "slack_reporter_configs:\n  o: {channel: c, report_template: '{{.Nope}}'}",
        "2: slack_reporter_configs.o.report_template: template: report_template:1:",
    ),
    ("gerrit: {allowed_presubmit_trigger_re: '('}", "1: gerrit.allowed_presubmit_trigger_re: error parsing regexp"),
    ("gerrit: {deck_url: 'x y://'}", "1: gerrit.deck_url: "),
    (
        "branch-protection: {include: [a], exclude: [b]}",
        "1: branch-protection.include: include and exclude cannot both",
    ),
    ("pubsub_subscriptions: {p: [s]}\npubsub_triggers: [{project: p}]", "1: pubsub_subscriptions: "),
    ("jenkins_operators: [{label_selector: a=b}]", "1: jenkins_operators[0].label_selector: a single operator takes"),
    ("jenkins_operators: [{}, {label_selector: a=b}]", "1: jenkins_operators[0]: several operators each need"),
    (
        "jenkins_operators: [{label_selector: '='}, {label_selector: a=b}]",
        '1: jenkins_operators[0].label_selector: "="',
    ),
    ("jenkins_operators: [{max_concurrency: -1}]", "1: jenkins_operators[0].max_concurrency: must not be negative"),
    ("jenkins_operators: [{job_url_template: '{{if}}'}]", "1: jenkins_operators[0].job_url_template: template:"),
    (
        "gangway: {allowed_api_clients: [{allowed_jobs_filters: [{tenant_id: t}]}]}",
        "1: gangway.allowed_api_clients[0]: gcp",
    ),
    (
        "gangway:\n  allowed_api_clients:\n"
        "  - gcp: {endpoint_api_consumer_type: X, endpoint_api_consumer_number: '1'}\n"
        "    allowed_jobs_filters: [{tenant_id: t}]",
        '3: gangway.allowed_api_clients[0].gcp.endpoint_api_consumer_type: "X" must be PROJECT',
    ),
    (
        "gangway:\n  allowed_api_clients:\n"
        "  - gcp: {endpoint_api_consumer_type: PROJECT, endpoint_api_consumer_number: 1a}\n"
        "    allowed_jobs_filters: [{tenant_id: t}]",
        '3: gangway.allowed_api_clients[0].gcp.endpoint_api_consumer_number: "1a" must be a number',
    ),
    (
        "gangway:\n  allowed_api_clients:\n"
        "  - gcp: {endpoint_api_consumer_type: PROJECT, endpoint_api_consumer_number: 1}\n"
        "    allowed_jobs_filters: [{}]",
        "4: gangway.allowed_api_clients[0].allowed_jobs_filters[0]: tenant_id is missing",
    ),
    (
        "managed_webhooks: {org_repo_config: {o: {token_created_after: 2100-01-01T00:00:00Z}}}",
        "1: managed_webhooks.org_repo_config.o.token_created_after: 2100-01-01T00:00:00Z is in the future",
    ),
    (
        "managed_webhooks: {org_repo_config: {o: {token_created_after: 2100}}}",
        "1: managed_webhooks.org_repo_config.o.token_created_after: expected text in quotes",
    ),
    ("sinker: {max_pod_age: never}", '1: sinker.max_pod_age: time: invalid duration "never"'),
    ("default_job_timeout: 5", "1: default_job_timeout: expected text in quotes"),
    (
        "scheduler: {external: {url: u, cache: {entry_timeout_interval: x}}}",
        "1: scheduler.external.cache.entry_timeout",
    ),
]


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    found = problems(text)
    assert any(line.startswith(f"config.yaml:{told}") for line in found), found


def test_defaults_of_sections_that_are_not_there() -> None:
    config = load("").config
    assert config == Config(
        **{name: getattr(config, name) for name in ("in_repo_config", "deck", "tide", "gerrit", "sinker")}
    )
    assert config.in_repo_config.allowed_clusters == {"*": ("default",)}
    assert (config.tide.status_update_period, config.tide.sync_period_s) == ("1m", 60.0)
    assert config.deck.spyglass.size_limit == 100_000_000
    assert config.deck.spyglass.gcs_browser_prefixes == {"*": ""}
    assert (config.gerrit.ratelimit, config.gerrit.tick_interval_s) == (5, 60.0)
    assert config.sinker.terminated_pod_ttl_s == 86400.0


def test_older_forms_become_the_newer_ones() -> None:
    loaded = load(
        """
tide: {target_url: t, pr_status_base_url: p, sync_period: 2m, gerrit: {}}
deck:
  rerun_auth_configs: {o/r: {github_users: [u]}, '*': {allow_anyone: true}, o: {}}
  spyglass: {viewers: {b.txt: [build-log-viewer], a.txt: [x]}}
pubsub_subscriptions: {p: [one, two]}
jenkins_operators: [{report_template: x, max_goroutines: 0}]
sinker: {max_pod_age: 2h}
"""
    )
    config = loaded.config
    assert (config.tide.target_urls, config.tide.pr_status_base_urls) == ({"*": "t"}, {"*": "p"})
    assert config.tide.status_update_period_s == 120.0
    assert config.tide.gerrit is not None
    assert config.tide.gerrit.ratelimit == 5
    assert [entry.repo for entry in config.deck.default_rerun_auth_configs] == ["*", "o", "o/r"]
    assert [(lens.required_files, lens.lens.name) for lens in config.deck.spyglass.lenses] == [
        (("b.txt",), "build-log-viewer"),
        (("a.txt",), "x"),
    ]
    [trigger] = config.pubsub_triggers
    assert (trigger.topics, trigger.allowed_clusters, trigger.max_outstanding_messages) == (("one", "two"), ("*",), 10)
    [operator] = config.jenkins_operators
    assert (operator.report_templates, operator.max_goroutines) == ({"*": "x"}, 20)
    assert config.sinker.terminated_pod_ttl_s == 7200.0
    told = {str(warning) for warning in loaded.warnings}
    assert any("tide.pr_status_base_url: is deprecated" in warning for warning in told)
    assert any("deck.spyglass.viewers: is deprecated" in warning for warning in told)


def test_jenkins_may_replace_in_its_job_urls() -> None:
    text = "jenkins_operators: [{job_url_template: '{{replace `/` `_` .Spec.Job | printf `x/%s`}}'}]"
    [operator] = load(text).config.jenkins_operators
    template = gotemplate.parse(operator.job_url_template, further=frozenset({"replace"}))
    assert template.execute({"Spec": {"Job": "a/b"}}) == "x/a_b"


def test_queries_that_filter_alike_are_joined_within_a_tenant() -> None:
    config = load(
        """
prowjob_default_entries: [{repo: c, config: {tenant_id: t}}]
tide:
  queries:
  - {orgs: [b], labels: [z, x]}
  - {repos: [a/r], labels: [x, z]}
  - {orgs: [c], labels: [x, z]}
  - {orgs: [d], labels: [x]}
"""
    ).config
    assert sorted((query.orgs, query.repos, query.labels) for query in config.tide.queries) == [
        (("b",), ("a/r",), ("x", "z")),
        (("c",), (), ("x", "z")),
        (("d",), (), ("x",)),
    ]


def test_scopes_of_in_repo_configuration() -> None:
    """The narrowest word on `enabled` counts; clusters of all scopes add up."""
    section = load(
        "in_repo_config: {enabled: {'*': true, o: false, o/r: true, o/n: null}, allowed_clusters: {o: [a], o/r: [b]}}"
    ).config.in_repo_config
    enabled = {name: section.is_enabled(*name.split("/")) for name in ("x/y", "o/z", "o/r", "o/n")}
    assert enabled == {"x/y": True, "o/z": False, "o/r": True, "o/n": False}
    assert section.clusters("o", "r") == {"default", "a", "b"}
    assert section.clusters("x", "y") == {"default"}


PIPELINE = "agent: tekton-pipeline, tekton_pipeline_run_spec: {v1beta1: {pipelineSpec: {tasks: [TASKS]}}}"
REFS = "extra_refs: [{org: o, repo: r, base_ref: main}]"
TEKTON = [
    (
        f"periodics: [{{name: j, interval: 1h, {PIPELINE}}}]",
        "{name: PROW_IMPLICIT_GIT_REF}",
        "which a periodic has not",
    ),
    (f"periodics: [{{name: j, interval: 1h, {PIPELINE}, {REFS}}}]", "{name: x}", "number 0 is used by no task"),
    (
        f"periodics: [{{name: j, interval: 1h, {PIPELINE}, {REFS}}}]",
        "{taskRef: {name: PROW_EXTRA_GIT_REF_00}}, {name: PROW_EXTRA_GIT_REF_0}",
        "the number must not begin with 0",
    ),
    (
        f"periodics: [{{name: j, interval: 1h, {PIPELINE}, {REFS}}}]",
        "{name: PROW_EXTRA_GIT_REF_0}, {name: PROW_EXTRA_GIT_REF_1}",
        "PROW_EXTRA_GIT_REF_1 stands for no extra_ref: there are 1",
    ),
    (f"periodics: [{{name: j, interval: 1h, {PIPELINE}, {REFS}}}]", "{name: PROW_EXTRA_GIT_REF_0}", ""),
    (f"presubmits: {{o/r: [{{name: j, {PIPELINE}}}]}}", "{name: PROW_IMPLICIT_GIT_REF}", ""),
]


@pytest.mark.parametrize(("job", "tasks", "told"), TEKTON, ids=[f"{told or 'fine'}" for _, _, told in TEKTON])
def test_pipelines_refer_to_code_that_is_there(job: str, tasks: str, told: str) -> None:
    found = problems("", job.replace("TASKS", tasks))
    assert (told in "".join(found)) if told else found == []
    assert len(found) == bool(told)


def test_an_unknown_agent_is_warned_of_and_a_clone_uri_of_extra_refs_is_looked_at() -> None:
    loaded = load("", "periodics: [{name: j, interval: 1h, agent: mine}]")
    assert [str(warning) for warning in loaded.warnings] == [
        'jobs-0.yaml:1: job "j": agent: "mine" is none that Prow knows; nothing here will run the job'
    ]
    refs = "extra_refs: [{org: o, repo: r, clone_uri: 'https://%zz'}]"
    pod = "spec: {containers: [{image: i}]}"
    assert problems("", f"periodics: [{{name: j, interval: 1h, {pod}, {refs}}}]") == []
    [told] = problems("", f"periodics: [{{name: j, interval: 1h, {pod}, {refs}, clone_uri: 'https://x/y'}}]")
    assert "extra_refs: clone_uri: " in told
