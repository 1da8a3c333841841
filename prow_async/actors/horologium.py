"""Starts periodics: looks at the newest run of each and at the clock, asks core/horologium, creates what is due.

Names are derived from the slot (or from the previous run), so any number of replicas and restarts create one object.
"""

import anyio
import msgspec
import structlog

from prow_async.actors.executor import Executor
from prow_async.actors.store import Change, Store
from prow_async.api import actions, names
from prow_async.api.errors import ProwError, Refused
from prow_async.api.jobconfig import Periodic
from prow_async.api.views import JobView
from prow_async.core import horologium, identity, newjob
from prow_async.ports.clock import Clock
from prow_async.ports.config import ConfigSource
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()


class Env(msgspec.Struct, frozen=True):
    config: ConfigSource
    clock: Clock
    metrics: Metrics
    installation: str


class Horologium:
    """One ticker for all periodics."""

    def __init__(self, jobs: Store[JobView], executor: Executor, env: Env) -> None:
        self._jobs = jobs
        self._executor = executor
        self._env = env
        self._runs: dict[str, set[str]] = {}
        self._ticked: dict[str, float] = {}
        """When each periodic was last looked at with success: a slot that could not be started stays due."""
        self._pretended: set[str] = set()
        """Names that a dry run would have created: told once."""
        jobs.subscribe(self._changed)

    def _changed(self, change: Change[JobView]) -> None:
        job = change.new or change.old
        if job is None or job.type != "periodic":
            return
        runs = self._runs.setdefault(job.job, set())
        if change.new is not None:
            runs.add(change.name)
        else:
            runs.discard(change.name)
            if not runs:
                del self._runs[job.job]

    def _last(self, name: str) -> JobView | None:
        found = [job for run in self._runs.get(name, ()) if (job := self._jobs.get(run)) is not None]
        return max(found, key=lambda job: (job.start_s or job.created_s, job.created_s, job.name), default=None)

    async def run(self) -> None:
        """Tick until cancelled, at once and then every horologium.tick_interval.

        Run again, it counts as just started: others may have started runs meanwhile.
        """
        self._ticked.clear()
        await self._jobs.wait_synced()
        while True:
            now_s = self._env.clock.now()
            snapshot = self._env.config.current()
            for periodic in snapshot.config.periodics:
                if await self._tick(periodic, self._ticked.get(periodic.name), now_s):
                    self._ticked[periodic.name] = now_s
            await anyio.sleep(snapshot.config.horologium.tick_interval_s)

    async def _tick(self, periodic: Periodic, last_tick_s: float | None, now_s: float) -> bool:
        """Start the periodic if it is due. False: it is due but could not be started, look again."""
        decided = horologium.decide(periodic, self._last(periodic.name), last_tick_s, now_s)
        if not decided.start:
            return True
        installation = self._env.installation
        name = identity.name_for(
            installation, "horologium", "", "periodic", periodic.name, decided.key, retry=decided.retry
        )
        if self._jobs.get(name) is not None or name in self._pretended:
            return True
        config = self._env.config.current().config
        namespace = config.prowjob_namespace
        labels = {**periodic.labels}
        if decided.retry:
            labels[names.RERUN_LABEL] = str(decided.retry)
        birth = newjob.Birth(name, namespace, now_s, f"horologium: {decided.why}", newjob.first_state(config))
        job = newjob.new_prowjob(newjob.periodic_spec(periodic), labels, periodic.annotations, birth)
        create = actions.CreateProwJob(job=job, why=decided.why)
        try:
            await self._executor.perform(create, periodic.name)
        except Refused as error:
            log.warning("periodic not started", job=periodic.name, why=error.why)
            return True
        except ProwError as error:
            log.warning("periodic will be started on a later tick", job=periodic.name, why=str(error))
            return False
        if self._executor.dry_run:
            self._pretended.add(name)
            log.info("periodic would be started", job=periodic.name, why=decided.why)
            return True
        log.info("periodic started", job=periodic.name, prowjob=name, why=decided.why)
        return True
