"""What a watch has not shown yet, found by listing: for whoever begins to act beside, or after, somebody else."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import anyio
import msgspec
import structlog

from prow_async.actors.clusters import Clusters
from prow_async.actors.store import Store, Viewed
from prow_async.api.errors import Expired, Missing, Refused, Retry
from prow_async.api.views import JobView, PodView
from prow_async.core import adoption, jobview, objects, podview, slots
from prow_async.ports.kube import Collection
from prow_async.runtime.backoff import Backoff

V = TypeVar("V", bound=Viewed)
log = structlog.get_logger()
PAGE = 500
POD_TRIES = 3


async def unseen(source: Collection, store: Store[V], read: Callable[[msgspec.Raw], V], tries: int = 0) -> list[V]:
    """List a collection; return what the store does not hold, or holds in another version.

    Args:
        tries: how often trouble is met before Retry goes to the caller; 0 never gives up.
    """
    backoff, failures = Backoff(0.2, 30.0), 0
    while True:
        try:
            return await _listed(source, store, read)
        except (Retry, Expired, Refused) as error:
            failures += 1
            log.warning("not caught up yet", cluster=source.cluster, why=str(error), failures=failures)
            if failures == tries:
                raise Retry(str(error)) from error
            await anyio.sleep(backoff.wait_s(failures))


async def _listed(source: Collection, store: Store[V], read: Callable[[msgspec.Raw], V]) -> list[V]:
    found: list[V] = []
    token = ""
    while True:
        page = await source.list_page(PAGE, token)
        for raw in page.items:
            try:
                view = read(raw)
            except objects.Unreadable:  # the reflector sets it aside
                continue
            if not _shows(store, view):
                found.append(view)
        token = page.continue_
        if not token:
            return found
        await anyio.lowlevel.checkpoint()


async def level(source: Collection, store: Store[JobView]) -> None:
    """Return once the store has shown all that there was when this was called. A silent watch takes its time."""
    behind = {job.name: job for job in await unseen(source, store, jobview.read)}
    backoff, rounds = Backoff(0.2, 10.0), 0
    while behind:
        rounds += 1
        await anyio.sleep(backoff.wait_s(rounds))
        for name, job in list(behind.items()):
            if _shows(store, job) or await _moved_on(source, store, name):
                del behind[name]


async def _moved_on(source: Collection, store: Store[JobView], name: str) -> bool:
    """True when the store shows a job as it is by now, or there is nothing to be shown."""
    try:
        return _shows(store, jobview.read(await source.get(name)))
    except (Missing, objects.Unreadable):
        return True
    except (Retry, Refused):
        return False


def _shows(store: Store[V], view: V) -> bool:
    known = store.get(view.name)
    return known is not None and (known.uid, known.resource_version) == (view.uid, view.resource_version)


class Hearsay:
    """Jobs of which we may know no more than what was true before we began to act: whoever acted then may have aborted
    one and taken its pod away. Patches say what they are based upon; a pod's creation cannot, so the job is read first.
    """

    def __init__(self) -> None:
        self._names: set[str] | None = set()

    def begin(self) -> None:
        """Somebody else may have acted until now: nothing is known for sure."""
        self._names = None

    def but(self, stale: Iterable[str]) -> None:
        """Everything has been listed: what was known was true, but of these jobs."""
        self._names = set(stale)

    def __contains__(self, name: str) -> bool:
        return self._names is None or name in self._names

    def read(self, name: str) -> None:
        """A job was read afresh, and is as we knew it."""
        if self._names is not None:
            self._names.discard(name)


async def holders(source: Collection, store: Store[JobView], clusters: Clusters, hearsay: Hearsay) -> list[JobView]:
    """Return the jobs that hold slots, or may, though the stores do not show it: by a state, or a pod, unseen so far.

    Tells `hearsay` which jobs the store does not show as they are. A cluster that is away is left out: its jobs are
    given no slots, and what runs there cannot be known.
    """
    pods: list[PodView] = []
    for cluster in clusters.once():
        if cluster.away:
            continue
        try:
            pods += await unseen(cluster.pods, cluster.store, podview.read, POD_TRIES)
        except Retry as error:
            log.warning("pods that nobody has seen yet are not counted", cluster=cluster.name, why=error.why)
    jobs = {job.name: job for job in await unseen(source, store, jobview.read)}
    hearsay.but(jobs)
    owners = ((jobs.get(pod.job_name) or store.get(pod.job_name), pod) for pod in pods)
    found = {job.name: job for job, pod in owners if job and not job.complete and adoption.owns(job, pod)}
    for job in jobs.values():
        if slots.role(job, _pod_of(job, clusters)) == "holds":
            found[job.name] = job
    return list(found.values())


def _pod_of(job: JobView, clusters: Clusters) -> slots.Pod:
    """Say whether the stores show a pod of a job that they do not show."""
    cluster = clusters.get(job.cluster)
    pod = None if cluster is None else cluster.store.get(job.name)
    return "there" if pod is not None and adoption.owns(job, pod) else "absent"
