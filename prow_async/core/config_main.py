"""Completes and checks the main configuration, jobs aside.

The larger sections have modules of their own beside this one.

Source: upstream pkg/config/config.go (finalize, validation and defaults of the prow part).
"""

from typing import TypeVar

import msgspec

from prow_async.api import config
from prow_async.api.config_sections import InRepoConfig, JenkinsOperator, PubSubTrigger
from prow_async.core import (
    config_deck,
    config_decoration,
    config_tide,
    durations,
    gotemplate,
    gotemplate_funcs,
    instants,
    patterns,
)
from prow_async.core.config_findings import Findings
from prow_async.core.goconvert import Finding

S = TypeVar("S", bound=msgspec.Struct)

LOG_LEVELS = frozenset({"panic", "fatal", "error", "warn", "warning", "info", "debug", "trace"})
_REPORTED = frozenset({"presubmit", "postsubmit"})
_ANY_SCOPE = "*"


def complete(raw: config.Config) -> tuple[config.Config, list[Finding], list[Finding]]:
    """Fill in what depends on other values, and check.

    Returns: the complete configuration, errors, warnings. With errors the configuration must not be used.
    """
    found = Findings()
    _check(raw, found)
    sinker = raw.sinker
    if not sinker.terminated_pod_ttl:
        sinker = msgspec.structs.replace(sinker, terminated_pod_ttl=sinker.max_pod_age)
    default = config.Config()
    done = msgspec.structs.replace(
        raw,
        prowjob_namespace=raw.prowjob_namespace or default.prowjob_namespace,
        pod_namespace=raw.pod_namespace or default.pod_namespace,
        log_level=raw.log_level or default.log_level,
        status_error_link=raw.status_error_link or default.status_error_link,
        plank=_plank(raw.plank, found),
        sinker=with_seconds(sinker),
        horologium=with_seconds(raw.horologium),
        github_reporter=_reporter(raw.github_reporter),
        github=msgspec.structs.replace(raw.github, link_url=raw.github.link_url or config.GitHubOptions().link_url),
        tide=with_seconds(config_tide.complete(raw.tide, raw.prowjob_default_entries, found)),
        deck=with_seconds(config_deck.complete(raw.deck, found)),
        gerrit=with_seconds(msgspec.structs.replace(raw.gerrit, ratelimit=raw.gerrit.ratelimit or 5)),
        push_gateway=with_seconds(raw.push_gateway),
        moonraker=with_seconds(raw.moonraker),
        in_repo_config=_in_repo(raw.in_repo_config),
        pubsub_subscriptions={},
        pubsub_triggers=_triggers(raw),
        jenkins_operators=tuple(_jenkins(operator, i, found) for i, operator in enumerate(raw.jenkins_operators)),
    )
    return done, found.errors, found.warnings


def future_problems(main: config.Config, now_s: float) -> list[Finding]:
    """Return what is dated in the future and must not be."""
    found = Findings()
    for scope, hook in main.managed_webhooks.org_repo_config.items():
        if hook.token_created_after and instants.seconds(hook.token_created_after) > now_s:
            path = ("managed_webhooks", "org_repo_config", scope, "token_created_after")
            found.wrong(f"{hook.token_created_after} is in the future", *path)
    return found.errors


def with_seconds(struct: S) -> S:
    """Fill each `NAME_s` from the duration text in `NAME`."""
    fields = struct.__struct_fields__
    timed = [name for name in fields if f"{name}_s" in fields]
    return msgspec.structs.replace(struct, **{f"{name}_s": durations.parse_s(getattr(struct, name)) for name in timed})


def _plank(plank: config.Plank, found: Findings) -> config.Plank:
    templates = _report_templates(plank.report_template, plank.report_templates, found, "plank")
    entries = plank.default_decoration_config_entries
    if plank.default_decoration_configs:
        entries = config_decoration.as_entries(plank.default_decoration_configs)
    return with_seconds(
        msgspec.structs.replace(
            plank,
            report_templates=templates,
            max_goroutines=plank.max_goroutines or config.Plank().max_goroutines,
            default_decoration_configs={},
            default_decoration_config_entries=entries,
        )
    )


def _report_templates(single: str, table: dict[str, str], found: Findings, *path: str | int) -> dict[str, str]:
    """Return the templates by scope, the deprecated single one among them."""
    if not single:
        return table
    found.warn("is deprecated; use report_templates with the key '*'", *path, "report_template")
    return {**table, _ANY_SCOPE: single}


def _jenkins(operator: JenkinsOperator, number: int, found: Findings) -> JenkinsOperator:
    templates = _report_templates(
        operator.report_template, operator.report_templates, found, "jenkins_operators", number
    )
    return msgspec.structs.replace(
        operator, report_templates=templates, max_goroutines=operator.max_goroutines or JenkinsOperator().max_goroutines
    )


def _reporter(reporter: config.GitHubReporter) -> config.GitHubReporter:
    if reporter.job_types_to_report:
        return reporter
    return msgspec.structs.replace(reporter, job_types_to_report=config.GitHubReporter().job_types_to_report)


def _in_repo(section: InRepoConfig) -> InRepoConfig:
    if _ANY_SCOPE in section.allowed_clusters:
        return section
    return msgspec.structs.replace(
        section, allowed_clusters={**section.allowed_clusters, _ANY_SCOPE: (config_decoration.DEFAULT_CLUSTER,)}
    )


def _triggers(raw: config.Config) -> tuple[PubSubTrigger, ...]:
    """Return the triggers; the older form allows every cluster."""
    older = tuple(PubSubTrigger(project, topics, (_ANY_SCOPE,)) for project, topics in raw.pubsub_subscriptions.items())
    default = PubSubTrigger().max_outstanding_messages
    return tuple(
        msgspec.structs.replace(trigger, max_outstanding_messages=trigger.max_outstanding_messages or default)
        for trigger in (*raw.pubsub_triggers, *older)
    )


def _check(raw: config.Config, found: Findings) -> None:
    if raw.log_level and raw.log_level.lower() not in LOG_LEVELS:
        text = f'"{raw.log_level}" is no log level; use one of {", ".join(sorted(LOG_LEVELS))}'
        found.wrong(text, "log_level")
    for kind in raw.github_reporter.job_types_to_report:
        if kind not in _REPORTED:
            text = f'"{kind}" cannot be reported; only presubmit and postsubmit can'
            found.wrong(text, "github_reporter", "job_types_to_report")
    found.url(raw.github.link_url, "github", "link_url")
    _check_plank(raw.plank, found)
    _check_jenkins(raw, found)
    found.pattern(raw.gerrit.allowed_presubmit_trigger_re, "gerrit", "allowed_presubmit_trigger_re")
    found.url(raw.gerrit.deck_url, "gerrit", "deck_url")
    protection = raw.branch_protection
    found.both(protection.include, protection.exclude, "include and exclude", "branch-protection", "include")
    names = "pubsub_subscriptions and pubsub_triggers"
    found.both(raw.pubsub_subscriptions, raw.pubsub_triggers, names, "pubsub_subscriptions")
    _check_slack(raw, found)
    _check_gangway(raw, found)
    _check_denylist(raw, found)


def _check_plank(plank: config.Plank, found: Findings) -> None:
    _check_agent(plank, found, "plank")
    names = "default_decoration_configs and default_decoration_config_entries"
    both = (plank.default_decoration_configs, plank.default_decoration_config_entries)
    found.both(*both, names, "plank", "default_decoration_configs")
    for scope, url in plank.job_url_prefix_config.items():
        found.url(url, "plank", "job_url_prefix_config", scope)


def _check_agent(agent: config.Plank | JenkinsOperator, found: Findings, *path: str | int) -> None:
    """Check what all controllers of agents have."""
    names = "report_template and report_templates"
    found.both(agent.report_template, agent.report_templates, names, *path, "report_template")
    if agent.max_concurrency < 0:
        found.wrong("must not be negative", *path, "max_concurrency")
    if agent.max_goroutines < 0:
        found.wrong("must not be negative", *path, "max_goroutines")
    further = gotemplate_funcs.FURTHER if isinstance(agent, JenkinsOperator) else frozenset()
    found.template(agent.job_url_template, *path, "job_url_template", further=further)
    found.template(agent.report_template, *path, "report_template")
    for scope, text in agent.report_templates.items():
        found.template(text, *path, "report_templates", scope)


def _check_jenkins(raw: config.Config, found: Findings) -> None:
    alone = len(raw.jenkins_operators) == 1
    for number, operator in enumerate(raw.jenkins_operators):
        path = ("jenkins_operators", number)
        _check_agent(operator, found, *path)
        found.selector(operator.label_selector, *path, "label_selector")
        if alone and operator.label_selector:
            found.wrong("a single operator takes every job: leave label_selector out", *path, "label_selector")
        if not alone and not operator.label_selector:
            found.wrong("several operators each need a label_selector", *path)


def _check_slack(raw: config.Config, found: Findings) -> None:
    for scope, reporter in raw.slack_reporter_configs.items():
        path = ("slack_reporter_configs", scope)
        if not reporter.channel:
            found.wrong("channel is missing", *path)
        try:
            gotemplate.parse(reporter.report_template, "report_template").execute(config_deck.EMPTY_PROWJOB)
        except gotemplate.TemplateError as error:
            found.wrong(str(error), *path, "report_template")


def _check_gangway(raw: config.Config, found: Findings) -> None:
    seen: set[tuple[str, str]] = set()
    for number, client in enumerate(raw.gangway.allowed_api_clients):
        path = ("gangway", "allowed_api_clients", number)
        if client.gcp is None:
            found.wrong("gcp is missing: it says who the client is", *path)
        else:
            kind, consumer = client.gcp.endpoint_api_consumer_type, client.gcp.endpoint_api_consumer_number
            if kind != "PROJECT":
                found.wrong(f'"{kind}" must be PROJECT', *path, "gcp", "endpoint_api_consumer_type")
            if not (consumer.isascii() and consumer.isdigit()):
                found.wrong(f'"{consumer}" must be a number', *path, "gcp", "endpoint_api_consumer_number")
            if (kind, consumer) in seen:
                found.wrong(f"{kind} {consumer} is listed twice", *path)
            seen.add((kind, consumer))
        if not client.allowed_jobs_filters:
            found.wrong("allowed_jobs_filters is empty: the client could reach no job", *path)
        for place, allowed in enumerate(client.allowed_jobs_filters):
            if not allowed.tenant_id:
                found.wrong("tenant_id is missing", *path, "allowed_jobs_filters", place)


def _check_denylist(raw: config.Config, found: Findings) -> None:
    """Warn of patterns that do not compile: upstream passes over them when they are used."""
    if raw.owners_dir_denylist is None:
        return
    repos = raw.owners_dir_denylist.repos.items()
    every = [(("default",), raw.owners_dir_denylist.default), *((("repos", scope), listed) for scope, listed in repos)]
    for path, listed in every:
        for text in listed:
            why = patterns.problem(text)
            if why:
                found.warn(f"passed over: {why}", "owners_dir_denylist", *path)
