"""What JOB_SPEC tells every program of a job: which run this is, and of what.

Source: upstream pkg/pod-utils/downwardapi/jobspec.go.
"""

import msgspec

from prow_async.api.prowjob import DecorationConfig, ProwJob, Refs

JOB_SPEC_ENV = "JOB_SPEC"


class JobSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of a job, in Go's order of fields."""

    type: str = ""
    job: str = ""
    buildid: str = ""
    prowjobid: str = ""
    refs: Refs | None = None
    extra_refs: tuple[Refs, ...] = ()
    decoration_config: DecorationConfig | None = None


def of(job: ProwJob, build_id: str) -> JobSpec:
    """Return what a ProwJob's run under this build id is told."""
    spec = job.spec
    return JobSpec(spec.type, spec.job, build_id, job.metadata.name, spec.refs, spec.extra_refs, spec.decoration_config)
