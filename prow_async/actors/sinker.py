"""Sweeps away what is finished and old: plans with core/sinker, proves anew what needs it, deletes with conditions."""

from collections import Counter
from collections.abc import Mapping

import anyio
import msgspec
import structlog

from prow_async.actors.clusters import Clusters
from prow_async.actors.executor import Executor
from prow_async.actors.store import Store
from prow_async.api import actions
from prow_async.api.errors import Missing, ProwError, Stale
from prow_async.api.views import JobView, PodView
from prow_async.core import jobview, objects, sinker
from prow_async.ports.clock import Clock
from prow_async.ports.config import ConfigSource
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
AT_ONCE = 8


class Env(msgspec.Struct, frozen=True):
    config: ConfigSource
    clock: Clock
    metrics: Metrics


class Sinker:
    """The sweeper.

    Args:
        clusters: build clusters. One that is not listed yet, or is away, is left out of the sweep.
        source: ProwJobs, for the fresh read before a pod is called ownerless.
    """

    def __init__(
        self,
        jobs: Store[JobView],
        clusters: Clusters,
        source: Collection,
        executor: Executor,
        env: Env,
    ) -> None:
        self._jobs = jobs
        self._clusters = clusters
        self._source = source
        self._executor = executor
        self._env = env

    async def run(self) -> None:
        """Sweep at once and then every sinker.resync_period, until cancelled."""
        await self._jobs.wait_synced()
        await self._clusters.wait_looked_at()
        while True:
            await self.sweep()
            await anyio.sleep(self._env.config.current().config.sinker.resync_period_s)

    async def sweep(self) -> int:
        """Sweep once; return how many objects were deleted."""
        started = anyio.current_time()
        config = self._env.config.current().config
        marked = {
            alias: [pod for pod in cluster.store if pod.created_by_prow]
            for cluster, aliases in self._clusters.once().items()
            for alias in aliases[:1]
            if not cluster.away
        }
        configured = frozenset(periodic.name for periodic in config.periodics)
        jobs = list(self._jobs)
        steps = sinker.plan(jobs, marked, configured, config.sinker, self._env.clock.now())
        removed: Counter[tuple[str, str]] = Counter()
        failed: Counter[tuple[str, str]] = Counter()
        room = anyio.CapacityLimiter(AT_ONCE)
        async with anyio.create_task_group() as group:
            for step in steps:
                group.start_soon(self._guarded, step, room, (removed, failed))
        self._measure(len(jobs), marked, (removed, failed), anyio.current_time() - started)
        return sum(removed.values())

    def _measure(
        self,
        jobs: int,
        marked: Mapping[str, list[PodView]],
        counts: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]],
        seconds: float,
    ) -> None:
        """Every gauge is set in every sweep: a reason that no longer occurs goes back to 0, an error's goes away."""
        metrics, (removed, failed) = self._env.metrics, counts
        metrics.gauge("sinker_pods_existing", sum(len(found) for found in marked.values()))
        metrics.gauge("sinker_prow_jobs_existing", jobs)
        metrics.gauge("sinker_loop_duration_seconds", seconds)
        for reason in ("aged", "ttled", "orphaned"):
            metrics.gauge("sinker_pods_removed", removed["pod", reason], reason=reason)
        for reason in ("aged", "aged-periodic"):
            metrics.gauge("sinker_prow_jobs_cleaned", removed["job", reason], reason=reason)
        for name, kind in (("sinker_pod_removal_errors", "pod"), ("sinker_prow_jobs_cleaning_errors", "job")):
            metrics.replace(name, [({"reason": why}, count) for (of, why), count in failed.items() if of == kind])

    async def _guarded(
        self,
        step: sinker.Step,
        room: anyio.CapacityLimiter,
        counts: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]],
    ) -> None:
        removed, failed = counts
        kind = "job" if isinstance(step.action, actions.DeleteProwJob) else "pod"
        async with room:
            try:
                if not await self._proved(step):
                    return
                await self._executor.perform(step.action, step.action.name)
            except (Stale, Missing):
                return  # replaced or gone since the plan: nothing of ours to delete
            except ProwError as error:
                failed[kind, type(error).__name__] += 1
                log.warning("not swept away", kind=kind, name=step.action.name, why=str(error))
                return
        if self._executor.dry_run:
            log.info("would be swept away", kind=kind, name=step.action.name, why=step.action.why)
        elif not isinstance(step.action, actions.PatchPod):
            removed[kind, step.action.reason] += 1
            log.info("swept away", kind=kind, name=step.action.name, reason=step.action.reason, why=step.action.why)

    async def _proved(self, step: sinker.Step) -> bool:
        """Read the ProwJob afresh where our snapshot did not have it."""
        if not step.verify:
            return True
        action = step.action
        assert not isinstance(action, actions.DeleteProwJob)
        try:
            job = jobview.read(await self._source.get(step.verify))
        except Missing:
            job = None
        except objects.Unreadable:
            return False  # it is there, and was told of when it was set aside
        cluster = self._clusters.get(action.cluster)
        pod = None if cluster is None else cluster.store.get(action.name)
        return pod is not None and sinker.is_ownerless(pod, job)
