"""One actor per ProwJob: looks at the job and its pod, asks core/plank for the next step, takes it.

It holds nothing that the cluster does not hold, beside our own writes that the watch has not shown yet. News and
timers only wake it; a lost wake-up is made good by the next.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Literal

import anyio
import msgspec
import structlog

import prow_async
from prow_async.actors import catch_up, job_writes
from prow_async.actors.clusters import Cluster, Clusters
from prow_async.actors.executor import Executor
from prow_async.actors.gate import Gate
from prow_async.actors.overlay import Overlay
from prow_async.actors.store import Change, Store
from prow_async.api import actions, names
from prow_async.api.errors import Exists, Missing, Refused, Retry, Stale, UserMistake
from prow_async.api.prowjob import ProwJob
from prow_async.api.views import JobView, PodView
from prow_async.core import (
    adoption,
    failures,
    instants,
    joburl,
    jobview,
    objects,
    outdated,
    plank,
    podspec,
    podview,
    slots,
)
from prow_async.ports.clock import Clock
from prow_async.ports.config import ConfigSource
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics
from prow_async.runtime.bound import Bound
from prow_async.runtime.keyed import KeyedActors, Limits
from prow_async.runtime.story import Stories

log = structlog.get_logger()
Wake = Literal["job", "pod", "again", "cluster", "slot", "outdated"]
GONE_CHECK_S = 1.0
LOOKS = 3
UNSEEN_S = 30.0


class JobActors:
    """The family of job actors.

    Args:
        jobs: ProwJobs as watched; keeps the JSON of jobs that still need a pod.
        clusters: build clusters by alias.
    """

    def __init__(
        self, jobs: Store[JobView], source: Collection, clusters: Clusters, executor: Executor, env: "Env"
    ) -> None:
        self._source = source
        self._clusters = clusters
        self._executor = executor
        self._env = env
        self._store = jobs
        self._jobs = env.written
        self._runs = outdated.Runs()
        self.gate = Gate(self._jobs.get, self._pod_there, env.config, lambda name: self.actors.post(name, "slot"))
        self._writes = job_writes.JobWrites(source, executor, self._wrote)
        self._hearsay = catch_up.Hearsay()
        env.config.subscribe(lambda *_: self.gate.limits_changed())
        self.actors: KeyedActors[str, Wake] = KeyedActors(
            "job",
            self._turn,
            self._failed,
            "again",
            Limits(concurrency=1024, lane=self._alias_of, waited=_waited(env.metrics), seed=self._seed),
        )
        jobs.subscribe(self._job_changed)
        jobs.on_synced(self.gate.listed)
        clusters.subscribe(self._waker(jobs))
        clusters.subscribe_pods(self._pod_changed)
        for alias in clusters.aliases:
            self.gate.cluster(alias, self._usable(alias))

    async def run(self) -> None:
        """Run every unfinished job until cancelled; run again, it starts from what the stores show then."""
        if self._store.synced:
            self._hearsay.begin()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._open_gate)
                await self.actors.run()
        finally:
            self.gate.close()

    async def _open_gate(self) -> None:
        """Give slots once it is sure who holds some: who acted before us may have written what no watch shows yet."""
        if self._store.synced:
            for job in await catch_up.holders(self._source, self._store, self._clusters, self._hearsay):
                self.gate.keep(job)
        self.gate.open()

    def _seed(self) -> Iterator[str]:
        """Name the unfinished jobs, and those of living pods: a job may have ended without its pod."""
        yield from (job.name for job in self._store if plank.concerns(job))
        for cluster in self._clusters.once():
            living = (pod for pod in cluster.store if pod.created_by_prow and adoption.lives(pod))
            yield from (pod.job_name or pod.name for pod in living)

    def _alias_of(self, name: str) -> str:
        job = self._jobs.get(name)
        return "" if job is None else job.cluster

    def _waker(self, jobs: Store[JobView]) -> Callable[[str], None]:
        def wake(alias: str) -> None:
            for job in jobs:
                if job.cluster == alias and not job.complete:
                    self.gate.look(job.name)
                    self.actors.post(job.name, "cluster")
            self.gate.cluster(alias, self._usable(alias))

        return wake

    def _usable(self, alias: str) -> bool:
        """True unless the cluster is away: of one that is none of ours the jobs end at once."""
        cluster = self._clusters.get(alias)
        return cluster is None or not cluster.away

    def _pod_there(self, job: JobView) -> slots.Pod:
        cluster = self._clusters.get(job.cluster)
        if cluster is None:
            return "absent"
        pod = cluster.own.get(job.name)
        if pod is not None and adoption.owns(job, pod):
            return "there"
        return "absent" if cluster.store.synced else "unknown"

    def _wrote(self, based_on: JobView, view: JobView) -> None:
        self._jobs.wrote(view.name, based_on.resource_version, view)
        self.gate.look(view.name)

    def _job_changed(self, change: Change[JobView]) -> None:
        if change.new is None:
            self._runs.drop(change.name)
            self._forget(change.name)
        else:
            for name in self._runs.put(change.new):
                self.actors.post(name, "outdated")
            if plank.concerns(change.new):
                self.actors.post(change.name, "job")
            elif change.new.complete:
                if (pod := self._straggler(change.new)) is None:
                    self._forget(change.name)
                elif adoption.is_straggler(change.new, pod):  # its own news came sooner than its job's end
                    self.actors.post(change.name, "job")
        self.gate.look(change.name)

    def _pod_changed(self, change: Change[PodView]) -> None:
        pod = change.new or change.old
        if pod is not None and pod.created_by_prow:
            name = pod.job_name or pod.name
            if (change.new is None or change.old is None) and self._jobs.get(name) is not None:  # else not seen yet
                self.gate.look(name)
            self.actors.post(name, "pod")

    def _forget(self, name: str) -> None:
        self.actors.forget(name)
        self._jobs.forget(name)
        for cluster in self._clusters.once():
            cluster.own.forget(name)

    def _failed(self, name: str, error: Exception, failures: int) -> None:
        """A turn raised. An error that names its next move is the world's trouble; anything else is a bug of ours."""
        self._env.stories.add(name, f"turn failed ({failures}): {error}")
        if isinstance(error, Retry | Stale | Refused):
            log.warning("job turn will be tried again", prowjob=name, why=str(error), failures=failures)
            return
        self._env.metrics.count("prow_async_actor_restarts_total", actor="job")
        self._forget(name)
        log.error("job actor died; rebuilt from the cluster", prowjob=name, story=self.story(name), exc_info=error)

    def story(self, name: str) -> list[str]:
        return [f"{instants.rfc3339(at)} {line}" for at, line in self._env.stories.of(name)]

    async def _turn(self, name: str, mails: list[Wake]) -> float | None:
        job = self._jobs.get(name)
        if job is None or not plank.concerns(job):
            stored = self._store.get(name)
            if stored is None or not plank.concerns(stored):
                if job is not None and job.complete:
                    await self._delete_straggler(job)
                self._forget(name)  # not before: a deletion that fails again and again is tried less and less often
            else:  # our own word alone says so: forgotten, the job would begin anew on the watch's old one
                self.actors.forget(name)
            return None
        with Bound(prowjob=name, **_guid(job)):
            return await self._look(job, mails)

    async def _look(self, job: JobView, mails: list[Wake]) -> float | None:
        name = job.name
        cluster = self._clusters.get(job.cluster)
        if cluster is None:
            why = f"cluster {job.cluster!r} is none of the build clusters ({', '.join(self._clusters.aliases)})"
            end = plank.terminal_error(why, self._env.clock.now())
            if job.state == "aborted":
                end = plank.Patch({"completionTime": end.status["completionTime"]}, f"aborted: {why}")
            return await self._take(job, None, end)
        pod = cluster.own.get(name) if cluster.store.synced else None
        newer = self._runs.newer(name)
        step = plank.decide(job, pod, self._settings(), self._env.clock.now(), newer)
        if not cluster.store.synced or cluster.away_for_s >= plank.AWAY_GRACE_S:
            return await self._without_cluster(job, step, cluster)
        unseen = job.state == "pending" and pod is not None and cluster.store.get(name) is None
        if unseen and newer is None and (isinstance(step, plank.Patch) or "again" in mails):
            # Only our own write speaks of this pod; it may be long gone. No job ends on that word alone.
            step = plank.decide(job, None, self._settings(), self._env.clock.now())
        again_s = await self._take(job, pod, step)
        if unseen:  # gone before the watch ever showed it, it would never be told of: look again by the clock
            return UNSEEN_S if again_s is None else min(again_s, UNSEEN_S)
        return again_s

    async def _without_cluster(self, job: JobView, step: plank.Step, cluster: Cluster) -> float | None:
        """A cluster that is away stops its own jobs only until their deadline, by our own clock."""
        self._env.stories.add(job.name, f"waits for cluster {job.cluster}: {cluster.trouble or 'not listed yet'}")
        settings, now_s = self._settings(), self._env.clock.now()
        return await self._take(job, None, plank.without_cluster(job, step, settings, cluster.away_for_s, now_s))

    def _pods_of(self, job: JobView) -> Collection:
        cluster = self._clusters.get(job.cluster)
        if cluster is None:
            raise Retry(f"cluster {job.cluster!r} went away in the middle of a turn")
        return cluster.pods

    def _settings(self) -> plank.Settings:
        p = self._env.config.current().config.plank
        return plank.Settings(
            p.pod_pending_timeout_s, p.pod_running_timeout_s, p.pod_unscheduled_timeout_s, p.max_revivals
        )

    async def _take(self, job: JobView, pod: PodView | None, step: plank.Step) -> float | None:
        self._env.stories.add(job.name, step.why)
        if self._executor.dry_run and isinstance(step, plank.Start | plank.Patch | plank.Release):
            log.info("dry run: step not taken", step=type(step).__name__, why=step.why)
            return None
        match step:
            case plank.Start() if job.state == "triggered" and not self.gate.enter(job):
                self._env.stories.add(job.name, "waits for a slot")
                return self._until_deadline(job)
            case plank.Start():
                return await self._start(job, step)
            case plank.Patch():
                act = self._give_up_pod if step.delete_pod and not step.delete_first else self._patch
                return await act(job, pod, step)
            case plank.Confirm():
                return await self._confirm(job, step)
            case plank.Release():
                await self._writes.release(job, pod)
                return GONE_CHECK_S
            case plank.Wait():
                return None if step.until_s is None else max(0.0, step.until_s - self._env.clock.now())
            case plank.Settled():
                return None

    def _until_deadline(self, job: JobView) -> float | None:
        """Return when a parked job must be looked at: never, but for its cluster being away, which has a deadline."""
        cluster = self._clusters.get(job.cluster)
        if cluster is None or not cluster.away:
            return None
        return max(GONE_CHECK_S, plank.AWAY_GRACE_S - cluster.away_for_s)

    async def _confirm(self, job: JobView, step: plank.Confirm) -> float | None:
        """Nothing is concluded from a pod's absence in the store: read it."""
        try:
            pod = podview.read(await self._pods_of(job).get(job.pod_name or job.name))
        except Missing:
            return await self._take(job, None, step.lost)
        again = plank.decide(job, pod, self._settings(), self._env.clock.now())
        if isinstance(again, plank.Confirm):
            return GONE_CHECK_S
        again_s = await self._take(job, pod, again)
        cluster = self._clusters.get(job.cluster)
        if cluster is not None and cluster.store.get(pod.name) is None:  # the watch may never show it: --label-selector
            return UNSEEN_S if again_s is None else min(again_s, UNSEEN_S)
        return again_s

    async def _give_up_pod(self, job: JobView, pod: PodView | None, step: plank.Patch) -> float | None:
        """No pod is given up on hearsay: it may have ended while the watch was silent. Read it first, if it can be."""
        for _ in range(LOOKS):
            try:
                pod = podview.read(await self._pods_of(job).get(job.name))
            except Missing:
                pod = None
            except Retry:
                await anyio.sleep(GONE_CHECK_S)
                continue
            again = plank.decide(job, pod, self._settings(), self._env.clock.now())
            if not isinstance(again, plank.Patch):
                return await self._take(job, pod, again)
            step = again
            break
        return await self._patch(job, pod, step)

    async def _patch(self, job: JobView, pod: PodView | None, step: plank.Patch) -> float | None:
        if step.delete_first:
            await self._writes.delete_pod(job, pod, step)
        labels = {names.FAILURE_CLASS: str(step.failure)} if step.failure else None
        patched = await self._writes.patch_status(job, step.status, step.why, labels)
        if patched is None:
            return GONE_CHECK_S
        log.info("job moved", job=job.job, state=patched.state, complete=patched.complete, why=step.why)
        if step.failure:
            self._env.metrics.count(
                "prow_async_job_failures_total", failure_class=step.failure, cluster=job.cluster, job_name=job.job
            )
        if step.lost:
            self._env.metrics.count("prow_async_pods_lost_total", cause=step.lost, cluster=job.cluster)
        if not step.delete_first:
            await self._writes.delete_pod(job, pod, step)
        return None if patched.complete else 0.0

    async def _delete_straggler(self, job: JobView) -> None:
        """Delete a pod that came too late, its creation was under way when the job ended, or that outlives its time."""
        pod = self._straggler(job)
        if pod is not None:
            why = f"pod {pod.name} lives on, though its job has ended without it"
            log.warning("straggling pod will be deleted", prowjob=job.name, uid=pod.uid)
            guarded = adoption.is_straggler(job, pod) and names.GCS_K8S_FINALIZER in pod.finalizers
            await self._writes.delete_pod(job, pod, plank.Patch({}, why, delete_pod=pod.uid, drop_finalizer=guarded))

    def _straggler(self, job: JobView) -> PodView | None:
        cluster = self._clusters.get(job.cluster)
        pod = cluster.store.get(job.name) if cluster is not None else None
        return pod if pod is not None and (adoption.is_straggler(job, pod) or plank.is_overdue(job, pod)) else None

    async def _start(self, job: JobView, step: plank.Start) -> float | None:
        if job.state == "pending":  # stands in no line; aborted while its next pod is being made, it may run yet
            self.gate.keep(job)
            self.gate.look(job.name)
        try:
            full = await self._full(job)
        except objects.Unreadable as error:
            return await self._refuse(job, None, UserMistake(f"the ProwJob does not read: {error.why}"), "")
        if full is None:
            return GONE_CHECK_S
        build_id = ""
        try:
            build_id = await self._build_id(job, step.attempt)
            raw = await self._pod_of(job, full, step.attempt, build_id)
        except (UserMistake, Refused) as error:
            return await self._refuse(job, full, error, build_id)
        except Retry:
            await self._give_slots_back(job)
            raise
        if raw is None:
            return GONE_CHECK_S
        view = podview.read(raw)
        if (cluster := self._clusters.get(job.cluster)) is not None:
            cluster.own.wrote(view.name, "", view)
        build_id = view.build_id or podview.build_id_in_env(raw) or build_id
        status: dict[str, object] = {
            "state": "pending",
            "description": "Job triggered.",
            "build_id": build_id,
            "pod_name": view.name,
            "url": self._url(full, build_id),
        }
        if job.pending_s is None:
            status["pendingTime"] = instants.rfc3339(self._env.clock.now())
        labels = {names.ID_LABEL: job.name, names.BUILD_ID_LABEL: build_id}  # upstream's jobs carry them too
        patched = await self._writes.patch_status(job, status, f"pod {view.name} created", labels)
        if patched is None:
            return GONE_CHECK_S
        self._env.stories.add(job.name, f"pod {view.namespace}/{view.name} created in cluster {job.cluster}")
        log.info("pod created", job=job.job, cluster=job.cluster)
        return None

    async def _give_slots_back(self, job: JobView) -> None:
        """Let others pass while a pod cannot be made, unless it was made after all, or nobody can tell."""
        if job.state != "triggered":
            return
        try:
            await self._pods_of(job).get(job.name)
        except Missing:
            self.gate.leave(job.name)
        except (Retry, Refused) as error:
            self._env.stories.add(job.name, f"keeps its slots, its pod may exist: {error}")

    async def _full(self, job: JobView) -> ProwJob | None:
        raw = None if job.name in self._hearsay else self._env.raw(job.name)
        if raw is None:
            try:
                raw = await self._source.get(job.name)
            except Missing:
                return None
            if job_writes.moved(job, jobview.read(raw)):
                return None
            self._hearsay.read(job.name)
        full = jobview.read_full(raw)
        return full if full.metadata.uid == job.uid else None

    async def _build_id(self, job: JobView, attempt: int) -> str:
        """Return the id of this attempt's pod if that is known to stand there already, else a new one."""
        cluster = self._clusters.get(job.cluster)
        pod = None if cluster is None else cluster.own.get(job.name)
        known = pod is not None and pod.attempt == attempt and adoption.owns(job, pod)
        return pod.build_id if pod is not None and known and pod.build_id else await self._env.build_id(job.job)

    async def _pod_of(self, job: JobView, full: ProwJob, attempt: int, build_id: str) -> bytes | None:
        """Create this attempt's pod or adopt the one that stands there. None: not yet, ask again."""
        namespace = self._env.config.current().config.pod_namespace
        pod = podspec.pod_for(full, build_id, namespace, attempt)
        # Not part of the digest: a newer version adopts what an older one made.
        pod["metadata"]["labels"][names.PLANK_VERSION_LABEL] = f"prow-async-{prow_async.__version__}"
        create = actions.CreatePod(cluster=job.cluster, pod=pod, why=f"attempt {attempt} of {job.job}")
        try:
            return await self._executor.perform(create, job.name)
        except Exists:
            pass
        try:
            raw = await self._pods_of(job).get(job.name)
        except Missing:
            return None
        found = podview.read(raw)
        expected = podspec.pod_for(full, found.build_id, namespace, attempt) if found.build_id else pod
        digest = expected["metadata"]["annotations"][names.DIGEST]
        verdict, why = adoption.judge_pod(job, attempt, digest, found)
        self._env.stories.add(job.name, why)
        if verdict == "foreign":
            raise Refused(why, 409, "Foreign")
        if verdict == "wait":
            held, uid = names.GCS_K8S_FINALIZER in found.finalizers, "" if found.deleting else found.uid
            await self._writes.delete_pod(job, found, plank.Patch({}, why, delete_pod=uid, drop_finalizer=held))
            return None
        return raw

    async def _refuse(
        self, job: JobView, full: ProwJob | None, error: UserMistake | Refused, build_id: str
    ) -> float | None:
        """No pod can be made for this job: say so on the job, and in an event where a stranger's pod is in the way."""
        if isinstance(error, Refused) and error.reason == "UnknownCluster":
            step = plank.terminal_error(error.why, self._env.clock.now())
        else:
            text = f"Pod can not be created: {error}"
            status = plank.completed("error", text, self._env.clock.now())
            if full is not None:
                status |= {"build_id": build_id, "url": self._url(full, build_id)}
            step = plank.Patch(status, text, failure=failures.of_refusal(error))
        if isinstance(error, Refused) and error.reason == "Foreign":
            event = actions.RecordEvent(
                namespace=job.namespace,
                kind="ProwJob",
                name=job.name,
                uid=job.uid,
                api_version=names.API_VERSION,
                reason="ForeignPod",
                message=error.why,
                warning=True,
                why=error.why,
            )
            try:
                await self._executor.perform(event, job.name)
            except Refused as refused:  # the job must end all the same
                log.warning("no event written", prowjob=job.name, why=refused.why)
        return await self._take(job, None, step)

    def _url(self, full: ProwJob, build_id: str) -> str:
        status = msgspec.structs.replace(full.status, build_id=build_id, pod_name=full.metadata.name)
        plank_config = self._env.config.current().config.plank
        return joburl.render(msgspec.structs.replace(full, status=status), plank_config, self._env.job_pages)


def _waited(metrics: Metrics) -> Callable[[float], None]:
    return lambda seconds: metrics.observe("prow_async_event_age_seconds", seconds, actor="job")


def _guid(job: JobView) -> dict[str, str]:
    return {names.EVENT_GUID: job.event_guid} if job.event_guid else {}


class Env(msgspec.Struct, frozen=True):
    """What every job actor needs of its surroundings."""

    config: ConfigSource
    clock: Clock
    build_id: Callable[[str], Awaitable[str]]
    """Vends the next build id of a job by name."""
    metrics: Metrics
    stories: Stories
    raw: Callable[[str], bytes | None]
    """The whole JSON of a job that still needs its pod, when the store has kept it."""
    written: Overlay[JobView]
    """ProwJobs as the watch and this process's own last writes tell."""
    job_pages: str = ""
    """Address of our own job pages, for configurations without a job_url_template."""
