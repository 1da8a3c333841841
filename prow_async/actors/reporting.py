"""One reporter at work: one actor per ProwJob, with its own pace, so that no reporter waits for another.

A turn reports the state that the job has now. What has moved on meanwhile is left to the next turn: the newest wins.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Literal

import anyio
import msgspec
import structlog

from prow_async.actors import doubts
from prow_async.actors.acks import Acks
from prow_async.actors.executor import Executor
from prow_async.actors.lanes import Lanes
from prow_async.actors.store import Store
from prow_async.actors.whole_jobs import Moved
from prow_async.api import names
from prow_async.api.actions import Action
from prow_async.api.errors import ProwError, Refused, Retry
from prow_async.api.views import JobView
from prow_async.core import crier
from prow_async.ports import cause as causes
from prow_async.ports.clock import Clock
from prow_async.ports.metrics import Metrics
from prow_async.ports.reporter import Reporter, Stage
from prow_async.runtime.backoff import Backoff
from prow_async.runtime.bound import Bound
from prow_async.runtime.keyed import KeyedActors, Limits

log = structlog.get_logger()
Wake = Literal["job"]
BEHIND_S = 10.0
"""So long the watch is given to show what a fresh read has told already."""


class Surroundings(msgspec.Struct, frozen=True):
    jobs: Store[JobView]
    acks: Acks
    executor: Executor
    clock: Clock
    metrics: Metrics
    enabled: Callable[[JobView], bool]
    """Says whether a job belongs to the repositories that this process handles."""
    inherited: Callable[[], bool]
    """Says whether another crier's last writes may still be under way when we begin to report."""


class _Trouble(msgspec.Struct):
    """Refusals of one state of one job."""

    state: str
    tries: int = 0
    rests: bool = False


class Reporting:
    """All reports of one reporter."""

    def __init__(self, reporter: Reporter, around: Surroundings) -> None:
        self.reporter = reporter
        self._around = around
        self._lanes = Lanes()
        self._troubles: dict[str, _Trouble] = {}
        self._doubts = doubts.Doubts()
        self.actors: KeyedActors[str, Wake] = KeyedActors(
            f"crier {reporter.name}",
            self._turn,
            self._failed,
            "job",
            Limits(
                512, self._crowd, reporter.in_crowd, backoff=Backoff(1.0, 300.0), waited=self._waited, seed=self._seed
            ),
        )

    def _seed(self) -> Iterator[str]:
        return (job.name for job in self._around.jobs if self.is_owed(job))

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            if self.reporter.repeatable and self._around.inherited():
                self._doubts.begin()
                group.start_soon(self._repeat)
            await self.actors.run()

    async def _repeat(self) -> None:
        """Tell once more what was told while a predecessor's writes may have been under way, and record it then; see
        actors/doubts.
        """
        await anyio.sleep(doubts.LATE_S)
        for name in self._doubts.end():
            self.actors.post(name, "job")

    def restart(self) -> None:
        self._troubles.clear()
        self._doubts = doubts.Doubts()

    def changed(self, job: JobView) -> None:
        if self.is_owed(job):
            self.actors.post(job.name, "job")

    def forget(self, name: str) -> None:
        self._troubles.pop(name, None)
        self._doubts.forget(name)
        self.actors.forget(name)

    def __len__(self) -> int:
        """Jobs whose reports are in trouble."""
        return len(self._troubles)

    def is_owed(self, job: JobView) -> bool:
        """True when the job's state has still to be reported, and is not left alone."""
        return self.why_not(job) is None

    def why_not(self, job: JobView) -> str | None:
        """Say why a job's state is not to be reported now; None when it is."""
        reporter = self.reporter.name
        if job.name not in self._doubts:
            if crier.acknowledged(job, reporter):
                return "recorded"
            if self._around.acks.state(job, reporter) == job.state:
                return "told, not recorded yet"
            if self._doubts.holds(job):
                return "told, and to be told once more before it is recorded"
        trouble = self._troubles.get(job.name)
        if trouble is not None and trouble.rests and trouble.state == job.state:
            return "refused too often: left alone until the next state or a restart"
        why = self.reporter.silence(job)
        if why is None and not self._around.enabled(job):
            return "none of its repositories is enabled in this process"
        return why

    async def _turn(self, name: str, mails: list[Wake]) -> float | None:
        job = self._around.jobs.get(name)
        if job is None or not self.is_owed(job):
            self._doubts.settle(name)
            return None
        guid = {names.EVENT_GUID: job.event_guid} if job.event_guid else {}
        with Bound(prowjob=name, reporter=self.reporter.name, **guid), causes.because(causes.Cause(name, "crier")):
            try:
                await self._report(job)
            except Moved:
                return BEHIND_S
            except Retry as error:
                if error.after_s is None:
                    raise
                self._failed(name, error, 1)
                return error.after_s
        return None

    async def _report(self, job: JobView) -> None:
        whys = []
        for stage in self.reporter.stages(job):
            why = await self._stage(job, stage)
            if why is None:
                return
            whys.append(why)
        self._done(job, "; ".join(whys))

    async def _stage(self, job: JobView, stage: Stage) -> str | None:
        """Gather, decide, act, in our turn; return why. None: the job has moved on, or the report was refused."""
        async with self._lanes.hold(stage.lane):
            now = self._around.jobs.get(job.name)
            if now is None or now.uid != job.uid or now.state != job.state:
                return None  # its news is in the mailbox
            action: Action | None = None
            try:
                decision = await stage.decide(now, now.name in self._doubts)
                for action in decision.actions:
                    await self._perform(action, job.name)
            except Refused as error:
                await self._refused(now, action, error)
                return None
            return decision.why

    async def _perform(self, action: Action, cause: str) -> None:
        try:
            await self._around.executor.perform(action, cause)
        except Refused as error:
            if self.reporter.judge(action, error) != "done":
                raise

    def _done(self, job: JobView, why: str) -> None:
        around = self._around
        self._troubles.pop(job.name, None)
        if around.jobs.get(job.name) is not None and not self._doubts.told(job):
            around.acks.tell(job, self.reporter.name)
        around.metrics.count("crier_reporting_results", reporter=self.reporter.name, result="SUCCESS")
        if job.completion_s is not None:
            latency_s = max(0.0, around.clock.now() - job.completion_s)
            around.metrics.observe("crier_report_latency", latency_s, reporter=self.reporter.name)
        words = "would be reported" if around.executor.dry_run else "reported"
        log.info(words, reporter=self.reporter.name, job=job.job, state=job.state, why=why)

    async def _refused(self, job: JobView, action: Action | None, error: Refused) -> None:
        """Try again later, or give the state up and tell the job's owner."""
        if self._around.jobs.get(job.name) is None:
            return  # gone meanwhile, and forgotten
        trouble = self._troubles.get(job.name)
        if trouble is None or trouble.state != job.state:
            trouble = self._troubles[job.name] = _Trouble(job.state)
        trouble.tries += 1
        hopeless = self.reporter.judge(action, error) == "never"
        outcome = crier.after_refusal(error.status, hopeless, trouble.tries)
        if outcome == "again":
            raise error
        self._around.metrics.count("crier_reporting_results", reporter=self.reporter.name, result="ERROR")
        log.warning("report given up", state=job.state, outcome=outcome, why=error.why, tries=trouble.tries)
        self._doubts.forget(job.name)
        if outcome == "park":
            self._troubles.pop(job.name, None)
            self._around.acks.tell(job, self.reporter.name)
        else:
            trouble.rests = True
        try:
            event = crier.refusal_event(job, self.reporter.name, error.why, outcome)
            await self._around.executor.perform(event, job.name)
        except ProwError as unwritten:
            log.warning("no event written", why=str(unwritten))

    def _crowd(self, name: str) -> Hashable:
        job = self._around.jobs.get(name)
        return None if job is None else self.reporter.crowd(job)

    def _waited(self, seconds: float) -> None:
        self._around.metrics.observe("prow_async_event_age_seconds", seconds, actor="crier")

    def _failed(self, name: str, error: Exception, failures: int) -> None:
        metrics, reporter = self._around.metrics, self.reporter.name
        metrics.count("crier_reporting_results", reporter=reporter, result="ERROR")
        if isinstance(error, ProwError):
            log.warning(
                "report will be tried again", prowjob=name, reporter=reporter, why=str(error), failures=failures
            )
            return
        metrics.count("prow_async_actor_restarts_total", actor="crier")
        log.error("crier's turn failed", prowjob=name, reporter=reporter, failures=failures, exc_info=error)
