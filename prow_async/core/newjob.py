"""From job configuration to a ProwJob object.

Source: upstream pkg/pjutil/pjutil.go (the spec builders, NewProwJob).
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from prow_async.api import names
from prow_async.api.config import Config
from prow_async.api.github import PullRequest, PushEvent, Repo
from prow_async.api.jobconfig import JobBase, Periodic, Postsubmit, Presubmit
from prow_async.api.prowjob import (
    DecorationConfig,
    JobType,
    ObjectMeta,
    ProwJob,
    ProwJobSpec,
    ProwJobStatus,
    Pull,
    Refs,
    ReporterConfig,
)
from prow_async.core import identity, instants, labels

BirthState: TypeAlias = Literal["triggered", "scheduling"]


class Birth(msgspec.Struct, frozen=True):
    """Where, when and why an object comes to be. `name`: identity.name_for, or a UUID of version 4."""

    name: str
    namespace: str
    now_s: float
    cause: str
    state: BirthState = "triggered"


def first_state(config: Config) -> BirthState:
    """Return the state that jobs begin in: the scheduler's, where there is one, lets them go on."""
    return "scheduling" if config.scheduler.enabled else "triggered"


def new_prowjob(
    spec: ProwJobSpec, extra_labels: Mapping[str, str], extra_annotations: Mapping[str, str], birth: Birth
) -> ProwJob:
    """Make the object to create, with upstream's labels and annotations and with our digest and cause."""
    spec = msgspec.structs.replace(spec, reporter_config=_with_report(spec.reporter_config))
    marks = labels.for_spec(spec, extra_labels, extra_annotations)
    job = ProwJob(
        metadata=ObjectMeta(name=birth.name, namespace=birth.namespace, labels=marks.labels),
        spec=spec,
        status=ProwJobStatus(start_time=instants.rfc3339(birth.now_s), state=birth.state),
    )
    annotations = {**marks.annotations, names.DIGEST: identity.spec_digest(job), names.CAUSE: birth.cause}
    return msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, annotations=annotations))


def presubmit_spec(job: Presubmit, refs: Refs) -> ProwJobSpec:
    """Expand a presubmit on the pull in `refs`."""
    return msgspec.structs.replace(
        _base("presubmit", job),
        refs=_primary(refs, job),
        report=not job.skip_report,
        context=job.context,
        rerun_command=job.rerun_command,
        jenkins_spec=job.jenkins_spec,
    )


def postsubmit_spec(job: Postsubmit, refs: Refs) -> ProwJobSpec:
    """Expand a postsubmit on the pushed commit in `refs`. It has no rerun command."""
    return msgspec.structs.replace(
        _base("postsubmit", job),
        refs=_primary(refs, job),
        report=not job.skip_report,
        context=job.context,
        jenkins_spec=job.jenkins_spec,
    )


def periodic_spec(job: Periodic) -> ProwJobSpec:
    """Expand a periodic. It always reports, and has neither context nor primary refs."""
    return msgspec.structs.replace(_base("periodic", job), report=True)


def batch_spec(job: Presubmit, refs: Refs) -> ProwJobSpec:
    """Expand a presubmit on all pulls in `refs` at once. Only tide reads the result, so it reports nowhere."""
    return msgspec.structs.replace(_base("batch", job), refs=_primary(refs, job), context=job.context)


def pull_refs(repo: Repo, pr: PullRequest, base_sha: str) -> Refs:
    """Name the code under test of one pull request of `repo` on `base_sha`, the newest commit of its base branch."""
    org, name, link = repo.owner.login, repo.name, repo.html_url
    pull = Pull(
        number=pr.number,
        author=pr.user.login,
        sha=pr.head.sha,
        title=pr.title,
        head_ref=pr.head.ref,
        link=pr.html_url,
        commit_link=f"{link}/pull/{pr.number}/commits/{pr.head.sha}",
        author_link=pr.user.html_url,
    )
    base_link = f"{link}/commit/{base_sha}"
    return Refs(org, name, link, base_ref=pr.base.ref, base_sha=base_sha, base_link=base_link, pulls=(pull,))


def push_refs(push: PushEvent) -> Refs:
    """Name the pushed code. Push events carry the owner's login as `name`."""
    repo = push.repository
    org = repo.owner.name or repo.owner.login
    return Refs(org, repo.name, repo.html_url, base_ref=push.branch, base_sha=push.after, base_link=push.compare)


def _base(job_type: JobType, job: JobBase) -> ProwJobSpec:
    return ProwJobSpec(
        type=job_type,
        agent=job.agent,
        cluster=job.cluster,
        namespace=job.namespace or "",
        job=job.name,
        extra_refs=tuple(_blobless(refs, job.decoration_config) for refs in job.extra_refs),
        max_concurrency=job.max_concurrency,
        error_on_eviction=job.error_on_eviction,
        pod_spec=job.spec,
        pipeline_run_spec=job.pipeline_run_spec,
        tekton_pipeline_run_spec=job.tekton_pipeline_run_spec,
        decoration_config=job.decoration_config,
        reporter_config=job.reporter_config,
        rerun_auth_config=job.rerun_auth_config,
        hidden=job.hidden,
        prowjob_defaults=job.prowjob_defaults,
        job_queue_name=job.job_queue_name,
    )


def _primary(refs: Refs, job: JobBase) -> Refs:
    """Complete the primary refs with how the job wants its code cloned; what the job leaves unset stays."""
    decoration = job.decoration_config
    refs = _blobless(refs, decoration)
    sparse = decoration.sparse_checkout_files if decoration else ()
    return msgspec.structs.replace(
        refs,
        path_alias=job.path_alias or refs.path_alias,
        clone_uri=job.clone_uri or refs.clone_uri,
        skip_submodules=job.skip_submodules or refs.skip_submodules,
        clone_depth=job.clone_depth if job.clone_depth > 0 else refs.clone_depth,
        skip_fetch_head=job.skip_fetch_head or refs.skip_fetch_head,
        sparse_checkout_files=sparse or refs.sparse_checkout_files,
    )


def _blobless(refs: Refs, decoration: DecorationConfig | None) -> Refs:
    if decoration is None or decoration.blobless_fetch is None or refs.blobless_fetch is not None:
        return refs
    return msgspec.structs.replace(refs, blobless_fetch=decoration.blobless_fetch)


def _with_report(config: ReporterConfig | None) -> ReporterConfig | None:
    """Settle Slack's `report`: unset means yes, unless the list of states to report is there and empty."""
    if config is None or config.slack is None or config.slack.report is not None:
        return config
    slack = msgspec.structs.replace(config.slack, report=config.slack.job_states_to_report != ())
    return msgspec.structs.replace(config, slack=slack)
