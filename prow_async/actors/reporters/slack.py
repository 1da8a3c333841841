"""The Slack reporter: a message in a channel for the states that are asked for."""

from collections.abc import Hashable, Sequence

from prow_async.actors.reporters.reads import Reads
from prow_async.api import names
from prow_async.api.actions import Action, Decision
from prow_async.api.errors import Refused
from prow_async.api.views import JobView
from prow_async.core import crier_slack
from prow_async.ports.reporter import Judgement, Stage


class SlackReporter:
    """Implements ports/reporter.Reporter."""

    name = names.SLACK_REPORTER
    repeatable = False
    in_crowd = 4

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def silence(self, job: JobView) -> str | None:
        return crier_slack.silence(job, self._reads.config.current().config.slack_reporter_configs)

    def crowd(self, job: JobView) -> Hashable:
        return job.slack.channel if job.slack is not None else job.org

    def stages(self, job: JobView) -> Sequence[Stage]:
        return (Stage(self._message),)

    def judge(self, action: Action | None, error: Refused) -> Judgement:
        return "unknown"

    async def _message(self, job: JobView, again: bool) -> Decision:
        configs = self._reads.config.current().config.slack_reporter_configs
        whole = await self._reads.jobs.read_in_state(job)
        return crier_slack.decide(whole.job, crier_slack.settings_of(job, configs))
