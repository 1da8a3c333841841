"""Deck's configuration: the dashboard. Source: upstream pkg/config/config.go."""

from typing import Any

import msgspec

from prow_async.api.prowjob import RerunAuthConfig


class ExternalAgentLog(msgspec.Struct, frozen=True):
    """Where the logs of an agent's jobs are; `selector` narrows to ProwJobs with these labels."""

    agent: str = ""
    selector: str = ""
    url_template: str = ""


class Branding(msgspec.Struct, frozen=True):
    logo: str = ""
    favicon: str = ""
    background_color: str = ""
    header_color: str = ""


class RerunAuthEntry(msgspec.Struct, frozen=True):
    """Matches as default decoration entries do, but of all that match the last one alone counts."""

    repo: str = ""
    cluster: str = ""
    rerun_auth_configs: RerunAuthConfig | None = None


class Lens(msgspec.Struct, frozen=True):
    name: str = ""
    config: Any = None
    """For the lens alone; never checked here."""


class RemoteLens(msgspec.Struct, frozen=True):
    """A lens served elsewhere. What is not set, deck fills in from the lens of that name while `endpoint` is empty."""

    endpoint: str = ""
    static_root: str = ""
    title: str = ""
    priority: int | None = None
    hide_title: bool | None = None


class LensFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A lens shows when every pattern of `required_files` matches some artifact."""

    required_files: tuple[str, ...] = ()
    optional_files: tuple[str, ...] = ()
    lens: Lens = Lens()
    remote_config: RemoteLens | None = None


class Spyglass(msgspec.Struct, frozen=True, kw_only=True):
    lenses: tuple[LensFiles, ...] = ()
    viewers: dict[str, tuple[str, ...]] = {}
    """The older form; the loader turns it into lenses and leaves it empty."""
    size_limit: int = 100_000_000
    gcs_browser_prefix: str = ""
    gcs_browser_prefixes: dict[str, str] = {}
    gcs_browser_prefixes_by_bucket: dict[str, str] = {}
    announcement: str = ""
    testgrid_config: str = ""
    testgrid_root: str = ""
    hide_pr_history_link: bool = False
    pr_history_link_template: str = ""
    bucket_aliases: dict[str, str] = {}


class Deck(msgspec.Struct, frozen=True, kw_only=True):
    spyglass: Spyglass = Spyglass()
    tide_update_period: str = "10s"
    hidden_repos: tuple[str, ...] = ()
    external_agent_logs: tuple[ExternalAgentLog, ...] = ()
    branding: Branding | None = None
    google_analytics: str = ""
    rerun_auth_configs: dict[str, RerunAuthConfig] = {}
    """The older form, by scope; the loader turns it into the entries below and leaves it empty."""
    default_rerun_auth_configs: tuple[RerunAuthEntry, ...] = ()
    skip_storage_path_validation: bool | None = None
    """Only an explicit false turns validation on."""
    additional_allowed_buckets: tuple[str, ...] = ()

    tide_update_period_s: float = 10.0
