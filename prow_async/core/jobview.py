"""ProwJob JSON to JobView: the parts the controllers need, decoded straight from bytes, everything else skipped."""

import functools
import sys
from collections.abc import Mapping
from datetime import datetime

import msgspec

from prow_async.api import names
from prow_async.api.prowjob import JobType, ProwJob, Pull, SlackReporterConfig, State
from prow_async.api.views import JobView, PullView
from prow_async.core import durations, goflags, objects


class _Labels(msgspec.Struct, frozen=True, gc=False):
    optional: str = msgspec.field(default="", name=names.IS_OPTIONAL_LABEL)
    retest: str = msgspec.field(default="", name=names.RETEST_LABEL)
    rerun: str = msgspec.field(default="", name=names.RERUN_LABEL)
    guid: str = msgspec.field(default="", name=names.EVENT_GUID)
    gerrit: str = msgspec.field(default="", name=names.GERRIT_REPORT_LABEL)
    project: str = msgspec.field(default="", name=names.PUBSUB_PROJECT)
    topic: str = msgspec.field(default="", name=names.PUBSUB_TOPIC)
    failure: str = msgspec.field(default="", name=names.FAILURE_CLASS)


class _Annotations(msgspec.Struct, frozen=True, gc=False):
    cause: str = msgspec.field(default="", name=names.CAUSE)
    digest: str = msgspec.field(default="", name=names.DIGEST)
    project: str = msgspec.field(default="", name=names.PUBSUB_PROJECT)
    topic: str = msgspec.field(default="", name=names.PUBSUB_TOPIC)
    slot: str = msgspec.field(default="", name=names.SLOT)


class _Meta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: str | None = None
    labels: _Labels | None = None
    annotations: _Annotations | None = None


class _Refs(msgspec.Struct, frozen=True, gc=False):
    org: str = ""
    repo: str = ""
    base_ref: str = ""
    base_sha: str = ""
    pulls: list[Pull] | None = None


class _Decoration(msgspec.Struct, frozen=True, gc=False):
    pod_pending_timeout: str | None = None
    pod_running_timeout: str | None = None
    pod_unscheduled_timeout: str | None = None


class _Reporters(msgspec.Struct, frozen=True, gc=False):
    slack: SlackReporterConfig | None = None


class _Spec(msgspec.Struct, frozen=True, gc=False):
    type: JobType
    job: str
    agent: str = ""
    cluster: str = ""
    refs: _Refs | None = None
    extra_refs: list[_Refs] | None = None
    report: bool = False
    context: str = ""
    rerun_command: str = ""
    max_concurrency: int = 0
    error_on_eviction: bool = False
    decoration_config: _Decoration | None = None
    reporter_config: _Reporters | None = None
    job_queue_name: str = ""


class _Status(msgspec.Struct, frozen=True, gc=False):
    startTime: datetime | None = None  # noqa: N815 - wire names: the status mixes camelCase and snake_case
    pendingTime: datetime | None = None  # noqa: N815 - as above
    completionTime: datetime | None = None  # noqa: N815 - as above
    state: State = ""
    description: str = ""
    url: str = ""
    pod_revival_count: int = 0
    pod_name: str = ""
    build_id: str = ""
    prev_report_states: dict[str, str] | None = None


class _Job(msgspec.Struct, frozen=True, gc=False):
    metadata: _Meta
    spec: _Spec
    status: _Status | None = None


_decoder = msgspec.json.Decoder(_Job)
_full = msgspec.json.Decoder(ProwJob)
_NO_LABELS, _NO_ANNOTATIONS, _NO_REFS = _Labels(), _Annotations(), _Refs()
_NO_DECORATION, _NO_STATUS = _Decoration(), _Status()
_NOTHING: Mapping[str, str] = {}


def read(raw: bytes | msgspec.Raw) -> JobView:
    """Decode one ProwJob. Raises objects.Unreadable with the path of the first thing that is not as it should be."""
    try:
        return _view(objects.decoded(_decoder, raw))
    except (msgspec.DecodeError, durations.DurationError) as error:
        raise objects.Unreadable(str(error)) from error


def read_full(raw: bytes | msgspec.Raw) -> ProwJob:
    """Decode every field. Raises objects.Unreadable."""
    return objects.decoded(_full, raw)


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _duration(text: str | None) -> float | None:
    return None if text is None else durations.parse_s(text)


def _identity(spec: _Spec) -> str:
    """Upstream's duplicate identity (pkg/pjutil/abort.go): repo, base branch and pull numbers of each ref; no SHAs."""
    every = ([spec.refs] if spec.refs else []) + (spec.extra_refs or [])
    digests = [f"{r.org}/{r.repo}@{r.base_ref} {sorted(p.number for p in r.pulls or ())}" for r in every]
    return sys.intern(",".join(sorted(digests)))


@functools.lru_cache(maxsize=1024)
def _shared(config: SlackReporterConfig | None) -> SlackReporterConfig | None:
    """Return the first of all equal ones: a job's runs share theirs."""
    return config


@functools.lru_cache(maxsize=1024)
def _reported(states: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return the first of all equal ones: there are few, and most jobs have one."""
    return {sys.intern(reporter): sys.intern(state) for reporter, state in states}


def _view(job: _Job) -> JobView:
    intern = sys.intern
    meta, spec, status = job.metadata, job.spec, job.status or _NO_STATUS
    labels, annotations = meta.labels or _NO_LABELS, meta.annotations or _NO_ANNOTATIONS
    refs = spec.refs or _NO_REFS
    decoration = spec.decoration_config or _NO_DECORATION
    complete = status.completionTime is not None
    return JobView(
        name=meta.name,
        namespace=intern(meta.namespace),
        uid=meta.uid,
        resource_version=meta.resource_version,
        created_s=_seconds(meta.creation_timestamp) or 0.0,
        deleting=meta.deletion_timestamp is not None,
        cause=annotations.cause,
        event_guid=intern(labels.guid),
        optional=goflags.BOOLS.get(labels.optional),
        rerun=int(labels.rerun) if labels.rerun.isdecimal() else 0,
        retest=labels.retest == "true",
        gerrit=bool(labels.gerrit),
        failure_class=intern(labels.failure),
        digest=annotations.digest,
        slot=annotations.slot,
        type=spec.type,
        agent=intern(spec.agent),
        cluster=intern(spec.cluster or "default"),
        job=intern(spec.job),
        context=intern(spec.context),
        report=spec.report,
        slack=_shared(spec.reporter_config.slack) if spec.reporter_config is not None else None,
        pubsub=bool((annotations.project or labels.project) and (annotations.topic or labels.topic)),
        rerun_command=intern(spec.rerun_command),
        max_concurrency=spec.max_concurrency,
        job_queue_name=intern(spec.job_queue_name),
        error_on_eviction=spec.error_on_eviction,
        decorated=spec.decoration_config is not None,
        pod_pending_timeout_s=_duration(decoration.pod_pending_timeout),
        pod_running_timeout_s=_duration(decoration.pod_running_timeout),
        pod_unscheduled_timeout_s=_duration(decoration.pod_unscheduled_timeout),
        org=intern(refs.org),
        repo=intern(refs.repo),
        base_ref=intern(refs.base_ref),
        base_sha=intern(refs.base_sha),
        pulls=tuple(PullView(p.number, intern(p.sha), intern(p.author)) for p in refs.pulls or ()),
        extra_repos=tuple(intern(f"{r.org}/{r.repo}") for r in spec.extra_refs or ()),
        extra_base_ref=intern(spec.extra_refs[0].base_ref) if spec.extra_refs else "",
        refs_identity="" if complete else _identity(spec),
        state=status.state,
        description=intern(status.description),
        url=status.url,
        build_id=status.build_id,
        pod_name=meta.name if status.pod_name == meta.name else status.pod_name,
        revivals=status.pod_revival_count,
        start_s=_seconds(status.startTime),
        pending_s=_seconds(status.pendingTime),
        completion_s=_seconds(status.completionTime),
        reported=_reported(tuple(status.prev_report_states.items())) if status.prev_report_states else _NOTHING,
    )
