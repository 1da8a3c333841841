"""Starts periodics: looks at the newest run of each and at the clock, asks core/horologium, creates what is due.

Names are derived from the slot (or from the previous run), so any number of replicas and restarts create one object.
At a tick only those are looked at whose time has come, or of whose runs there is news.
"""

import anyio
import msgspec
import structlog

from prow_async.actors.agenda import Agenda
from prow_async.actors.executor import Executor
from prow_async.actors.store import Change, Store
from prow_async.api import actions, names
from prow_async.api.errors import ProwError, Refused
from prow_async.api.jobconfig import Periodic
from prow_async.api.prowjob import ProwJob
from prow_async.api.views import JobView
from prow_async.core import cron_slots, horologium, identity, newjob
from prow_async.ports.clock import Clock
from prow_async.ports.config import ConfigSource, Snapshot
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
AT_ONCE = 16
"""So many are started side by side."""
REFUSED_AGAIN_S = 600.0
"""What was refused is tried again after so long at the latest: somebody may have mended it."""
SHORTEST_TICK_S = 0.1
"""No interval is taken for shorter."""
SHOWN = 5000
"""At most so many periodics have their next start on the metrics page: those that come first."""


class Env(msgspec.Struct, frozen=True):
    config: ConfigSource
    clock: Clock
    metrics: Metrics
    installation: str
    rules: cron_slots.Rules = cron_slots.Rules()
    """For periodics whose annotations say nothing."""


class Horologium:
    """One ticker for all periodics."""

    def __init__(self, jobs: Store[JobView], executor: Executor, env: Env) -> None:
        self._jobs = jobs
        self._executor = executor
        self._env = env
        self._runs: dict[str, set[str]] = {}
        self._periodics: dict[str, Periodic] = {}
        self._rules: dict[str, cron_slots.Rules] = {}
        self._snapshot: Snapshot | None = None
        self._agenda = Agenda()
        self._looked: dict[str, float] = {}
        """When each periodic was last looked at with success: a slot that could not be started stays due."""
        self._next: dict[str, float] = {}
        self._shown: dict[str, float] = {}
        self._pretended: dict[str, str] = {}
        """By periodic, the name a dry run would have created last: told once."""
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
        self._agenda.now(job.job)

    async def run(self) -> None:
        """Tick until cancelled, at once and then every horologium.tick_interval.

        Run again, it counts as just started: others may have started runs meanwhile.
        """
        await self._jobs.wait_synced()
        self._looked.clear()  # who begins again does not know what it did not see
        self._snapshot = None
        while True:
            await self.tick()
            await anyio.sleep(max(SHORTEST_TICK_S, self._env.config.current().config.horologium.tick_interval_s))

    async def tick(self) -> None:
        """Look at every periodic that needs it."""
        now_s = self._env.clock.now()
        self._follow_config(now_s)
        room = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as group:
            for number, name in enumerate(self._agenda.take(now_s)):
                periodic = self._periodics.get(name)
                if periodic is None:
                    continue
                verdict = self._decide(periodic, now_s)
                if verdict.start:
                    group.start_soon(self._start_in, room, periodic, verdict, now_s)
                if number % 100 == 99:
                    await anyio.lowlevel.checkpoint()
        self._measure()

    def _follow_config(self, now_s: float) -> None:
        """Look at everything anew when the configuration is another one."""
        snapshot = self._env.config.current()
        if snapshot is self._snapshot:
            return
        first, before = self._snapshot is None, self._periodics
        self._snapshot = snapshot
        self._periodics = {periodic.name: periodic for periodic in snapshot.config.periodics}
        self._rules.clear()
        for name, periodic in self._periodics.items():
            self._rules[name], wrong = cron_slots.rules_of(periodic, self._env.rules)
            if wrong:
                where = f"{periodic.source.file}:{periodic.source.line}"
                log.warning("annotations of a periodic are not heeded", job=name, where=where, why=wrong)
            if not first and (name not in before or before[name].cron != periodic.cron):
                self._looked[name] = now_s  # slots before its schedule was in force are none
            self._agenda.now(name)
        for gone in [name for name in self._looked if name not in self._periodics]:
            del self._looked[gone]
        self._next = {name: at for name, at in self._next.items() if name in self._periodics}

    def _decide(self, periodic: Periodic, now_s: float) -> horologium.Verdict:
        """Decide on one, and note when it is to be looked at again."""
        name = periodic.name
        known = self._known(name, now_s)
        verdict = horologium.decide(periodic, known, self._rules[name], now_s)
        if verdict.next_s is None:
            self._next.pop(name, None)
        else:
            self._next[name] = verdict.next_s
        if verdict.look_s is not None:
            self._agenda.at(name, verdict.look_s)
        if not verdict.start:
            self._looked[name] = now_s
        return verdict

    def _known(self, name: str, now_s: float) -> horologium.Known:
        runs = [job for run in self._runs.get(name, ()) if (job := self._jobs.get(run)) is not None]
        return horologium.Known(horologium.newest(runs), horologium.latest_slot(runs, now_s), self._looked.get(name))

    async def _start_in(
        self, room: anyio.CapacityLimiter, periodic: Periodic, verdict: horologium.Verdict, now_s: float
    ) -> None:
        async with room:
            if await self._start(periodic, verdict, now_s):
                self._looked[periodic.name] = now_s

    async def _start(self, periodic: Periodic, verdict: horologium.Verdict, now_s: float) -> bool:
        """Start the periodic. False: it stays due, and is in the agenda."""
        name = identity.name_for(
            self._env.installation, "horologium", "", "periodic", periodic.name, verdict.key, retry=verdict.retry
        )
        if self._jobs.get(name) is not None or self._pretended.get(periodic.name) == name:
            return True
        create = actions.CreateProwJob(job=self._job(name, periodic, verdict, now_s), why=verdict.why)
        try:
            await self._executor.perform(create, periodic.name)
        except Refused as error:
            log.warning("periodic not started", job=periodic.name, why=error.why)
            self._agenda.at(periodic.name, now_s + REFUSED_AGAIN_S)
            return False
        except ProwError as error:
            log.warning("periodic will be started on a later tick", job=periodic.name, why=str(error))
            self._agenda.now(periodic.name)
            return False
        if self._executor.dry_run:
            self._pretended[periodic.name] = name
            log.info("periodic would be started", job=periodic.name, why=verdict.why)
            return True
        if verdict.due_s is not None:
            self._env.metrics.observe("prow_async_periodic_lateness_seconds", max(0.0, now_s - verdict.due_s))
        log.info("periodic started", job=periodic.name, prowjob=name, why=verdict.why)
        return True

    def _job(self, name: str, periodic: Periodic, verdict: horologium.Verdict, now_s: float) -> ProwJob:
        config = self._env.config.current().config
        labels, annotations = {**periodic.labels}, {**periodic.annotations}
        if verdict.retry:
            labels[names.RERUN_LABEL] = str(verdict.retry)
        annotations.pop(names.SLOT, None)  # a run's own, not its configuration's
        if verdict.slot:
            annotations[names.SLOT] = verdict.slot
        state, why = newjob.first_state(config), f"horologium: {verdict.why}"
        birth = newjob.Birth(name, config.prowjob_namespace, now_s, why, state)
        return newjob.new_prowjob(newjob.periodic_spec(periodic), labels, annotations, birth)

    def _measure(self) -> None:
        if self._next == self._shown:
            return
        self._shown = dict(self._next)
        soonest = sorted((at, name) for name, at in self._next.items())[:SHOWN]
        rows = [({"job_name": name}, at) for at, name in soonest]
        self._env.metrics.replace("prow_async_periodic_next_start_timestamp_seconds", rows)
