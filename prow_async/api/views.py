"""Small projections of cluster objects: what the engine holds in memory instead of whole objects.

Flat, frozen, without pod specs; times are seconds since the Unix epoch (UTC), None where unset.
`core/jobview` and `core/podview` make them from JSON.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from prow_async.api.prowjob import JobType, SlackReporterConfig, State

FailureClass = Literal["test-failed", "infrastructure-lost", "never-scheduled", "configuration"]
"""Whose trouble it was: the test's own (or what it was given to test), a machine's or a cluster's, nobody's room for
it, or of what was asked for (image, command, spec, cluster)."""


class PullView(msgspec.Struct, frozen=True, gc=False):
    number: int
    sha: str
    author: str = ""


class JobView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A ProwJob as the controllers see it. About 1 KB; repeated strings are interned."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    created_s: float
    deleting: bool = False
    cause: str = ""
    """Our annotation `prow-async.dev/cause`: who made it and why."""
    event_guid: str = ""
    optional: bool | None = None
    """Label is-optional; None when it is not there, or says neither yes nor no."""
    rerun: int = 0
    """Label re-run: how many retries of a periodic came before this one."""
    retest: bool = False
    """Label retest: asked for by /retest or /retest-required."""
    gerrit: bool = False
    """Label gerrit-report-label is there, and not empty."""
    failure_class: str = ""
    """Label failure-class of ours: a FailureClass, or empty."""
    digest: str = ""
    slot: str = ""
    """Our annotation `prow-async.dev/slot`: the cron slot a periodic runs for."""

    type: JobType
    agent: str = ""
    cluster: str = "default"
    """Cluster alias; the empty alias is read as `default`."""
    job: str
    context: str = ""
    report: bool = False
    slack: SlackReporterConfig | None = None
    pubsub: bool = False
    """It names a project and a topic of Pub/Sub."""
    rerun_command: str = ""
    max_concurrency: int = 0
    job_queue_name: str = ""
    error_on_eviction: bool = False
    decorated: bool = False
    pod_pending_timeout_s: float | None = None
    pod_running_timeout_s: float | None = None
    pod_unscheduled_timeout_s: float | None = None
    """The three timeouts of the decoration config; None leaves it to plank's."""

    org: str = ""
    repo: str = ""
    base_ref: str = ""
    base_sha: str = ""
    pulls: tuple[PullView, ...] = ()
    extra_repos: tuple[str, ...] = ()
    """`org/repo` of each extra ref, in order."""
    extra_base_ref: str = ""
    """Of the first extra ref."""
    refs_identity: str = ""
    """Equal for two presubmits of the same pulls on the same base branch; SHAs do not count. Empty once complete."""

    state: State = ""
    description: str = ""
    url: str = ""
    build_id: str = ""
    pod_name: str = ""
    revivals: int = 0
    start_s: float | None = None
    pending_s: float | None = None
    completion_s: float | None = None
    reported: Mapping[str, str] = msgspec.field(default_factory=dict)
    """prev_report_states: reporter name -> last state it reported. Shared between views."""

    @property
    def complete(self) -> bool:
        return self.completion_s is not None

    @property
    def full_name(self) -> str:
        return f"{self.org}/{self.repo}" if self.repo else self.org


class ContainerView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One container's status. Terminated when `exit_code` is not None."""

    name: str
    init: bool = False
    exit_code: int | None = None
    terminated_reason: str = ""
    message: str = ""
    finished: bool = False
    """The finish time is set and not zero."""
    waiting_reason: str = ""
    waiting_message: str = ""


class PodView(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A Pod as the controllers see it."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    created_s: float
    deleting: bool = False
    deletion_s: float | None = None
    """When it should be gone, its grace included."""
    job_name: str = ""
    """Label prow.k8s.io/id: the ProwJob it belongs to."""
    build_id: str = ""
    created_by_prow: bool = False
    owner_uid: str = ""
    attempt: int | None = None
    digest: str = ""
    """Our three marks; empty or None on a pod that upstream made."""
    finalizers: tuple[str, ...] = ()
    phase: str = ""
    reason: str = ""
    message: str = ""
    disruption: str = ""
    """Reason of a true condition DisruptionTarget: the cluster itself takes the pod away."""
    unscheduled: str = ""
    """What the scheduler says while it finds no node."""
    start_s: float | None = None
    containers: tuple[ContainerView, ...] = ()


class Malformed(msgspec.Struct, frozen=True):
    """An object of the cluster that does not read as what it claims to be: set aside, told to a person, left alone."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    why: str
