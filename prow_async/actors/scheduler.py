"""Gives ProwJobs in the state `scheduling` their cluster, and lets their agent have them."""

from collections.abc import Iterator
from typing import Literal

import anyio
import msgspec
import structlog

from prow_async.actors.executor import Executor
from prow_async.actors.store import Change, Store
from prow_async.api import actions
from prow_async.api.errors import Missing, Refused, Retry, Stale
from prow_async.api.views import JobView
from prow_async.core import jobview, scheduler
from prow_async.ports.config import ConfigSource
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics
from prow_async.ports.web import Web
from prow_async.runtime.keyed import KeyedActors, Limits
from prow_async.runtime.story import Stories

log = structlog.get_logger()
Wake = Literal["job", "again"]
TRIES = 5
"""While others write in between; after that the turn is taken again later."""
MAX_REMEMBERED = 10_000
WHO = "the external scheduler"
"""Not its address, which may hold a password: logs and job pages tell of it."""


class Env(msgspec.Struct, frozen=True):
    config: ConfigSource
    metrics: Metrics
    stories: Stories
    web: Web


class Scheduler:
    """The family of schedulers, one for each job that waits for its cluster."""

    def __init__(self, jobs: Store[JobView], source: Collection, executor: Executor, env: Env) -> None:
        self._jobs = jobs
        self._source = source
        self._executor = executor
        self._env = env
        self._remembered: dict[str, tuple[str, float]] = {}
        self.actors: KeyedActors[str, Wake] = KeyedActors(
            "scheduler", self._turn, self._failed, "again", Limits(seed=self._seed)
        )
        jobs.subscribe(self._changed)

    async def run(self) -> None:
        await self.actors.run()

    def _seed(self) -> Iterator[str]:
        return (job.name for job in self._jobs if _waits(job))

    def _changed(self, change: Change[JobView]) -> None:
        if change.new is None or change.new.state != "scheduling":
            self.actors.forget(change.name)
        elif _waits(change.new):
            self.actors.post(change.name, "job")

    def _failed(self, name: str, error: Exception, failures: int) -> None:
        self._env.stories.add(name, f"not scheduled ({failures}): {error}")
        if isinstance(error, Retry | Stale | Refused):
            log.warning("scheduling will be tried again", prowjob=name, why=str(error), failures=failures)
            return
        self._env.metrics.count("prow_async_actor_restarts_total", actor="scheduler")
        log.error("scheduler died; it starts anew", prowjob=name, exc_info=error)

    async def _turn(self, name: str, mails: list[Wake]) -> float | None:
        job = self._jobs.get(name)
        if job is None or not _waits(job):
            return None
        found = scheduler.decide(job, self._env.config.current().config.scheduler)
        if isinstance(found, scheduler.Ask):
            found = await self._asked(job, found)
        self._env.stories.add(name, f"goes to cluster {found.cluster}: {found.why}")
        return await self._send(job, found)

    async def _send(self, job: JobView, found: scheduler.Go) -> float | None:
        for _ in range(TRIES):
            action = actions.PatchProwJob(
                namespace=job.namespace,
                name=job.name,
                patch=scheduler.patch(found.cluster),
                resource_version=job.resource_version,
                why=found.why,
            )
            try:
                await self._executor.perform(action, job.name)
                break
            except Missing:
                return None
            except Stale:
                fresh = jobview.read(await self._source.get(job.name))
                if not _waits(fresh) or fresh.uid != job.uid:
                    return None
                job = fresh
        else:
            raise Retry(f"ProwJob {job.name} changed {TRIES} times while it was being given its cluster")
        if not self._executor.dry_run:
            log.info("cluster assigned", prowjob=job.name, job=job.job, cluster=found.cluster, why=found.why)
        return None

    async def _asked(self, job: JobView, ask: scheduler.Ask) -> scheduler.Go:
        """Ask the service, or remember what it said. Where it says nothing of use, the job's own cluster stands."""
        now_s, external = anyio.current_time(), self._env.config.current().config.scheduler.external
        fresh_s = scheduler.fresh_s(external.cache) if external is not None else 0.0
        cluster, at_s = self._remembered.get(job.job, ("", 0.0))
        if cluster and now_s - at_s < fresh_s:
            return scheduler.Go(cluster, f"{WHO} said so {now_s - at_s:.0f} s ago")
        try:
            answer = await self._env.web.ask("POST", ask.url, ask.body)
        except (Retry, Refused) as error:
            why = str(error)
        else:
            cluster = scheduler.answered(answer.status, answer.body)
            if cluster:
                self._remember(job.job, cluster, now_s, fresh_s)
                return scheduler.Go(cluster, f"{WHO} says so")
            why = f"{answer.status} {answer.body[:100]!r}"
        log.warning("scheduling failed, the job's own cluster stands", job=job.job, cluster=job.cluster, why=why)
        return scheduler.Go(job.cluster, f"as the job says: {WHO} named none: {why}")

    def _remember(self, job: str, cluster: str, now_s: float, fresh_s: float) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered = {k: v for k, v in self._remembered.items() if now_s - v[1] < fresh_s}
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
        self._remembered[job] = (cluster, now_s)


def _waits(job: JobView) -> bool:
    return job.state == "scheduling" and not job.complete and not job.deleting
