"""The one place that writes: to Kubernetes objects, to GitHub.

Every action passes here, so rate limits, dry run, retries, ordering and metrics live here, once. What an action means
when its first try may or may not have had its effect is decided here too: names make creations idempotent, conditions
protect patches and deletes, a comment is looked for before it is written again.
"""

import contextlib
import copy
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias, TypeVar

import anyio
import msgspec
import structlog

from prow_async.actors.fence import OPEN, Fence, Fenced
from prow_async.api import actions, names
from prow_async.api.errors import Exists, Missing, ProwError, Refused, Retry, Stale
from prow_async.api.prowjob import Json
from prow_async.core import adoption, config_maps, identity, instants, jobview, objects
from prow_async.ports import cause as causes
from prow_async.ports import permit
from prow_async.ports.blobs import Attributes, Storage
from prow_async.ports.clock import Clock, Ids
from prow_async.ports.github import GitHub
from prow_async.ports.kube import Collection, ConfigMaps
from prow_async.ports.messages import Slack, Topics
from prow_async.ports.metrics import Metrics
from prow_async.runtime.backoff import Backoff

log = structlog.get_logger()
T = TypeVar("T")
_Lane: TypeAlias = contextlib.AbstractAsyncContextManager[Any]
ABORT_TRIES = 5
AT_ONCE = 24
"""Writes under way to one cluster. More would wait in the API server instead, each on a connection of its own: they
bring no higher rate, and every connection costs memory that stays."""
MAP_TRIES = 5
SKEW_S = 10.0
"""So far GitHub's clock may be behind ours where times of both are compared."""
LONGEST_WAIT_S = 60.0
"""Whoever ordered an action that has to wait longer is told so: it has other work meanwhile, and may decide anew."""
_URGENCY: Mapping[type[actions.Action], causes.Urgency] = {
    actions.PostStatus: "status",
    actions.RedeliverHook: "sync",
}


class Targets(msgspec.Struct, frozen=True):
    """Where writes go. `pods` is keyed by cluster alias and changes; an alias it lacks is no build cluster of ours."""

    jobs: Collection
    events: Collection
    pods: Mapping[str, Collection]
    github: GitHub | None
    """None in components that never speak to GitHub."""
    storage: Storage | None = None
    slack: Slack | None = None
    topics: Topics | None = None
    """These three are None where no reporter needs them."""
    config_maps: ConfigMaps | None = None
    """None in components that write no ConfigMaps."""


class Executor:
    """Performs actions.

    Args:
        dry_run: log each action, write nothing at all.
        tries: how often an action that may work later is sent before Retry goes to the caller.
    """

    def __init__(
        self, targets: Targets, metrics: Metrics, clock: Clock, ids: Ids, dry_run: bool = False, tries: int = 4
    ) -> None:
        self._to = targets
        self._metrics = metrics
        self._clock = clock
        self._ids = ids
        self.dry_run = dry_run
        self._tries = tries
        self._backoff = Backoff(0.25, 10.0)
        self._lanes: dict[str, _Lane] = defaultdict(lambda: anyio.Semaphore(AT_ONCE, fast_acquire=True))
        self._github_lane = anyio.Semaphore(16)
        self._message_lane = anyio.Semaphore(16)
        self._storage_lane = contextlib.nullcontext()
        self._fence = OPEN

    def behind(self, fence: Fence) -> Self:
        """Return the same executor for one component: its writes pass the fence, all else is shared."""
        fenced = copy.copy(self)
        fenced._fence = fence
        return fenced

    async def perform(self, action: actions.Action, cause: str) -> bytes | None:
        """Perform one action; return the object as stored where the server says so.

        Args:
            cause: delivery GUID or object name, for the log.

        Raises:
            Retry: it did not work in `tries` tries, the component's lease is not held, or the next try must wait over a
                minute (`after_s`); the effect may or may not be there. Decide again or send again.
            Stale, Exists, Missing, Refused: as the port says; Missing never for deletes.
        """
        kind = type(action).__name__
        if self.dry_run:
            log.info("dry run: not performed", action=kind, why=action.why, cause=cause)
            return None
        urgency = _URGENCY.get(type(action), "comment")
        with causes.because(causes.Cause(cause, causes.current().origin, urgency)):
            return await self._persist(action, cause)

    async def _persist(self, action: actions.Action, cause: str) -> bytes | None:
        kind = type(action).__name__
        started_s = self._clock.now()
        for attempt in range(1, self._tries + 1):
            try:
                result = await self._once(action, started_s if attempt > 1 else None)
            except Retry as error:
                fenced = isinstance(error, Fenced)
                wait_s = self._backoff.wait_s(attempt) if error.after_s is None else error.after_s
                if fenced or attempt == self._tries or wait_s > LONGEST_WAIT_S:
                    outcome = "fenced" if fenced else "retry"
                    self._metrics.count("prow_async_executor_actions_total", action=kind, outcome=outcome)
                    raise
                self._metrics.count("prow_async_executor_retries_total", action=kind)
                log.info("write will be tried again", action=kind, why=error.why, wait_s=round(wait_s, 2), cause=cause)
                await anyio.sleep(wait_s)
            except ProwError as error:
                outcome = type(error).__name__.lower()
                self._metrics.count("prow_async_executor_actions_total", action=kind, outcome=outcome)
                raise
            else:
                self._metrics.count("prow_async_executor_actions_total", action=kind, outcome="done")
                return result
        raise AssertionError("unreachable: the last try returns or raises")

    async def resume(self, action: actions.Action, cause: str, since_s: float) -> bytes | None:
        """Perform an action that may have been performed before, by a process that died since `since_s`."""
        if isinstance(action, actions.CreateComment) and not self.dry_run and await self._said(action, since_s):
            log.info("comment found written already", cause=cause)
            return None
        return await self.perform(action, cause)

    async def _once(self, action: actions.Action, since_s: float | None) -> bytes | None:
        """One try. `since_s` is set when an earlier try may have had its effect."""
        if isinstance(action, actions.DeleteProwJob | actions.DeletePod) and not action.uid:
            raise Refused(f"{action.name} is not deleted: without a UID another object might be meant", reason="NoUID")
        async with self._lane(action), self._fence.writing():
            with permit.needed(self._fence.check):
                return await self._send(action, since_s)

    async def _send(self, action: actions.Action, since_s: float | None) -> bytes | None:
        match action:
            case actions.CreateProwJob() | actions.PatchProwJob() | actions.AbortProwJob() | actions.DeleteProwJob():
                return await self._job(action)
            case actions.CreatePod() | actions.PatchPod() | actions.DeletePod():
                return await self._pod(self._cluster(action.cluster), action)
            case actions.RecordEvent():
                return await self._event(action)
            case actions.WriteBlob():
                await self._blob(action)
                return None
            case actions.UpdateConfigMap():
                return await self._config_map(action)
            case actions.PostSlackMessage() | actions.PublishMessage():
                await self._message(action)
                return None
            case _:
                await self._github(action, since_s)
                return None

    def _lane(self, action: actions.Action) -> _Lane:
        """Return what bounds the writes under way to where this one goes."""
        match action:
            case actions.CreatePod() | actions.PatchPod() | actions.DeletePod():
                self._cluster(action.cluster)
                return self._lanes[action.cluster]
            case (
                actions.CreateProwJob()
                | actions.PatchProwJob()
                | actions.AbortProwJob()
                | actions.DeleteProwJob()
                | actions.RecordEvent()
            ):
                return self._lanes[""]
            case actions.UpdateConfigMap():
                return self._lanes[action.cluster]
            case actions.WriteBlob():
                return self._storage_lane
            case actions.PostSlackMessage() | actions.PublishMessage():
                return self._message_lane
            case _:
                return self._github_lane

    def _cluster(self, alias: str) -> Collection:
        """Return a build cluster's pods. Clusters come and go."""
        pods = self._to.pods.get(alias)
        if pods is None:
            raise Refused(f"no build cluster has the alias {alias!r}", reason="UnknownCluster")
        return pods

    async def _job(
        self, action: actions.CreateProwJob | actions.PatchProwJob | actions.AbortProwJob | actions.DeleteProwJob
    ) -> bytes | None:
        jobs = self._to.jobs
        match action:
            case actions.CreateProwJob():
                return await self._create_job(action)
            case actions.PatchProwJob():
                return await jobs.merge_patch(action.name, _conditional(action))
            case actions.AbortProwJob():
                return await self._abort(action)
            case actions.DeleteProwJob():
                try:
                    await jobs.delete(action.name, action.uid)
                except Missing:
                    return None
                return None

    async def _create_job(self, action: actions.CreateProwJob) -> bytes:
        """Create; where the derived name is taken, take an equal spec for ours and refuse any other."""
        job = action.job
        try:
            return await self._to.jobs.create(msgspec.json.encode(job))
        except Exists:
            raw = await self._to.jobs.get(job.metadata.name)
        found = _readable(jobview.read_full, raw, job.metadata.name)
        theirs = found.metadata.annotations.get(names.DIGEST) or identity.spec_digest(found)
        if adoption.same_job(identity.spec_digest(job), theirs):
            return raw
        raise Refused(
            f"a ProwJob named {job.metadata.name} with another spec stands in namespace {job.metadata.namespace}"
            f" (job {found.spec.job!r}, ours {job.spec.job!r}); it is left alone",
            409,
            "Foreign",
        )

    async def _abort(self, action: actions.AbortProwJob) -> bytes | None:
        for _ in range(ABORT_TRIES):
            try:
                view = _readable(jobview.read, await self._to.jobs.get(action.name), action.name)
                if view.complete or view.state == "aborted":
                    return None
                status = {"state": "aborted", "description": action.description}
                patch = {"metadata": {"resourceVersion": view.resource_version}, "status": status}
                await self._fence.enter()
                return await self._to.jobs.merge_patch(action.name, patch)
            except Stale:
                continue
            except Missing:
                return None
        raise Retry(f"ProwJob {action.name} changed {ABORT_TRIES} times while it was being aborted")

    async def _pod(
        self, pods: Collection, action: actions.CreatePod | actions.PatchPod | actions.DeletePod
    ) -> bytes | None:
        match action:
            case actions.CreatePod():
                return await pods.create(msgspec.json.encode(action.pod))
            case actions.PatchPod():
                return await pods.merge_patch(action.name, _conditional(action))
            case actions.DeletePod():
                try:
                    await pods.delete(action.name, action.uid)
                except Missing:
                    return None
                return None

    async def _event(self, action: actions.RecordEvent) -> bytes | None:
        now = instants.rfc3339(self._clock.now())
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{action.name}.{self._ids.uuid4()[:13]}", "namespace": action.namespace},
            "involvedObject": {
                "apiVersion": action.api_version,
                "kind": action.kind,
                "namespace": action.namespace,
                "name": action.name,
                "uid": action.uid,
            },
            "reason": action.reason,
            "message": action.message[:1024],
            "type": "Warning" if action.warning else "Normal",
            "source": {"component": "prow-async"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        return await self._to.events.create(msgspec.json.encode(event))

    async def _config_map(self, action: actions.UpdateConfigMap) -> bytes:
        """Change the keys that are named and that no later update has changed; repeating it changes nothing."""
        found = None if self._to.config_maps is None else self._to.config_maps(action.cluster, action.namespace)
        if found is None:
            raise Refused(f"no cluster has the alias {action.cluster!r}", reason="UnknownCluster")
        for _ in range(MAP_TRIES):
            try:
                stands = await found.get(action.name)
                due = config_maps.due(action, stands)
                if due is None:
                    log.info("a later update of a ConfigMap came first", name=action.name, why=action.why)
                    return stands
                await self._fence.enter()
                stored = await found.merge_patch(action.name, config_maps.patch(due, stands))
            except Stale:
                continue
            except Missing:
                try:
                    stored = await found.create(config_maps.body(action))
                except Exists:
                    continue
            size = config_maps.size_bytes(stored)
            self._metrics.gauge("prow_configmap_size_bytes", size, name=action.name, namespace=action.namespace)
            return stored
        raise Retry(f"ConfigMap {action.namespace}/{action.name} was changed by others {MAP_TRIES} times")

    async def _blob(self, action: actions.WriteBlob) -> None:
        """Write an object. The lane is free: each bucket has its own, so that one that is away holds up no other."""
        storage = self._to.storage
        if storage is None:
            raise Refused("this component was started without storage", reason="NoStorage")
        attributes = Attributes(action.content_type, cache_control=action.cache_control, metadata=action.metadata)
        put = storage.put_new if action.only_new else storage.put
        await put(action.bucket, action.path, action.body, attributes)

    async def _message(self, action: actions.PostSlackMessage | actions.PublishMessage) -> None:
        match action:
            case actions.PostSlackMessage():
                if self._to.slack is None:
                    raise Refused("this component was started without a Slack token", reason="NoSlack")
                await self._to.slack.post(action.host, action.channel, action.text)
            case actions.PublishMessage():
                if self._to.topics is None:
                    raise Refused("this component was started without Pub/Sub", reason="NoPubSub")
                await self._to.topics.publish(action.project, action.topic, action.data)

    async def _github(self, action: actions.Action, since_s: float | None) -> None:
        github = self._to.github
        if github is None:
            raise Refused("this component was started without GitHub credentials", reason="NoGitHub")
        match action:
            case actions.PostStatus():
                await github.post_status(action.org, action.repo, action.sha, action.status)
            case actions.CreateComment():
                if since_s is None or not await self._said(action, since_s):
                    await self._fence.enter()
                    await github.create_comment(action.org, action.repo, action.number, action.body)
            case actions.EditComment():
                await github.edit_comment(action.org, action.repo, action.comment_id, action.body)
            case actions.DeleteComment():
                await github.delete_comment(action.org, action.repo, action.comment_id)
            case actions.AddLabel():
                await github.add_label(action.org, action.repo, action.number, action.label)
            case actions.RemoveLabel():
                await github.remove_label(action.org, action.repo, action.number, action.label)
            case actions.Assign() | actions.Unassign() | actions.RequestReviews():
                await _people(github, action)
            case actions.RerunFailedJobs() | actions.ApproveRun() | actions.RedeliverHook():
                await _again(github, action)
            case _:
                raise AssertionError(f"{type(action).__name__} is not a GitHub action")

    async def _said(self, action: actions.CreateComment, since_s: float) -> bool:
        """True when a comment of ours with this very text is there, written at `since_s` or later by our clock."""
        assert self._to.github is not None
        bot = await self._to.github.bot_user()
        for comment in await self._to.github.comments(action.org, action.repo, action.number):
            mine = comment.user.login == bot.login and comment.body == action.body
            if mine and instants.seconds(comment.created_at) >= int(since_s - SKEW_S):
                return True
        return False


async def _again(github: GitHub, action: actions.RerunFailedJobs | actions.ApproveRun | actions.RedeliverHook) -> None:
    match action:
        case actions.RerunFailedJobs():
            await github.rerun_failed_jobs(action.org, action.repo, action.run_id)
        case actions.ApproveRun():
            await github.approve_run(action.org, action.repo, action.run_id)
        case actions.RedeliverHook():
            await github.redeliver(action.hook, action.delivery_id)


async def _people(github: GitHub, action: actions.Assign | actions.Unassign | actions.RequestReviews) -> None:
    place = (action.org, action.repo, action.number)
    match action:
        case actions.Assign():
            left_out = await github.assign(*place, action.logins)
        case actions.Unassign():
            await github.unassign(*place, action.logins)
            left_out = ()
        case actions.RequestReviews():
            left_out = await github.request_reviews(*place, action.logins)
    if left_out:
        log.info("GitHub leaves people out", action=type(action).__name__, logins=left_out, place=place)


def _conditional(action: actions.PatchProwJob | actions.PatchPod) -> Json:
    """Return the patch with the condition that the object is as it was when the patch was decided upon."""
    meta = {**action.patch.get("metadata", {}), "resourceVersion": action.resource_version}
    return {**action.patch, "metadata": meta}


def _readable(read: Callable[[bytes], T], raw: bytes, name: str) -> T:
    """Read a ProwJob that stands in the cluster. Raises Refused when it does not read: it is left alone."""
    try:
        return read(raw)
    except objects.Unreadable as error:
        raise Refused(f"ProwJob {name} does not read, so it is left alone: {error.why}", 422, "Malformed") from error
