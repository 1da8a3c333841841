"""The pod information reporter: podinfo.json, and the finalizer that holds a pod until it is stored."""

from collections.abc import Hashable, Sequence

import msgspec

from prow_async.actors.reporters.places import Places
from prow_async.actors.reporters.reads import Cluster, Reads
from prow_async.api import names
from prow_async.api.actions import Action, Decision, PatchPod
from prow_async.api.errors import Missing, Refused
from prow_async.api.views import JobView, PodView
from prow_async.core import crier_pods, objects, podview
from prow_async.core.crier_blobs import Place
from prow_async.ports.reporter import Judgement, Stage


class PodReporter:
    """Implements ports/reporter.Reporter."""

    name = names.POD_REPORTER
    repeatable = True
    in_crowd = 24

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._places = Places(reads)

    def silence(self, job: JobView) -> str | None:
        return crier_pods.silence(job, self._reads.pod_fraction)

    def crowd(self, job: JobView) -> Hashable:
        return job.cluster

    def stages(self, job: JobView) -> Sequence[Stage]:
        return (Stage(self._pod),)

    def judge(self, action: Action | None, error: Refused) -> Judgement:
        if error.reason == "BadName":
            return "never"  # and the sweeper lets the pod go
        gone = isinstance(error, Missing) or "no new finalizers can be added" in error.why
        return "done" if isinstance(action, PatchPod) and gone else "unknown"

    async def _pod(self, job: JobView, again: bool) -> Decision:
        cluster = self._reads.cluster(job.cluster)
        if cluster is None:
            return Decision((), f"cluster {job.cluster} is none of ours any more")
        # A pod with no place to be stored in must not be held for ever.
        place = self._places.nowhere(job) or self._places.of((await self._reads.jobs.read(job)).job)
        if isinstance(place, str):
            return Decision((), f"nothing is stored: {place}")
        try:
            raw = await cluster.pods.get(job.pod_name or job.name)
            pod = podview.read(raw)
        except Missing:
            return Decision((), "the pod is gone")
        except objects.Unreadable as error:
            return Decision((), f"the pod does not read: {error.why}")
        if pod.job_name not in ("", job.name):
            return Decision((), f"the pod is another job's ({pod.job_name})")
        if not job.complete:
            return crier_pods.decide_hold(job.cluster, pod)
        return await self._store(job, place, cluster, (pod, raw))

    async def _store(self, job: JobView, place: Place, cluster: Cluster, found: tuple[PodView, bytes]) -> Decision:
        pod, raw = found
        events: list[msgspec.Raw] = []
        node = None
        if cluster.info is not None:
            try:
                events = await cluster.info.events(pod.namespace, pod.name, pod.uid)
            except Refused:
                events = []  # permissions of upstream's crier may not suffice; the pod itself tells most
            node = await self._node(cluster, raw)
        facts = crier_pods.Facts(job=job, place=place, pod=pod, raw=raw, events=events, node=node)
        return crier_pods.decide_store(facts)

    async def _node(self, cluster: Cluster, raw: bytes) -> bytes | None:
        name = crier_pods.node_of(raw)
        if not name or cluster.info is None:
            return None
        try:
            return await cluster.info.node(name)
        except Refused:  # gone with its machine, or not ours to read
            return None
