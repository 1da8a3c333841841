"""Records on ProwJobs what has been reported: all reporters of a state in one patch, as soon as there is no better.

What has been told but is not recorded yet lives here alone: a process that dies then reports it again, which changes
nothing where the reporter is repeatable, and is recorded at once where it is not.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import anyio
import structlog

from prow_async.actors.executor import Executor
from prow_async.actors.overlay import Overlay
from prow_async.api.errors import Missing, ProwError, Retry, Stale
from prow_async.api.views import JobView
from prow_async.core import crier, jobview, objects
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics
from prow_async.runtime.backoff import Backoff
from prow_async.runtime.keyed import KeyedActors, Limits

log = structlog.get_logger()
Wake = Literal["told"]
TRIES = 5


class _Told:
    """What one job's reporters have told."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.states: dict[str, str] = {}
        self.at: dict[str, float] = {}
        """When, on the loop's clock."""
        self.recorded: dict[str, str] = {}
        """What we wrote; the watch may not have shown it yet."""
        self.state = ""
        self.moved_at = 0.0
        """When the job came into its state, as far as we saw."""

    def moved(self, job: JobView) -> None:
        if self.state != job.state:
            self.state, self.moved_at = job.state, anyio.current_time()

    def waited_s(self, marks: Iterable[str]) -> float:
        """Return how long the oldest of these reporters has waited in the job's present state."""
        return anyio.current_time() - max(self.moved_at, min(self.at[reporter] for reporter in marks))

    def drop(self, passed_over: Iterable[tuple[str, str]]) -> None:
        """Forget what was not recorded because another crier's record stands: whether we owe anything, it tells."""
        for reporter, state in passed_over:
            if self.states.get(reporter) == state:
                del self.states[reporter], self.at[reporter]

    def marks(self, job: JobView) -> dict[str, str]:
        """Return what is still to be recorded."""
        return {
            reporter: state
            for reporter, state in self.states.items()
            if self.recorded.get(reporter) != state and job.reported.get(reporter) != state
        }


class Acks:
    """One owner per job of what its reporters have told.

    Args:
        prompt: reporters whose reports are recorded at once: made twice, they would be seen twice.
        owed: says whether any reporter has still to report a job's state.
    """

    def __init__(
        self,
        jobs: Overlay[JobView],
        source: Collection,
        executor: Executor,
        metrics: Metrics,
        prompt: frozenset[str],
        owed: Callable[[JobView], bool],
    ) -> None:
        self._jobs = jobs
        self._source = source
        self._executor = executor
        self._metrics = metrics
        self._prompt = prompt
        self._owed = owed
        self._told: dict[str, _Told] = {}
        self._hurry = False
        self.actors: KeyedActors[str, Wake] = KeyedActors(
            "crier acks", self._turn, self._failed, "told", Limits(backoff=Backoff(1.0, 300.0), seed=self._seed)
        )

    def _seed(self) -> list[str]:
        return list(self._told)

    async def run(self) -> None:
        await self.actors.run()

    def restart(self) -> None:
        """Forget what was told: another process may have reported since."""
        self._told.clear()
        self._hurry = False

    def hurry(self) -> None:
        """Put nothing off any more: the process is about to end."""
        self._hurry = True
        for name in self._told:
            self.actors.post(name, "told")

    def state(self, job: JobView, reporter: str) -> str | None:
        """Return the last state that a reporter told of a job in this process."""
        told = self._told.get(job.name)
        return told.states.get(reporter) if told is not None and told.uid == job.uid else None

    def tell(self, job: JobView, reporter: str) -> None:
        """Note that a reporter has told a job's state. Told once more, it is recorded already."""
        if crier.acknowledged(job, reporter):
            return
        told = self._told.get(job.name)
        if told is None or told.uid != job.uid:
            told = self._told[job.name] = _Told(job.uid)
        told.moved(job)
        told.states[reporter] = job.state
        told.at[reporter] = anyio.current_time()
        self.actors.post(job.name, "told")

    def changed(self, job: JobView) -> None:
        """Look at a job anew: its state moved on, or the watch shows what was recorded."""
        told = self._told.get(job.name)
        if told is None:
            return
        told.moved(job)
        for reporter in [r for r, state in told.states.items() if job.reported.get(r) == state]:
            told.recorded.pop(reporter, None)
            del told.states[reporter], told.at[reporter]
        if not told.states:
            self.forget(job.name)
        else:
            self.actors.post(job.name, "told")

    def forget(self, name: str) -> None:
        self._told.pop(name, None)
        self.actors.forget(name)

    def __len__(self) -> int:
        """Jobs of which something is still to be recorded, or to be seen recorded."""
        return len(self._told)

    async def _turn(self, name: str, mails: list[Wake]) -> float | None:
        job, told = self._jobs.get(name), self._told.get(name)
        if job is None or told is None or told.uid != job.uid:
            return None
        marks = told.marks(job)
        if not marks:
            return None
        if not self._hurry and not self._prompt & marks.keys():
            wait_s = crier.record_wait_s(job.state, self._owed(job), told.waited_s(marks))
            if wait_s > 0:
                return wait_s
        recorded = await self._record(job, marks, {**job.reported, **told.recorded})
        if recorded is not None:
            told.recorded |= recorded
            told.drop(marks.items() - recorded.items())
        return None

    async def _record(self, job: JobView, marks: dict[str, str], known: dict[str, str]) -> dict[str, str] | None:
        """Record what no other crier has recorded meanwhile; return that. None: the ProwJob is gone."""
        fresh = job
        for _ in range(TRIES):
            left = marks if fresh is job else crier.still_ours(marks, known, fresh)
            if fresh.uid != job.uid:
                break
            if not left:
                return left
            try:
                raw = await self._executor.perform(crier.record(fresh, left), job.name)
                self._wrote(fresh, raw)
                return left
            except Stale:
                try:
                    fresh = jobview.read(await self._source.get(job.name))
                except (Missing, objects.Unreadable):
                    break
            except Missing:
                break
        else:
            raise Retry(f"ProwJob {job.name} changed {TRIES} times while its reports were being recorded")
        self.forget(job.name)
        return None

    def _wrote(self, upon: JobView, raw: bytes | None) -> None:
        """Let the job's actor know: it need not find out by a conflict."""
        if raw is None:
            return
        try:
            self._jobs.wrote(upon.name, upon.resource_version, jobview.read(raw))
        except objects.Unreadable:  # the reflector sets it aside
            return

    def _failed(self, name: str, error: Exception, failures: int) -> None:
        if isinstance(error, ProwError):
            log.warning("what was reported is not recorded yet", prowjob=name, why=str(error), failures=failures)
            return
        self._metrics.count("prow_async_actor_restarts_total", actor="crier")
        log.error("crier's record failed", prowjob=name, failures=failures, exc_info=error)
