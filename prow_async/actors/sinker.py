"""Sweeps away what is finished and old: plans with core/sinker, lets actors/sweep act, says what came of it."""

from collections import Counter
from collections.abc import Callable

import anyio
import msgspec
import structlog

from prow_async.actors.clusters import Cluster, Clusters
from prow_async.actors.executor import Executor
from prow_async.actors.store import Store
from prow_async.actors.sweep import Means, Sweep
from prow_async.api.config import Sinker as Settings
from prow_async.api.views import JobView
from prow_async.core import sinker
from prow_async.ports.clock import Clock
from prow_async.ports.config import ConfigSource
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
SHORTEST_PERIOD_S = 1.0


class Env(msgspec.Struct, frozen=True):
    config: ConfigSource
    clock: Clock
    metrics: Metrics


class Sinker:
    """The sweeper.

    Args:
        clusters: build clusters. One that is not listed yet, or is away, is left out of a sweep.
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
        """Sweep at once and then every sinker.resync_period, until cancelled.

        It counts from the begin of a sweep, as upstream's does: what is kept does not grow with the time a sweep takes.
        """
        await self._jobs.wait_synced()
        await self._clusters.wait_looked_at()
        while True:
            began_s = anyio.current_time()
            await self.sweep()
            period_s = max(SHORTEST_PERIOD_S, self._env.config.current().config.sinker.resync_period_s)
            await anyio.sleep_until(began_s + period_s)

    async def sweep(self, tell: Callable[[str], None] = lambda _: None) -> int:
        """Sweep once; return how many objects were deleted.

        Args:
            tell: told a line for every object that is swept away, or would be on a dry run, and every cluster left out.
        """
        started = anyio.current_time()
        config = self._env.config.current().config
        listed, left_out = self._listed(config.sinker)
        for alias, why in left_out.items():
            log.warning("build cluster is left out of this sweep", cluster=alias, why=why)
            tell(f"cluster {alias} is left out: {why}")
        pods = {alias: [pod for pod in found.store if pod.created_by_prow] for alias, found in listed.items()}
        configured = frozenset(periodic.name for periodic in config.periodics)
        jobs = list(self._jobs)
        plan = sinker.plan(jobs, pods, configured, config.sinker, self._env.clock.now())
        means = Means(
            self._jobs,
            {job.name: job for step in plan.jobs if (job := self._jobs.get(step.action.name)) is not None},
            self._source,
            self._clusters,
            self._executor,
            config.sinker,
            self._env.clock,
            lambda step: tell(sinker.line(step)),
        )
        done = Sweep(means)
        await done.run(plan)
        existing = len(jobs), sum(len(found) for found in pods.values())
        self._measure(existing, done, anyio.current_time() - started)
        return sum(done.removed.values())

    def _listed(self, settings: Settings) -> tuple[dict[str, Cluster], dict[str, str]]:
        """Return the clusters to sweep, each once, and why others that should be swept are not."""
        listed: dict[str, Cluster] = {}
        left_out: dict[str, str] = {}
        for cluster, aliases in self._clusters.once().items():
            alias = sinker.swept_alias(aliases, settings)
            if alias and cluster.away:
                left_out[alias] = cluster.trouble or "not listed yet"
            elif alias:
                listed[alias] = cluster
        return listed, left_out

    def _measure(self, existing: tuple[int, int], done: Sweep, seconds: float) -> None:
        """Every gauge is set in every sweep: a reason that no longer occurs goes back to 0, an error's goes away."""
        metrics, (jobs, pods) = self._env.metrics, existing
        metrics.gauge("sinker_pods_existing", pods)
        metrics.gauge("sinker_prow_jobs_existing", jobs)
        metrics.gauge("sinker_loop_duration_seconds", seconds)
        for reason in ("aged", "ttled", "orphaned"):
            metrics.gauge("sinker_pods_removed", done.removed["pod", reason], reason=reason)
        for reason in ("aged", "aged-periodic"):
            metrics.gauge("sinker_prow_jobs_cleaned", done.removed["job", reason], reason=reason)
        for name, kind in (("sinker_pod_removal_errors", "pod"), ("sinker_prow_jobs_cleaning_errors", "job")):
            metrics.replace(name, _rows(done.failed, kind))


def _rows(failed: Counter[tuple[str, str]], kind: str) -> list[tuple[dict[str, str], float]]:
    return [({"reason": why}, count) for (of, why), count in failed.items() if of == kind]
