"""Job configuration as upstream's YAML has it, after loading and defaulting. Immutable and shared.

Source: upstream pkg/config/jobs.go.
"""

import msgspec

from prow_async.api.prowjob import (
    DecorationConfig,
    JenkinsSpec,
    Json,
    ProwJobDefault,
    Refs,
    ReporterConfig,
    RerunAuthConfig,
    TektonPipelineRunSpec,
)


class Source(msgspec.Struct, frozen=True):
    """Where a job stands: file path as given, line from 1."""

    file: str = ""
    line: int = 0


class JobBase(msgspec.Struct, frozen=True, kw_only=True):
    """What all three job types share. `cluster` and `agent` are never empty after loading."""

    name: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    max_concurrency: int = 0
    agent: str = ""
    cluster: str = ""
    namespace: str | None = None
    error_on_eviction: bool = False
    spec: Json | None = None
    pipeline_run_spec: Json | None = None
    tekton_pipeline_run_spec: TektonPipelineRunSpec | None = None
    reporter_config: ReporterConfig | None = None
    rerun_auth_config: RerunAuthConfig | None = None
    hidden: bool = False
    prowjob_defaults: ProwJobDefault | None = None
    job_queue_name: str = ""
    decorate: bool | None = None
    path_alias: str = ""
    clone_uri: str = ""
    skip_submodules: bool = False
    clone_depth: int = 0
    skip_fetch_head: bool = False
    extra_refs: tuple[Refs, ...] = ()
    decoration_config: DecorationConfig | None = None
    source: Source = Source()
    """Filled by the loader; no key of the YAML."""


class Presubmit(JobBase, frozen=True, kw_only=True):
    always_run: bool = False
    optional: bool = False
    trigger: str = ""
    rerun_command: str = ""
    run_before_merge: bool = False
    skip_branches: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    run_if_changed: str = ""
    skip_if_only_changed: str = ""
    context: str = ""
    skip_report: bool = False
    jenkins_spec: JenkinsSpec | None = None


class Postsubmit(JobBase, frozen=True, kw_only=True):
    always_run: bool | None = None
    skip_branches: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    run_if_changed: str = ""
    skip_if_only_changed: str = ""
    context: str = ""
    skip_report: bool = False
    jenkins_spec: JenkinsSpec | None = None


class Retry(msgspec.Struct, frozen=True):
    run_all: bool = False
    attempts: int = 0
    interval: str = ""


class Periodic(JobBase, frozen=True, kw_only=True):
    """Exactly one of interval, minimum_interval and cron is set. The first two are Go durations."""

    interval: str = ""
    minimum_interval: str = ""
    cron: str = ""
    tags: tuple[str, ...] = ()
    retry: Retry | None = None


class Preset(msgspec.Struct, frozen=True):
    """Applies to every job that has all its labels; without labels, to every job."""

    labels: dict[str, str] = {}
    env: tuple[Json, ...] = ()
    volumes: tuple[Json, ...] = ()
    volume_mounts: tuple[Json, ...] = msgspec.field(default=(), name="volumeMounts")
    tolerations: tuple[Json, ...] = ()
