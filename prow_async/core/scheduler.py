"""Which cluster a ProwJob in the state `scheduling` goes to.

Strategies: a map from cluster to cluster (`failover`), else a service that is asked (`external`), else the job's own.

Source: upstream pkg/scheduler.
"""

import msgspec

from prow_async.api.config_sections import ExternalSchedulingCache, Scheduler
from prow_async.api.views import JobView
from prow_async.core import durations

_PLACED = frozenset({"kubernetes", "tekton-pipeline"})
"""Agents to which a cluster means something."""


class Go(msgspec.Struct, frozen=True):
    """The cluster is known."""

    cluster: str
    why: str


class Ask(msgspec.Struct, frozen=True):
    """A service knows: POST `body` to `url`, and give `answered` what comes back."""

    url: str
    body: bytes


class _Answer(msgspec.Struct, frozen=True):
    cluster: str = ""


_decoder = msgspec.json.Decoder(_Answer)


def decide(job: JobView, settings: Scheduler) -> Go | Ask:
    """Return where the job goes, or who knows."""
    if job.agent not in _PLACED:
        return Go(job.cluster, f"agent {job.agent or '(none)'}: as the job says")
    if settings.failover is not None:
        target = settings.failover.mappings.get(job.cluster, job.cluster)
        return Go(target, f"failover: {job.cluster} is mapped to {target}")
    if settings.external is not None:
        return Ask(settings.external.url, msgspec.json.encode({"job": job.job}))
    return Go(job.cluster, "as the job says")


def answered(status: int, body: bytes) -> str:
    """Read the service's answer; empty when it names no cluster."""
    try:
        return _decoder.decode(body).cluster if status == 200 else ""
    except msgspec.DecodeError:
        return ""


def fresh_s(cache: ExternalSchedulingCache) -> float:
    """Return for how many seconds an answer counts; 0 where nothing is said, or what is said cannot be read."""
    try:
        return durations.parse_s(cache.entry_timeout_interval) if cache.entry_timeout_interval else 0.0
    except durations.DurationError:
        return 0.0


def patch(cluster: str) -> dict[str, object]:
    """Return the merge patch that lets the job's agent have it."""
    return {"spec": {"cluster": cluster}, "status": {"state": "triggered"}}
