"""Tells GitHub how jobs stand: one actor per ProwJob, one report at a time per pull request.

What was reported is recorded on the ProwJob; whatever is not recorded is still to be reported, also after a restart.
Of several runs under one context of one commit only the newest speaks.
"""

from typing import Literal

import anyio
import msgspec
import structlog

from prow_async.actors.executor import Executor
from prow_async.actors.pull_index import PullIndex
from prow_async.actors.store import Change, Store
from prow_async.api import names
from prow_async.api.actions import Decision
from prow_async.api.config import Config
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.api.views import JobView
from prow_async.core import crier, gotemplate, jobview, objects
from prow_async.core.enablement import Enablement
from prow_async.ports import cause as causes
from prow_async.ports.clock import Clock
from prow_async.ports.config import ConfigSource
from prow_async.ports.github import GitHub
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics
from prow_async.runtime.backoff import Backoff
from prow_async.runtime.keyed import KeyedActors, Limits

log = structlog.get_logger()
Wake = Literal["job"]
PARKED_AFTER = 5
"""A refusal that is not known to be hopeless is tried this often before the report is parked until the next state."""


class Env(msgspec.Struct, frozen=True):
    config: ConfigSource
    clock: Clock
    metrics: Metrics
    source: Collection
    """ProwJobs: the whole object is read where a report template is to be executed on it."""
    agent: str = ""
    """Report only jobs of this agent; empty means all."""
    enablement: Enablement = Enablement()


class Crier:
    """The GitHub reporter."""

    def __init__(self, jobs: Store[JobView], pulls: PullIndex, github: GitHub, executor: Executor, env: Env) -> None:
        self._jobs = jobs
        self._pulls = pulls
        self._github = github
        self._executor = executor
        self._env = env
        self._locks: dict[tuple[str, str, int], anyio.Lock] = {}
        self._refusals: dict[str, int] = {}
        self._told: dict[str, str] = {}
        """What was recorded, until the watch shows it: name -> state."""
        self.actors: KeyedActors[str, Wake] = KeyedActors(
            "crier", self._turn, self._failed, "job", Limits(backoff=Backoff(1.0, 300.0), waited=self._waited)
        )
        jobs.subscribe(self._changed)

    async def run(self) -> None:
        """Report until cancelled; only with everything listed, or an old run might speak for a newer one."""
        await self._jobs.wait_synced()
        await self.actors.run()

    def _changed(self, change: Change[JobView]) -> None:
        job = change.new
        if job is None:
            self._forget(change.name)
            return
        if self._told.get(job.name) == job.reported.get(crier.REPORTER):
            self._told.pop(job.name, None)
        if change.old is not None and change.old.state != job.state:
            self._refusals.pop(job.name, None)
        if self._silent(job) is None:
            self.actors.post(job.name, "job")

    def _waited(self, seconds: float) -> None:
        self._env.metrics.observe("prow_async_event_age_seconds", seconds, actor="crier")

    def _forget(self, name: str) -> None:
        self.actors.forget(name)
        self._refusals.pop(name, None)
        self._told.pop(name, None)

    def _facts(self, job: JobView) -> crier.Facts:
        return crier.Facts(job=job, settings=self._env.config.current().config.github_reporter, agent=self._env.agent)

    def _silent(self, job: JobView) -> str | None:
        """Say why nothing is reported of a job, None when it is; any enabled repository of its refs will do."""
        repos = [job.full_name, *job.extra_repos] if job.org else list(job.extra_repos)
        allowed = self._env.enablement
        if repos and not any(allowed.enabled(*full.partition("/")[::2]) for full in repos):
            return "none of its repositories is enabled in this process"
        return crier.silence(self._facts(job))

    def _failed(self, name: str, error: Exception, failures: int) -> None:
        self._env.metrics.count("crier_reporting_results", reporter=crier.REPORTER, result="ERROR")
        if isinstance(error, ProwError):
            log.warning("report will be tried again", prowjob=name, why=str(error), failures=failures)
            return
        self._env.metrics.count("prow_async_actor_restarts_total", actor="crier")
        log.error("crier's turn failed", prowjob=name, failures=failures, exc_info=error)

    async def _turn(self, name: str, mails: list[Wake]) -> float | None:
        job = self._jobs.get(name)
        if job is None or self._told.get(name) == job.state or self._silent(job) is not None:
            return None
        guid = {names.EVENT_GUID: job.event_guid} if job.event_guid else {}
        cause = causes.Cause(name, "crier")
        with structlog.contextvars.bound_contextvars(prowjob=name, **guid), causes.because(cause):
            await self._in_turn(job)
        return None

    async def _in_turn(self, job: JobView) -> None:
        """Report, one job of a pull request at a time."""
        name = job.name
        if job.type == "presubmit" and len(job.pulls) == 1:
            key = (job.org, job.repo, job.pulls[0].number)
            lock = self._locks.setdefault(key, anyio.Lock())
            try:
                async with lock:
                    await self._report(name)
            finally:
                if not lock.statistics().tasks_waiting and not lock.locked():
                    self._locks.pop(key, None)
            return
        await self._report(name)

    async def _report(self, name: str) -> None:
        """Gather, decide, act; the job may have moved on while its pull request was busy."""
        job = self._jobs.get(name)
        if job is None or self._told.get(name) == job.state:
            return
        if self._superseded(job):
            await self._act(job, Decision((crier.record(job),), "a newer run of this context speaks for it"))
            return
        facts = await self._gather(job)
        try:
            await self._act(job, crier.decide(facts))
        except Retry:
            raise
        except Missing as error:
            log.info("nothing there to report to", why=error.why)
            await self._act(job, Decision((crier.record(job),), error.why))
        except Refused as error:
            await self._refused(facts, error)
        self._refusals.pop(name, None)
        self._env.metrics.count("crier_reporting_results", reporter=crier.REPORTER, result="SUCCESS")
        if job.completion_s is not None:
            latency_s = max(0.0, self._env.clock.now() - job.completion_s)
            self._env.metrics.observe("crier_report_latency", latency_s, reporter=crier.REPORTER)

    async def _gather(self, job: JobView) -> crier.Facts:
        facts = msgspec.structs.replace(self._facts(job), outdated=bool(self._newer(job)))
        if crier.wants_siblings(facts):
            siblings = tuple(self._pulls.jobs_of(job.org, job.repo, job.pulls[0].number))
            facts = msgspec.structs.replace(facts, siblings=siblings)
        if crier.wants_comments(facts):
            bot = await self._github.bot_user()
            comments = await self._github.comments(job.org, job.repo, job.pulls[0].number)
            extra = await self._template(job)
            facts = msgspec.structs.replace(facts, comments=comments, bot_login=bot.login, extra=extra)
        return facts

    async def _template(self, job: JobView) -> str:
        """Execute the report template on the whole job; one that does not execute is told in its place."""
        template = _template_for(self._env.config.current().config, job)
        if not template:
            return ""
        try:
            full = jobview.read_full(await self._env.source.get(job.name))
            return gotemplate.parse(template).execute(full)
        except (gotemplate.TemplateError, objects.Unreadable) as error:
            return f"(the report template does not execute: {error})"

    def _newer(self, job: JobView) -> list[JobView]:
        """Return newer runs of the same context on the same pull request, whatever their commit."""
        if job.type != "presubmit" or len(job.pulls) != 1:
            return []
        return [
            other
            for other in self._pulls.jobs_of(job.org, job.repo, job.pulls[0].number)
            if other.name != job.name
            and other.context == job.context
            and other.type == job.type
            and other.report
            and _age(other) > _age(job)
        ]

    def _superseded(self, job: JobView) -> bool:
        """True when a newer run of the same context on the same commit exists."""
        return any([p.sha for p in other.pulls] == [job.pulls[0].sha] for other in self._newer(job))

    async def _act(self, job: JobView, decision: Decision) -> None:
        for action in decision.actions:
            try:
                await self._executor.perform(action, job.name)
            except Missing:
                if action is decision.actions[-1] and self._jobs.get(job.name) is None:
                    return  # the ProwJob itself is gone: nobody will ask again
                raise
        if decision.actions:
            self._told[job.name] = job.state
            log.info(
                "would be reported" if self._executor.dry_run else "reported",
                job=job.job,
                state=job.state,
                why=decision.why,
            )

    async def _refused(self, facts: crier.Facts, error: Refused) -> None:
        """GitHub said no. Hopeless: recorded as told. Otherwise tried a few times, then left until the next state."""
        name = facts.job.name
        given_up = crier.after_refusal(facts, error.why)
        refusals = self._refusals[name] = self._refusals.get(name, 0) + 1
        if given_up is None and refusals < PARKED_AFTER:
            raise error
        if given_up is not None:
            log.warning("report given up", why=given_up.why)
            await self._act(facts.job, given_up)
            return
        self._env.metrics.count("crier_reporting_results", reporter=crier.REPORTER, result="ERROR")
        log.error("report parked: GitHub keeps refusing it", why=error.why, tries=refusals)


def _template_for(config: Config, job: JobView) -> str:
    return config.scoped(config.plank.report_templates, job.org, job.repo, config.plank.report_template)


def _age(job: JobView) -> tuple[float, float, str]:
    return job.created_s, job.start_s or 0.0, job.name
