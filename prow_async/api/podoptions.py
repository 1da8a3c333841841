"""What a decorated pod tells its utilities: the JSON of their `*_OPTIONS` variables.

Fields stand in the order in which upstream writes them; those without a default are always written, others only when
set. Durations are nanoseconds, paths are those inside the pod.

Source: upstream pkg/clonerefs, pkg/gcsupload, pkg/initupload, pkg/entrypoint, pkg/sidecar, pkg/pod-utils/wrapper.
"""

import msgspec

from prow_async.api.prowjob import Refs

CLONEREFS_ENV = "CLONEREFS_OPTIONS"
INITUPLOAD_ENV = "INITUPLOAD_OPTIONS"
ENTRYPOINT_ENV = "ENTRYPOINT_OPTIONS"
SIDECAR_ENV = "SIDECAR_OPTIONS"
GCSUPLOAD_ENV = "GCSUPLOAD_OPTIONS"


class CloneRefsOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    src_root: str
    log: str
    git_user_name: str = ""
    git_user_email: str = ""
    refs: tuple[Refs, ...]
    key_files: tuple[str, ...] = ()
    oauth_token_file: str = ""
    host_fingerprints: tuple[str, ...] = ()
    max_parallel_workers: int = 0
    fail: bool = False
    cookie_path: str = ""
    github_api_endpoints: tuple[str, ...] = ()
    github_app_id: str = ""
    github_app_private_key_file: str = ""


class GCSUploadOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where and how to upload. From `bucket` to `compress_file_types` as in a job's gcs_configuration."""

    items: tuple[str, ...] = ()
    sub_dir: str = ""
    bucket: str = ""
    path_prefix: str = ""
    path_strategy: str = ""
    default_org: str = ""
    default_repo: str = ""
    media_types: dict[str, str] = msgspec.field(default_factory=dict, name="mediaTypes")
    job_url_prefix: str = ""
    local_output_dir: str = ""
    compress_file_types: tuple[str, ...] | None = None
    gcs_credentials_file: str = ""
    s3_credentials_file: str = ""
    dry_run: bool


class InitUploadOptions(GCSUploadOptions, frozen=True, kw_only=True, omit_defaults=True):
    log: str = ""
    """The clone records to upload; "" where nothing is cloned."""


class WrapperOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One test container: what it runs, and the files by which entrypoint and sidecar meet."""

    args: tuple[str, ...] = ()
    container_name: str = ""
    process_log: str
    marker_file: str
    metadata_file: str = ""


class EntrypointOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A WrapperOptions, written flat, with how long the process may run. 0 leaves a duration to entrypoint."""

    timeout: int
    grace_period: int
    artifact_dir: str = ""
    previous_marker: str = ""
    always_zero: bool = False
    propagate_error_code: bool = False
    copy_mode_only: bool = False
    copy_dst: str = ""
    args: tuple[str, ...] = ()
    container_name: str = ""
    process_log: str
    marker_file: str
    metadata_file: str = ""


class SidecarCensoring(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    secret_directories: tuple[str, ...] = ()
    censoring_concurrency: int | None = None
    censoring_buffer_size: int | None = None
    include_directories: tuple[str, ...] = ()
    exclude_directories: tuple[str, ...] = ()
    ini_filenames: tuple[str, ...] = ()
    minimum_secret_length: int | None = None


class SidecarOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    gcs_options: GCSUploadOptions
    wrapper_options: WrapperOptions | None = None
    """Deprecated form of a single entry."""
    entries: tuple[WrapperOptions, ...] = ()
    entry_error: bool = False
    ignore_interrupts: bool = False
    write_memory_profile: bool = False
    censoring_options: SidecarCensoring
