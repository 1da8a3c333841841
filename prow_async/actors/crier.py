"""Reports how jobs stand: each reporter at its own pace, and one record on the ProwJob for all of them.

What is not recorded in prev_report_states is still to be reported, also after a restart.
"""

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import msgspec

from prow_async.actors import catch_up
from prow_async.actors.acks import Acks
from prow_async.actors.executor import Executor
from prow_async.actors.overlay import Overlay
from prow_async.actors.reporting import Reporting, Surroundings
from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView
from prow_async.core.enablement import Enablement
from prow_async.ports.clock import Clock
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics
from prow_async.ports.reporter import Reporter
from prow_async.runtime.keyed import KeyedActors


class Env(msgspec.Struct, frozen=True):
    clock: Clock
    metrics: Metrics
    written: Overlay[JobView]
    """ProwJobs as the watch and this process's own last writes tell."""
    source: Collection
    """ProwJobs, read afresh where a record meets another writer's."""
    enablement: Enablement = Enablement()
    inherited: Callable[[], bool] = lambda: False
    """Whether another crier's last writes may still be under way when we begin to report."""


class Crier:
    """All reporters."""

    def __init__(self, jobs: Store[JobView], reporters: Sequence[Reporter], executor: Executor, env: Env) -> None:
        self._jobs = jobs
        self._source = env.source
        self._enablement = env.enablement
        prompt = frozenset(reporter.name for reporter in reporters if not reporter.repeatable)
        self.acks = Acks(env.written, env.source, executor, env.metrics, prompt, self._owed)
        around = Surroundings(jobs, self.acks, executor, env.clock, env.metrics, self._enabled, env.inherited)
        self._ran = False
        self._reportings = tuple(Reporting(reporter, around) for reporter in reporters)
        jobs.subscribe(self._changed)

    async def run(self) -> None:
        """Report until cancelled; only with everything listed, or an old run might speak for a newer one.

        What was listed before we were to report may be behind by now: whoever reported meanwhile has told and recorded
        newer states, and nobody would ever tell them again over what we say.
        """
        listed_before = self._jobs.synced
        await self._jobs.wait_synced()
        if listed_before:
            await catch_up.level(self._source, self._jobs)
        if self._ran:
            self._start_anew()
        self._ran = True
        async with anyio.create_task_group() as group:
            group.start_soon(self.acks.run)
            for reporting in self._reportings:
                group.start_soon(reporting.run)

    def _start_anew(self) -> None:
        """Forget what we told before we were stopped: another process may have spoken since."""
        self.acks.restart()
        for reporting in self._reportings:
            reporting.restart()

    @property
    def families(self) -> Sequence[KeyedActors[str, Any]]:
        """All families of actors, for statistics."""
        return [*(reporting.actors for reporting in self._reportings), self.acks.actors]

    def __len__(self) -> int:
        """What is kept of jobs beside the store."""
        return len(self.acks) + sum(map(len, self._reportings))

    def hurry(self) -> None:
        """Put no record off any more: the process is about to end."""
        self.acks.hurry()

    def describe(self, job: JobView) -> list[str]:
        """Say in words, for each reporter, how a job's state stands with it."""
        lines = []
        for reporting in self._reportings:
            why = reporting.why_not(job) or "to be reported"
            lines.append(f"{reporting.reporter.name}: {job.state or '(no state)'}: {why}")
        return lines

    def _changed(self, change: Change[JobView]) -> None:
        if change.new is None:
            self.acks.forget(change.name)
            for reporting in self._reportings:
                reporting.forget(change.name)
            return
        self._look(change.new)

    def _look(self, job: JobView) -> None:
        self.acks.changed(job)
        for reporting in self._reportings:
            reporting.changed(job)

    def _owed(self, job: JobView) -> bool:
        return any(reporting.is_owed(job) for reporting in self._reportings)

    def _enabled(self, job: JobView) -> bool:
        """True when any repository of a job's refs is enabled here, or it has none."""
        repos = [full.rpartition("/")[::2] for full in job.extra_repos]
        if job.org:
            repos.append((job.org, job.repo))
        return not repos or any(self._enablement.enabled(org, repo) for org, repo in repos)
