"""The smaller sections of Prow's main configuration. Source: upstream pkg/config."""

import msgspec


class Pipeline(msgspec.Struct, frozen=True):
    allow_concurrent_postsubmit_jobs: bool = False


class PushGateway(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: str = ""
    interval: str = "1m"
    serve_metrics: bool = False

    interval_s: float = 60.0


class OwnersDirDenylist(msgspec.Struct, frozen=True):
    """Patterns of folders whose OWNERS do not count: `default`, the org's and the repo's together."""

    repos: dict[str, tuple[str, ...]] = {}
    default: tuple[str, ...] = ()
    ignore_preconfigured_defaults: bool = False


class Moonraker(msgspec.Struct, frozen=True, kw_only=True):
    client_timeout: str = "10m"

    client_timeout_s: float = 600.0


class Failover(msgspec.Struct, frozen=True):
    mappings: dict[str, str] = {}


class ExternalSchedulingCache(msgspec.Struct, frozen=True):
    entry_timeout_interval: str | None = None
    cleanup_interval: str | None = None


class ExternalScheduling(msgspec.Struct, frozen=True):
    url: str = ""
    cache: ExternalSchedulingCache = ExternalSchedulingCache()


class Scheduler(msgspec.Struct, frozen=True):
    """Failover beats external; without either jobs pass through."""

    enabled: bool = False
    failover: Failover | None = None
    external: ExternalScheduling | None = None


class InRepoConfig(msgspec.Struct, frozen=True):
    """Where jobs in repos count, by scope."""

    enabled: dict[str, bool | None] = {}
    allowed_clusters: dict[str, tuple[str, ...]] = {}

    def is_enabled(self, org: str, repo: str) -> bool:
        """Look up by `org/repo`, org, `*`: the first that says something; null says nothing."""
        for scope in (*_scopes(org, repo), "*"):
            found = self.enabled.get(scope)
            if found is not None:
                return found
        return False

    def clusters(self, org: str, repo: str) -> frozenset[str]:
        """Return the clusters that a repo's own jobs may run on: of all scopes that fit."""
        fitting = (*_scopes(org, repo), "*")
        return frozenset(cluster for scope in fitting for cluster in self.allowed_clusters.get(scope, ()))


def _scopes(org: str, repo: str) -> tuple[str, ...]:
    """Return the keys that may name a repo, narrowest first; a Gerrit one is written with and without its scheme."""
    full = f"{org}/{repo}"
    if org.startswith(("https://", "http://")):
        bare = org.partition("://")[2]
        return (full, f"{bare}/{repo}", org, bare)
    return (full, f"https://{full}", org, f"https://{org}")


class GangwayGCP(msgspec.Struct, frozen=True):
    endpoint_api_consumer_type: str = ""
    endpoint_api_consumer_number: str = ""


class AllowedJobsFilter(msgspec.Struct, frozen=True):
    tenant_id: str = ""


class AllowedApiClient(msgspec.Struct, frozen=True):
    gcp: GangwayGCP | None = None
    allowed_jobs_filters: tuple[AllowedJobsFilter, ...] = ()


class Gangway(msgspec.Struct, frozen=True):
    allowed_api_clients: tuple[AllowedApiClient, ...] = ()


class PubSubTrigger(msgspec.Struct, frozen=True):
    project: str = ""
    topics: tuple[str, ...] = ()
    allowed_clusters: tuple[str, ...] = ()
    max_outstanding_messages: int = 10


class JenkinsOperator(msgspec.Struct, frozen=True, kw_only=True):
    job_url_template: str = ""
    report_template: str = ""
    report_templates: dict[str, str] = {}
    max_concurrency: int = 0
    max_goroutines: int = 20
    label_selector: str = ""


class ManagedWebhook(msgspec.Struct, frozen=True):
    token_created_after: str = ""
    """RFC 3339; "" is the beginning of time."""


class ManagedWebhooks(msgspec.Struct, frozen=True):
    respect_legacy_global_token: bool = False
    org_repo_config: dict[str, ManagedWebhook] = {}
    auto_accept_invitation: bool = False
