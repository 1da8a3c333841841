"""Prow's main configuration, with upstream's defaults. A reload makes a whole new one; nobody edits it.

Source: upstream pkg/config/config.go; keys per scope are `org/repo`, `org` and `*`, first present wins.
"""

from typing import Any

import msgspec

from prow_async.api.config_deck import Deck
from prow_async.api.config_gerrit import Gerrit
from prow_async.api.config_protection import BranchProtection
from prow_async.api.config_sections import (
    Gangway,
    InRepoConfig,
    JenkinsOperator,
    ManagedWebhooks,
    Moonraker,
    OwnersDirDenylist,
    Pipeline,
    PubSubTrigger,
    PushGateway,
    Scheduler,
)
from prow_async.api.config_tide import Tide
from prow_async.api.jobconfig import Periodic, Postsubmit, Preset, Presubmit
from prow_async.api.prowjob import DecorationConfig, ProwJobDefault, SlackReporterConfig


class DecorationEntry(msgspec.Struct, frozen=True):
    """Applies where repo and cluster match exactly; "" and `*` match all. Later entries override earlier ones."""

    repo: str = ""
    cluster: str = ""
    config: DecorationConfig | None = None


class ProwJobDefaultEntry(msgspec.Struct, frozen=True):
    """Matches as DecorationEntry does; later entries override earlier ones field by field."""

    repo: str = ""
    cluster: str = ""
    config: ProwJobDefault | None = None


class Plank(msgspec.Struct, frozen=True, kw_only=True):
    """Durations are Go duration strings on the wire and seconds in the `_s` fields the loader fills."""

    job_url_template: str = ""
    report_template: str = ""
    report_templates: dict[str, str] = {}
    max_concurrency: int = 0
    max_goroutines: int = 20
    pod_pending_timeout: str = "10m"
    pod_running_timeout: str = "48h"
    pod_unscheduled_timeout: str = "5m"
    max_revivals: int = 3
    default_decoration_configs: dict[str, DecorationConfig] = {}
    """The older form, by `*`, org or org/repo; the loader turns it into the entries below and leaves it empty."""
    default_decoration_config_entries: tuple[DecorationEntry, ...] = ()
    job_url_prefix_config: dict[str, str] = {}
    job_url_prefix_disable_append_storage_provider: bool = msgspec.field(
        default=False, name="jobURLPrefixDisableAppendStorageProvider"
    )
    build_cluster_status_file: str = ""
    job_queue_capacities: dict[str, int] = {}

    pod_pending_timeout_s: float = 600.0
    pod_running_timeout_s: float = 172800.0
    pod_unscheduled_timeout_s: float = 300.0


class Sinker(msgspec.Struct, frozen=True, kw_only=True):
    resync_period: str = "1h"
    max_prowjob_age: str = "168h"
    max_pod_age: str = "24h"
    terminated_pod_ttl: str = ""
    exclude_clusters: tuple[str, ...] = ()

    resync_period_s: float = 3600.0
    max_prowjob_age_s: float = 604800.0
    max_pod_age_s: float = 86400.0
    terminated_pod_ttl_s: float = 86400.0


class Horologium(msgspec.Struct, frozen=True, kw_only=True):
    tick_interval: str = "1m"
    tick_interval_s: float = 60.0


class GitHubReporter(msgspec.Struct, frozen=True, kw_only=True):
    job_types_to_report: tuple[str, ...] = ("presubmit", "postsubmit")
    no_comment_repos: tuple[str, ...] = ()
    summary_comment_repos: tuple[str, ...] = ()


class GitHubOptions(msgspec.Struct, frozen=True, kw_only=True):
    link_url: str = "https://github.com"


class SlackReporter(SlackReporterConfig, frozen=True):
    """Slack's defaults for a scope; a job's own reporter_config wins field by field."""

    job_types_to_report: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Main configuration and all jobs. `presubmits` and `postsubmits` are keyed by `org/repo`."""

    prowjob_namespace: str = "default"
    pod_namespace: str = "default"
    log_level: str = "info"
    status_error_link: str = "https://github.com/kubernetes/test-infra/issues"
    disabled_clusters: tuple[str, ...] = ()
    decorate_all_jobs: bool = False
    config_version_sha: str = ""
    """The content of the file VERSION beside the main one, where there is one."""
    default_job_timeout: str = "24h"
    """Read by nobody, as upstream."""
    prow_ignored: Any = None
    """A place for YAML anchors; never read."""
    plank: Plank = Plank()
    sinker: Sinker = Sinker()
    horologium: Horologium = Horologium()
    github_reporter: GitHubReporter = GitHubReporter()
    github: GitHubOptions = GitHubOptions()
    slack_reporter_configs: dict[str, SlackReporter] = {}
    """By `org/repo`, org and `*`, first present wins; jobs without refs use `*` alone."""
    tide: Tide = Tide()
    deck: Deck = Deck()
    branch_protection: BranchProtection = msgspec.field(default=BranchProtection(), name="branch-protection")
    gerrit: Gerrit = Gerrit()
    pipeline: Pipeline = Pipeline()
    push_gateway: PushGateway = PushGateway()
    owners_dir_denylist: OwnersDirDenylist | None = None
    moonraker: Moonraker = Moonraker()
    scheduler: Scheduler = Scheduler()
    in_repo_config: InRepoConfig = InRepoConfig()
    gangway: Gangway = Gangway()
    pubsub_subscriptions: dict[str, tuple[str, ...]] = {}
    """The older form, by project; the loader turns it into the triggers below and leaves it empty."""
    pubsub_triggers: tuple[PubSubTrigger, ...] = ()
    jenkins_operators: tuple[JenkinsOperator, ...] = ()
    managed_webhooks: ManagedWebhooks = ManagedWebhooks()
    prowjob_default_entries: tuple[ProwJobDefaultEntry, ...] = ()
    presets: tuple[Preset, ...] = ()
    """Those of the job files too; in-repo jobs are given them."""
    presubmits: dict[str, tuple[Presubmit, ...]] = {}
    postsubmits: dict[str, tuple[Postsubmit, ...]] = {}
    periodics: tuple[Periodic, ...] = ()

    def scoped(self, table: dict[str, str], org: str, repo: str, default: str = "") -> str:
        """Look up by `org/repo`, then org, then `*`; an empty value falls through."""
        for key in (f"{org}/{repo}", org, "*"):
            if table.get(key):
                return table[key]
        return default
