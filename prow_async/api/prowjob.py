"""The ProwJob custom resource, field for field.

Field order is upstream's Go order, which is also the JSON order. `rename` is not needed: the wire names are snake_case
except inside the status and metadata. Times are RFC 3339 strings as Kubernetes writes them; `core/instants` reads them.

Source: upstream pkg/apis/prowjobs/v1/types.go.
"""

from typing import Any, Literal

import msgspec

from prow_async.api import names

Json = dict[str, Any]
"""A JSON object we carry but do not interpret here (a pod spec, resource requirements)."""

JobType = Literal["presubmit", "postsubmit", "periodic", "batch"]
State = Literal["", "scheduling", "triggered", "pending", "success", "failure", "aborted", "error"]

FINAL_STATES: frozenset[str] = frozenset({"success", "failure", "aborted", "error"})


class _Base(msgspec.Struct, frozen=True, omit_defaults=True):
    """Immutable; zero values left out on the wire as Go's omitempty does."""


class Pull(_Base, frozen=True):
    """One pull request under test."""

    number: int
    author: str = msgspec.field(default_factory=str)
    sha: str = msgspec.field(default_factory=str)
    title: str = ""
    ref: str = ""
    head_ref: str = ""
    link: str = ""
    commit_link: str = ""
    author_link: str = ""


class Refs(_Base, frozen=True):
    """The code under test: a base and the pulls merged onto it, in order."""

    org: str
    repo: str
    repo_link: str = ""
    base_ref: str = ""
    base_sha: str = ""
    base_link: str = ""
    pulls: tuple[Pull, ...] = ()
    path_alias: str = ""
    workdir: bool = False
    auxiliary: bool = False
    clone_uri: str = ""
    skip_submodules: bool = False
    clone_depth: int = 0
    skip_fetch_head: bool = False
    blobless_fetch: bool | None = None
    sparse_checkout_files: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """`org/repo`, or just the org when the repo is empty."""
        return f"{self.org}/{self.repo}" if self.repo else self.org


class GitHubTeamSlug(_Base, frozen=True):
    slug: str
    org: str


class RerunAuthConfig(_Base, frozen=True):
    allow_anyone: bool = False
    github_team_ids: tuple[int, ...] = ()
    github_team_slugs: tuple[GitHubTeamSlug, ...] = ()
    github_users: tuple[str, ...] = ()
    github_orgs: tuple[str, ...] = ()


class SlackReporterConfig(_Base, frozen=True):
    host: str = ""
    channel: str = ""
    job_states_to_report: tuple[str, ...] | None = None
    report_template: str = ""
    report: bool | None = None


class ReporterConfig(_Base, frozen=True):
    slack: SlackReporterConfig | None = None


class UtilityImages(_Base, frozen=True):
    clonerefs: str = ""
    initupload: str = ""
    entrypoint: str = ""
    sidecar: str = ""


class UtilityResources(_Base, frozen=True):
    clonerefs: Json | None = None
    initupload: Json | None = None
    place_entrypoint: Json | None = None
    sidecar: Json | None = None


class GCSConfiguration(_Base, frozen=True):
    bucket: str = ""
    path_prefix: str = ""
    path_strategy: str = ""
    default_org: str = ""
    default_repo: str = ""
    media_types: dict[str, str] = msgspec.field(default_factory=dict, name="mediaTypes")
    job_url_prefix: str = ""
    local_output_dir: str = ""
    compress_file_types: tuple[str, ...] | None = None


class SecretKey(_Base, frozen=True):
    name: str = ""
    key: str = ""


class CensoringOptions(_Base, frozen=True):
    censoring_concurrency: int | None = None
    censoring_buffer_size: int | None = None
    include_directories: tuple[str, ...] | None = None
    exclude_directories: tuple[str, ...] | None = None
    minimum_secret_length: int | None = None


class SchedulingOptions(_Base, frozen=True):
    affinity: Json | None = None
    tolerations: tuple[Json, ...] = ()


class DecorationConfig(_Base, frozen=True):
    """How the pod is decorated. Durations are Go duration strings; `timeout` and `grace_period` may be nanoseconds."""

    timeout: str | int | None = None
    grace_period: str | int | None = None
    utility_images: UtilityImages | None = None
    resources: UtilityResources | None = None
    gcs_configuration: GCSConfiguration | None = None
    gcs_credentials_secret: str | None = None
    s3_credentials_secret: str | None = None
    default_service_account_name: str | None = None
    ssh_key_secrets: tuple[str, ...] = ()
    ssh_host_fingerprints: tuple[str, ...] = ()
    blobless_fetch: bool | None = None
    sparse_checkout_files: tuple[str, ...] = ()
    skip_cloning: bool | None = None
    cookiefile_secret: str | None = None
    oauth_token_secret: SecretKey | None = None
    github_api_endpoints: tuple[str, ...] = ()
    github_app_id: str = ""
    github_app_private_key_secret: SecretKey | None = None
    censor_secrets: bool | None = None
    censoring_options: CensoringOptions | None = None
    upload_ignores_interrupts: bool | None = None
    set_limit_equals_memory_request: bool | None = None
    default_memory_request: str | int | float | None = None
    scheduling_options: SchedulingOptions | None = None
    pod_pending_timeout: str | None = None
    pod_running_timeout: str | None = None
    pod_unscheduled_timeout: str | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None


class ResultStoreConfig(_Base, frozen=True):
    project_id: str = ""


class ProwJobDefault(_Base, frozen=True):
    resultstore_config: ResultStoreConfig | None = None
    tenant_id: str = ""


class JenkinsSpec(_Base, frozen=True):
    github_branch_source_job: bool = False


class TektonPipelineRunSpec(_Base, frozen=True):
    v1beta1: Json | None = None


class ProwJobSpec(_Base, frozen=True, kw_only=True):
    """What shall run. `cluster` "" means `default`; `namespace` is read by the Tekton controller only."""

    type: JobType
    agent: str = ""
    cluster: str = ""
    namespace: str = ""
    job: str
    refs: Refs | None = None
    extra_refs: tuple[Refs, ...] = ()
    report: bool = False
    context: str = ""
    rerun_command: str = ""
    max_concurrency: int = 0
    error_on_eviction: bool = False
    pod_spec: Json | None = None
    jenkins_spec: JenkinsSpec | None = None
    pipeline_run_spec: Json | None = None
    tekton_pipeline_run_spec: TektonPipelineRunSpec | None = None
    decoration_config: DecorationConfig | None = None
    reporter_config: ReporterConfig | None = None
    rerun_auth_config: RerunAuthConfig | None = None
    hidden: bool = False
    prowjob_defaults: ProwJobDefault | None = None
    job_queue_name: str = ""


class ProwJobStatus(_Base, frozen=True):
    """How it goes. Complete means `completion_time` is set, whatever the state says."""

    start_time: str | None = msgspec.field(default=None, name="startTime")
    pending_time: str | None = msgspec.field(default=None, name="pendingTime")
    completion_time: str | None = msgspec.field(default=None, name="completionTime")
    state: State = ""
    description: str = ""
    url: str = ""
    pod_revival_count: int = 0
    pod_name: str = ""
    build_id: str = ""
    jenkins_build_id: str = ""
    prev_report_states: dict[str, str] = msgspec.field(default_factory=dict)


class ObjectMeta(_Base, frozen=True):
    """The parts of Kubernetes object metadata that Prow reads or writes."""

    name: str = ""
    generate_name: str = msgspec.field(default="", name="generateName")
    namespace: str = ""
    uid: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    creation_timestamp: str | None = msgspec.field(default=None, name="creationTimestamp")
    deletion_timestamp: str | None = msgspec.field(default=None, name="deletionTimestamp")
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    finalizers: tuple[str, ...] = ()


class ProwJob(_Base, frozen=True, kw_only=True):
    """The whole object. `api_version` and `kind` are always written: default factories escape omit_defaults."""

    api_version: str = msgspec.field(default_factory=lambda: names.API_VERSION, name="apiVersion")
    kind: str = msgspec.field(default_factory=lambda: "ProwJob")
    metadata: ObjectMeta
    spec: ProwJobSpec
    status: ProwJobStatus = ProwJobStatus()

    @property
    def complete(self) -> bool:
        return self.status.completion_time is not None
