"""What reporters may read while they gather. No port here can write."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from prow_async.actors.commit_index import CommitIndex
from prow_async.actors.pull_index import PullIndex
from prow_async.actors.whole_jobs import WholeJobs
from prow_async.ports.blobs import Storage
from prow_async.ports.config import ConfigSource
from prow_async.ports.github import GitHub
from prow_async.ports.kube import Collection, PodInfo
from prow_async.ports.messages import Slack, Topics
from prow_async.ports.reporter import Reporter


class Cluster(msgspec.Struct, frozen=True):
    """One build cluster."""

    pods: Collection
    info: PodInfo | None = None


class Reads(msgspec.Struct, frozen=True, kw_only=True):
    """Ports are None in processes that were given none."""

    config: ConfigSource
    jobs: WholeJobs
    pulls: PullIndex
    commits: CommitIndex
    cluster: Callable[[str], Cluster | None] = lambda _: None
    """Build cluster by alias."""
    github: GitHub | None = None
    storage: Storage | None = None
    agent: str = ""
    """GitHub is told of jobs of this agent; empty means all."""
    pod_fraction: float = 1.0
    """Share of jobs whose pods are reported."""
    job_pages: str = ""
    """Address of our own pages."""


Make = Callable[[Reads], Reporter]


class Reports(msgspec.Struct, frozen=True, kw_only=True):
    """What one process reports, and where to. An outlet is None where no reporter needs it."""

    reporters: Sequence[Make] = ()
    agent: str = ""
    pod_fraction: float = 1.0
    pod_infos: Mapping[str, PodInfo] = {}
    """By cluster alias; may change while the process runs."""
    storage: Storage | None = None
    slack: Slack | None = None
    topics: Topics | None = None
