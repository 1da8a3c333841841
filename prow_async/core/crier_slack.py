"""The Slack reporter: which states of which jobs are told, where, and in which words.

Source: upstream pkg/crier/reporters/slack/reporter.go, pkg/config/config.go (GetSlackReporter, its defaults).
"""

from collections.abc import Mapping

import msgspec

from prow_async.api.actions import Decision, PostSlackMessage
from prow_async.api.config import SlackReporter
from prow_async.api.prowjob import ProwJob, SlackReporterConfig
from prow_async.api.views import JobView
from prow_async.core import config_decoration, gotemplate

DEFAULT_HOST = "*"
DEFAULT_TEMPLATE = (
    "Job {{.Spec.Job}} of type {{.Spec.Type}} ended with state {{.Status.State}}. <{{.Status.URL}}|View logs>"
)
_NOTHING = SlackReporter()


class Settings(msgspec.Struct, frozen=True):
    """What holds for one job: its own settings, completed from those of its scope."""

    merged: SlackReporterConfig
    by_type: bool
    """Its type is among those that its scope reports."""
    by_channel: bool
    """It names a channel itself, which counts whatever its type."""


def settings_of(job: JobView, configs: Mapping[str, SlackReporter]) -> Settings:
    """Merge a job's own settings with those of its scope: `org/repo`, else org, else `*`; of no refs, `*`."""
    scope = _scope(job, configs)
    merged = config_decoration.filled(job.slack, scope) if job.slack is not None else scope
    assert merged is not None
    return Settings(merged, job.type in scope.job_types_to_report, job.slack is not None and bool(job.slack.channel))


def silence(job: JobView, configs: Mapping[str, SlackReporter]) -> str | None:
    """Say why Slack is told nothing of a job in its state; None when it is."""
    if job.slack is None and not configs:
        return "nothing is configured for Slack"
    settings = settings_of(job, configs)
    states = settings.merged.job_states_to_report
    if states is None or settings.merged.report is False:
        return "it is not to be told in Slack"
    if job.state not in states:
        return f"state {job.state or '(none)'} is not to be told in Slack"
    if not (settings.by_type or settings.by_channel):
        return f"a {job.type} is not to be told in Slack"
    return None


def decide(job: ProwJob, settings: Settings) -> Decision:
    """Return the message about a job. A template that does not execute is told in its place."""
    merged = settings.merged
    why = f"{job.spec.job} is {job.status.state}"
    try:
        text = gotemplate.parse(merged.report_template or DEFAULT_TEMPLATE).execute(job)
    except gotemplate.TemplateError as error:
        text = f"{why} (the report template does not execute: {error})"
    host = merged.host or DEFAULT_HOST
    return Decision((PostSlackMessage(host=host, channel=merged.channel, text=text, why=why),), why)


def _scope(job: JobView, configs: Mapping[str, SlackReporter]) -> SlackReporter:
    # An org of Gerrit is an address: what stands before the first slash is not all of it.
    org, repo = (job.org, job.repo) if job.org else next(iter(job.extra_repos), "").rpartition("/")[::2]
    keys = (f"{org}/{repo}", org, "*") if org else ("*",)
    return next((configs[key] for key in keys if key in configs), _NOTHING)
