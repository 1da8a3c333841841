"""The GitHub reporter: statuses of commits, and one comment with all that fails on a pull request."""

from collections.abc import Hashable, Sequence

import msgspec

from prow_async.actors import commit_index
from prow_async.actors.reporters.reads import Reads
from prow_async.api.actions import Action, Decision
from prow_async.api.config import Config
from prow_async.api.errors import Refused
from prow_async.api.github import Comment
from prow_async.api.views import JobView
from prow_async.core import crier_github, gotemplate, report
from prow_async.ports.reporter import Judgement, Stage


class GitHubReporter:
    """Implements ports/reporter.Reporter."""

    name = crier_github.REPORTER
    repeatable = True
    in_crowd = 8

    def __init__(self, reads: Reads) -> None:
        assert reads.github is not None, "the GitHub reporter needs a GitHub"
        self._reads = reads
        self._github = reads.github

    def silence(self, job: JobView) -> str | None:
        return crier_github.silence(job, self._reads.agent)

    def crowd(self, job: JobView) -> Hashable:
        return job.org, job.repo, job.pulls[0].number if job.pulls else job.base_sha

    def stages(self, job: JobView) -> Sequence[Stage]:
        status = Stage(self._status, ("status", *(commit_index.context_of(job) or (job.name,))))
        if not crier_github.has_comment(job):
            return (status,)
        return status, Stage(self._comment, ("pull", job.org, job.repo, job.pulls[0].number))

    def judge(self, action: Action | None, error: Refused) -> Judgement:
        return "never" if crier_github.is_hopeless(error.why) else "unknown"

    async def _status(self, job: JobView, again: bool) -> Decision:
        decision = crier_github.decide_status(self._facts(job))
        if not again or not decision.actions:
            return decision
        found = await self._github.combined_status(job.org, job.repo, report.status_sha(job))
        return crier_github.still_needed(decision, found)

    async def _comment(self, job: JobView, again: bool) -> Decision:
        facts = self._facts(job)
        if crier_github.wants_siblings(facts):
            siblings = tuple(self._reads.pulls.jobs_of(job.org, job.repo, job.pulls[0].number))
            facts = msgspec.structs.replace(facts, siblings=siblings)
        if crier_github.wants_comments(facts):
            bot_login, comments = await self._comments(job)
            extra = await self._template(job)
            facts = msgspec.structs.replace(facts, comments=comments, bot_login=bot_login, extra=extra)
        return crier_github.decide_comment(facts)

    def _facts(self, job: JobView) -> crier_github.Facts:
        context = commit_index.context_of(job)
        runs = self._reads.commits.runs_of(context) if context is not None else []
        return crier_github.Facts(
            job=job,
            settings=self._reads.config.current().config.github_reporter,
            superseded=any(_age(run) > _age(job) and run.type == job.type for run in runs),
            outdated=self._is_outdated(job),
        )

    async def _comments(self, job: JobView) -> tuple[str, tuple[Comment, ...]]:
        bot = await self._github.bot_user()
        return bot.login, await self._github.comments(job.org, job.repo, job.pulls[0].number)

    async def _template(self, job: JobView) -> str:
        """Execute the report template on the whole job; one that does not execute is told in its place."""
        template = _template_for(self._reads.config.current().config, job)
        if not template:
            return ""
        whole = await self._reads.jobs.read(job)
        try:
            return gotemplate.parse(template).execute(whole.job)
        except gotemplate.TemplateError as error:
            return f"(the report template does not execute: {error})"

    def _is_outdated(self, job: JobView) -> bool:
        """True when a newer run of the same context exists on the same pull request, whatever its commit."""
        if not crier_github.has_comment(job):
            return False
        others = self._reads.pulls.jobs_of(job.org, job.repo, job.pulls[0].number)
        return any(
            other.context == job.context and other.type == job.type and other.report and _age(other) > _age(job)
            for other in others
        )


def _template_for(config: Config, job: JobView) -> str:
    return config.scoped(config.plank.report_templates, job.org, job.repo, config.plank.report_template)


def _age(job: JobView) -> tuple[float, float, str]:
    return job.created_s, job.start_s or 0.0, job.name
