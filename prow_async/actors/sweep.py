"""One sweep: takes the steps of a plan, proves each anew before a pod is touched, and counts what came of them.

The cluster of the ProwJobs and each build cluster have workers of their own: one that is slow or away holds up nobody
else's steps, and its own are left to the next sweep.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping

import anyio
import msgspec
import structlog

from prow_async.actors.clusters import Clusters
from prow_async.actors.executor import Executor
from prow_async.actors.store import Store
from prow_async.api import actions
from prow_async.api.config import Sinker as Settings
from prow_async.api.errors import Missing, ProwError, Retry, Stale
from prow_async.api.views import JobView
from prow_async.core import jobview, objects, podview, sinker
from prow_async.ports.clock import Clock
from prow_async.ports.kube import Collection

log = structlog.get_logger()
AT_ONCE = 8
"""Workers for each cluster: enough for hundreds of objects a second. Each needs a connection, whose memory stays."""
GIVE_UP_AFTER = 3
"""After so many steps in a row that may work later, the rest of a cluster is left to the next sweep."""


class Means(msgspec.Struct, frozen=True):
    jobs: Store[JobView]
    leaving: Mapping[str, JobView]
    """Those that this sweep deletes, as they were when it was planned: their pods are no orphans because of it."""
    source: Collection
    """ProwJobs, for the fresh read before a pod is called ownerless."""
    clusters: Clusters
    executor: Executor
    settings: Settings
    clock: Clock
    tell: Callable[[sinker.Step], None]
    """Told of every step that was taken, or would have been."""


class Sweep:
    """What one sweep did: `removed` by kind and reason, `failed` by kind and Kubernetes' reason."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self.removed: Counter[tuple[str, str]] = Counter()
        self.failed: Counter[tuple[str, str]] = Counter()
        self._in_a_row: Counter[str] = Counter()

    async def run(self, plan: sinker.Plan) -> None:
        """Take every step. ProwJobs and pods go side by side."""
        async with anyio.create_task_group() as group:
            jobs = iter(plan.jobs)
            for _ in range(AT_ONCE):
                group.start_soon(self._sweep_jobs, jobs)
            for alias, names in plan.pods.items():
                pods = iter(names)
                for _ in range(AT_ONCE):
                    group.start_soon(self._sweep_pods, alias, pods)

    async def _sweep_jobs(self, steps: Iterator[sinker.Step]) -> None:
        while not self._given_up("") and (step := next(steps, None)) is not None:
            await self._guarded("", step.action.name, self._take, step)

    async def _sweep_pods(self, alias: str, names: Iterator[str]) -> None:
        while not self._given_up(alias) and (name := next(names, None)) is not None:
            await self._guarded(alias, name, self._sweep_pod, alias, name)

    def _given_up(self, alias: str) -> bool:
        return self._in_a_row[alias] >= GIVE_UP_AFTER

    async def _guarded(self, alias: str, name: str, act: Callable[..., Awaitable[None]], *args: object) -> None:
        kind = "pod" if alias else "job"
        try:
            await act(*args)
        except (Stale, Missing):
            self._in_a_row[alias] = 0  # replaced or gone since the plan: nothing of ours to delete
        except ProwError as error:
            self.failed[kind, sinker.reason_of(error)] += 1
            self._in_a_row[alias] = self._in_a_row[alias] + 1 if isinstance(error, Retry) else 0
            log.warning("not swept away", kind=kind, name=name, cluster=alias, why=str(error))
            if self._in_a_row[alias] == GIVE_UP_AFTER:
                log.warning("the rest of this cluster is left to the next sweep", cluster=alias, why=str(error))
        else:
            self._in_a_row[alias] = 0

    async def _sweep_pod(self, alias: str, name: str) -> None:
        for step in await self._proved(alias, name):
            await self._take(step)

    async def _proved(self, alias: str, name: str) -> tuple[sinker.Step, ...]:
        """Judge a pod anew, as the server has it now; its ProwJob too, where our snapshot does not have it."""
        means = self._means
        cluster = means.clusters.get(alias)
        if cluster is None:
            return ()
        pod = podview.read(await cluster.pods.get(name))
        owner = pod.job_name or pod.name
        job = means.jobs.get(owner) or means.leaving.get(owner)
        steps = sinker.judge_pod(alias, pod, job, means.settings, means.clock.now())
        if not any(step.verify for step in steps):
            return steps
        try:
            job = jobview.read(await means.source.get(owner))
        except Missing:
            job = None
        except objects.Unreadable:
            return ()  # it is there, and was told of when it was set aside
        return sinker.judge_pod(alias, pod, job, means.settings, means.clock.now())

    async def _take(self, step: sinker.Step) -> None:
        action = step.action
        await self._means.executor.perform(action, action.name)
        self._means.tell(step)
        if self._means.executor.dry_run:
            log.info("would be swept away", **_told(action))
        elif not isinstance(action, actions.PatchPod):
            self.removed["job" if isinstance(action, actions.DeleteProwJob) else "pod", action.reason] += 1
            log.info("swept away", **_told(action))


def _told(action: actions.DeleteProwJob | actions.DeletePod | actions.PatchPod) -> dict[str, str]:
    kind = "job" if isinstance(action, actions.DeleteProwJob) else "pod"
    reason = "finalizer" if isinstance(action, actions.PatchPod) else action.reason
    return {"kind": kind, "name": action.name, "reason": reason, "why": action.why}
