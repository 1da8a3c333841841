"""The pod information reporter: keeps what Kubernetes knew of a pod, and holds the pod until that is stored.

Source: upstream pkg/crier/reporters/gcs/kubernetes/reporter.go.
"""

from collections.abc import Sequence

import msgspec

from prow_async.api import names
from prow_async.api.actions import Decision, PatchPod
from prow_async.api.views import JobView, PodView
from prow_async.core import crier_blobs
from prow_async.core.crier_blobs import Place

PODINFO_FILE = "podinfo.json"
_CASTAGNOLI = 0x82F63B78
_ALL = 0xFFFFFFFF


class PodInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What podinfo.json says."""

    pod: msgspec.Raw
    events: list[msgspec.Raw] = []
    node: msgspec.Raw | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    job: JobView
    place: Place
    pod: PodView
    raw: bytes
    """The pod as its API server sent it."""
    events: Sequence[msgspec.Raw] = ()
    node: bytes | None = None


class _Spec(msgspec.Struct, frozen=True):
    nodeName: str = ""  # noqa: N815 - a wire name


class _Pod(msgspec.Struct, frozen=True):
    spec: _Spec = _Spec()


def node_of(pod: bytes) -> str:
    """Return the name of the node that a pod runs on; empty before it has one. The pod has been read before."""
    return msgspec.json.decode(pod, type=_Pod).spec.nodeName


def silence(job: JobView, fraction: float = 1.0) -> str | None:
    """Say why a pod's information is not wanted yet, or never; None when there is something to do.

    Args:
        fraction: 0 to 1, the share of jobs that is reported, chosen by name.
    """
    if job.agent != "kubernetes":
        return f"agent {job.agent} has no pods"
    if job.pending_s is None or not job.build_id:
        return "it has no pod yet"
    if job.state == "aborted" and not job.complete:
        return "it was aborted, but is not over yet"
    if not is_chosen(job.name, fraction):
        return "it is not among those whose pods are reported"
    return None


def is_chosen(name: str, fraction: float) -> bool:
    """Choose a share of jobs by the checksum of their names, the same everywhere."""
    return fraction >= 1 or _crc32c(name.encode()) <= int(_ALL * fraction)


def decide_hold(cluster: str, pod: PodView) -> Decision:
    """Hold a pod that runs, so that it is not gone before its information is stored."""
    if pod.deleting:
        return Decision((), "the pod is going already: it takes no finalizer")
    if names.GCS_K8S_FINALIZER in pod.finalizers:
        return Decision((), "the pod is held already")
    kept = [*pod.finalizers, names.GCS_K8S_FINALIZER]
    return Decision((_patch(cluster, pod, sorted(kept), "its information is to be stored"),), "holds the pod")


def decide_store(facts: Facts) -> Decision:
    """Store what is known of a pod that has ended, then let it go."""
    info = PodInfo(msgspec.Raw(facts.raw), list(facts.events), None if facts.node is None else msgspec.Raw(facts.node))
    why = f"{facts.job.job} is over ({facts.job.state})"
    write = crier_blobs.write_json(facts.place, PODINFO_FILE, msgspec.json.encode(info), why)
    return Decision((write, *release(facts.job.cluster, facts.pod)), f"stores what is known of the pod: {why}")


def release(cluster: str, pod: PodView) -> tuple[PatchPod, ...]:
    """Let a pod go, if it is held."""
    if names.GCS_K8S_FINALIZER not in pod.finalizers:
        return ()
    rest = [name for name in pod.finalizers if name != names.GCS_K8S_FINALIZER]
    return (_patch(cluster, pod, rest or None, "nothing more is wanted of it"),)


def _patch(cluster: str, pod: PodView, finalizers: list[str] | None, why: str) -> PatchPod:
    return PatchPod(
        cluster=cluster,
        namespace=pod.namespace,
        name=pod.name,
        patch={"metadata": {"finalizers": finalizers}},
        resource_version=pod.resource_version,
        why=why,
    )


def _crc32c(data: bytes) -> int:
    crc = _ALL
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc ^ _ALL
