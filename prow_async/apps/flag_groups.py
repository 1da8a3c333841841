"""The flags of every component, with upstream's names and defaults.

Source: upstream pkg/flagutil and cmd/*/main.go. Flags of our own come last in each table and say so in their help.
"""

import msgspec

from prow_async.apps.flags import Flag
from prow_async.core import lease

_PROW_SUFFIX = Flag(
    "supplemental-prow-configs-filename-suffix",
    "str",
    "_prowconfig.yaml",
    "their file name suffix",
    older="supplemental-prow-configs-filename",
)
_CONFIG_OURS = (
    Flag("quarantine-bad-config", "bool", False, "leave out the jobs of bad job files instead of refusing all (ours)"),
    Flag("config-cache-file", "str", "", "file that keeps parsed job files between starts (ours; default: none)"),
)
CONFIG = (
    Flag("config-path", "str", "", "path of the main Prow configuration"),
    Flag("job-config-path", "str", "", "path of the job configuration: a file, or a tree of files"),
    Flag("supplemental-prow-config-dir", "strings", (), "directory of further Prow configuration"),
    _PROW_SUFFIX,
    Flag("in-repo-config-cache-size", "int", 200, "so many states of in-repo configuration are remembered"),
    Flag("cache-dir-base", "str", "", "where mirrors of repositories are kept (default: /var/lib/prow-async)"),
    Flag("moonraker-address", "str", "", "a server of in-repo config", "a server of in-repo configuration"),
    *_CONFIG_OURS,
)
KUBERNETES = (
    Flag("kubeconfig", "str", "", "path of a kubeconfig; every context is a build cluster"),
    Flag("kubeconfig-dir", "str", "", "directory of kubeconfig files"),
    Flag("kubeconfig-suffix", "str", "", "only files of that directory with this ending"),
    Flag("projected-token-file", "str", "", "service account token for the in-cluster configuration"),
    Flag("no-in-cluster-config", "bool", False, "use kubeconfig files only"),
)
GITHUB = (
    Flag("github-host", "str", "github.com", "GitHub's web host, for clones; with http:// or https:// too (ours)"),
    Flag("github-endpoint", "strings", ("https://api.github.com",), "REST address; further ones are tried in order"),
    Flag(
        "github-graphql-endpoint",
        "str",
        "https://api.github.com/graphql",
        "GraphQL address (default: the endpoint's)",
    ),
    Flag("github-token-path", "str", "", "file with the access token"),
    Flag("github-app-id", "str", "", "id of the GitHub App to act as, instead of a token"),
    Flag("github-app-private-key-path", "str", "", "file with the App's private key"),
    Flag("github-hourly-tokens", "int", 0, "so many requests an hour at most"),
    Flag("github-allowed-burst", "int", 0, "so many of them at once"),
    Flag("github-throttle-org", "strings", (), "org:requests an hour:burst, its own limit (with an App)"),
    Flag("github-client.request-timeout", "duration", 120.0, "longest request; of a write at most 45s"),
    Flag("github-client.max-retries", "int", 8, "so often a read is tried again"),
    Flag("github-client.max-404-retries", "int", 0, "so often a read is tried again after 404"),
    Flag("github-cache-dir", "str", "", "keep GitHub's answers there over restarts (ours; default: memory)"),
    Flag("github-cache-size-mib", "int", 512, "most space they take there (ours)"),
    Flag("github-client.backoff-timeout", "duration", 120.0, "longest wait between tries"),
    Flag("github-client.initial-delay", "duration", 2.0, "first wait between tries"),
    Flag("git-signing-key-path", "str", "", "key to sign commits with", "signed commits"),
)
_RETRIES = "github-client.max-retries"
GITHUB_FOR_A_PERSON = tuple(
    msgspec.structs.replace(flag, default=2) if flag.name == _RETRIES else flag for flag in GITHUB
)
"""Of tools somebody waits for: GitHub that is away is told within seconds."""
_CHECK_RATE: dict[str, int] = {"github-hourly-tokens": 3000, "github-allowed-burst": 100}
GITHUB_FOR_CHECKS = tuple(
    msgspec.structs.replace(flag, default=_CHECK_RATE.get(flag.name, flag.default)) for flag in GITHUB_FOR_A_PERSON
)
ENABLEMENT = (
    Flag("github-enabled-org", "strings", (), "only these orgs"),
    Flag("github-enabled-repo", "strings", (), "only these repos (org/repo)"),
    Flag("github-disabled-org", "strings", (), "not these orgs"),
    Flag("github-disabled-repo", "strings", (), "not these repos (org/repo)"),
)
STORAGE = (
    Flag("gcs-credentials-file", "str", "", "credentials for gs://", "blob storage"),
    Flag("s3-credentials-file", "str", "", "credentials for s3://", "blob storage"),
)
GERRIT = (
    Flag("gerrit-max-qps", "float", 0.0, "requests a second", "Gerrit"),
    Flag("gerrit-max-burst", "int", 0, "burst of requests", "Gerrit"),
)
INSTRUMENTATION = (
    Flag("metrics-port", "int", 9090, "port of /metrics"),
    Flag("pprof-port", "int", 6060, "port of the profiler", "pprof"),
    Flag("health-port", "int", 8081, "port of /healthz"),
    Flag("profile-memory-usage", "bool", False, "write heap dumps", "pprof"),
    Flag("memory-profile-interval", "duration", 30.0, "time between heap dumps", "pprof"),
)
PLUGINS = (
    Flag("plugin-config", "str", "/etc/plugins/plugins.yaml", "path of plugins.yaml"),
    Flag("supplemental-plugin-config-dir", "strings", (), "directory of further plugin configuration"),
    Flag("supplemental-plugin-configs-filename-suffix", "str", "_pluginconfig.yaml", "their file name suffix"),
)
OURS = (
    Flag("installation-id", "str", "", "first part of derived names (ours; default: the ProwJob namespace)"),
    Flag("listen-host", "str", "0.0.0.0", "address every port listens on (ours)"),  # noqa: S104 - servers in pods
    Flag("grace-period", "duration", 180.0, "longest drain after SIGTERM"),
)
PERIODICS = (
    Flag(
        "missed-slots", "str", "latest", "cron slots nobody looked at in time: skip, latest or all of them run (ours)"
    ),
    Flag("missed-slots-window", "duration", 600.0, "slots missed longer ago are lost (ours)"),
    Flag("jitter", "duration", 0.0, "each cron job runs up to so much later than its slot, by its name (ours)"),
)
_TIMING = lease.Timing()


def _leader(on: bool) -> tuple[Flag, ...]:
    """Return the flags of leader election: kube-controller-manager's names. Upstream's components have none."""
    return (
        Flag("leader-elect", "bool", on, "act only while holding the component's Lease (ours)"),
        Flag("leader-elect-lease-duration", "duration", float(_TIMING.duration_s), "others wait so long (ours)"),
        Flag("leader-elect-renew-deadline", "duration", _TIMING.renew_deadline_s, "then stop acting (ours)"),
        Flag("leader-elect-retry-period", "duration", _TIMING.retry_s, "time between renewals (ours)"),
    )


LEADER = _leader(on=True)
_DRY = Flag("dry-run", "bool", True, "write nothing at all, say what would be written")

EXPLAIN_IN_HELP = Flag(
    "explain-in-help", "bool", False, "answer `/test ?` with the reasons why jobs start by themselves or not (ours)"
)
IN_REPO_FORBID = Flag(
    "in-repo-forbid",
    "strings",
    (),
    "[SCOPE=]KIND,...: what pods of a repository's own jobs may not ask for: secrets, service-accounts, host, "
    "privileged, volumes, agents, all, none; SCOPE is *, org or org/repo, the narrowest counts (ours)",
)
INTAKE = (
    Flag("inbox-max-mib", "int", 4096, "deliveries are refused (503) while the inbox holds more MiB than this (ours)"),
    Flag("inbox-history-mib", "int", 256, "so many MiB of handled deliveries are kept to look back at (ours)"),
    Flag("webhook-url", "str", "", "our webhook's address at GitHub, to find its delivery log by (ours)"),
    Flag("recover-deliveries", "bool", True, "ask GitHub again for webhooks that failed or did not come (ours)"),
    Flag("backstop-per-minute", "int", 10, "so many heads nobody told us of are handled a minute; 0: none (ours)"),
)

HOOK = (
    *CONFIG,
    *PLUGINS,
    *GITHUB,
    *ENABLEMENT,
    *KUBERNETES,
    *STORAGE,
    *INSTRUMENTATION,
    *OURS,
    _DRY,
    Flag("port", "int", 8888, "port of the webhook server"),
    Flag("webhook-path", "str", "/hook", "path webhooks come to"),
    Flag("hmac-secret-file", "str", "/etc/webhook/hmac", "file with the webhook secret(s)"),
    Flag("slack-token-file", "str", "", "file with a Slack token", "Slack"),
    Flag("bugzilla-endpoint", "str", "", "Bugzilla", "Bugzilla"),
    Flag("bugzilla-api-key-path", "str", "", "Bugzilla", "Bugzilla"),
    Flag("bugzilla-auth-method", "str", "", "Bugzilla", "Bugzilla"),
    Flag("bugzilla-github-external-tracker-id", "int", 0, "Bugzilla", "Bugzilla"),
    Flag("jira-endpoint", "str", "", "Jira", "Jira"),
    Flag("jira-username", "str", "", "Jira", "Jira"),
    Flag("jira-password-file", "str", "", "Jira", "Jira"),
    Flag("jira-bearer-token-file", "str", "", "Jira", "Jira"),
    Flag("inbox-dir", "str", "/var/lib/prow-async/inbox", "where accepted deliveries are kept (ours)"),
    EXPLAIN_IN_HELP,
    IN_REPO_FORBID,
    *INTAKE,
)
_CREDENTIALS = (
    Flag("gcs-credentials-file", "str", "", "credentials for gs:// (default: those of the surroundings)"),
    Flag("s3-credentials-file", "str", "", "credentials for s3:// (default: those of the surroundings)"),
)
CONTROLLER_MANAGER = (
    *CONFIG,
    *GITHUB,
    *KUBERNETES,
    *_CREDENTIALS,
    *INSTRUMENTATION,
    *OURS,
    *LEADER,
    _DRY,
    Flag("tot-url", "str", "", "address of tot, which counts builds (default: build ids that sort by time)"),
    Flag("label-selector", "str", "", "only pods with these labels beside created-by-prow=true"),
    Flag("enable-controller", "strings", ("plank",), "plank; scheduler; once given, only those named"),
)


def _reporters(on: int) -> tuple[Flag, ...]:
    """Reporters that are there; `on` is the default of those that need nothing but the configuration."""
    workers = "Workers do not exist: each ProwJob is reported by its own actor"
    return (
        Flag("github-workers", "int", on, f"more than 0 turns the GitHub reporter on. {workers}"),
        Flag("blob-storage-workers", "int", on, "more than 0 turns the blob storage reporter on"),
        Flag("kubernetes-blob-storage-workers", "int", on, "more than 0 turns the pod information reporter on"),
        Flag("slack-workers", "int", 0, "more than 0 turns the Slack reporter on"),
        Flag("pubsub-workers", "int", 0, "more than 0 turns the Pub/Sub reporter on"),
        Flag("kubernetes-report-fraction", "float", 1.0, "share of jobs whose pods are reported, 0 to 1"),
        Flag("slack-token-file", "str", "", "file with the Slack token"),
        Flag("additional-slack-token-files", "strings", (), "HOST=PATH: token file for jobs that name this host"),
        Flag("slack-endpoint", "str", "https://slack.com/api", "address of Slack's Web API (ours)"),
    )


CRIER = (
    *CONFIG,
    *GITHUB,
    *ENABLEMENT,
    *GERRIT,
    *KUBERNETES,
    *_CREDENTIALS,
    *INSTRUMENTATION,
    *OURS,
    *LEADER,
    Flag("dry-run", "bool", False, "write nothing at all, say what would be written"),
    *_reporters(on=0),
    Flag("report-agent", "str", "", "tell GitHub of jobs of this agent only"),
    Flag("gerrit-workers", "int", 0, "Gerrit reporter", "the Gerrit reporter"),
    Flag("cookiefile", "str", "", "Gerrit cookies", "the Gerrit reporter"),
    Flag("resultstore-workers", "int", 0, "ResultStore reporter", "the ResultStore reporter"),
    Flag("resultstore-artifacts-dir-only", "bool", False, "ResultStore", "the ResultStore reporter"),
)
SINKER = (
    *CONFIG,
    *KUBERNETES,
    *INSTRUMENTATION,
    *OURS,
    *LEADER,
    _DRY,
    Flag("run-once", "bool", False, "sweep once, print what and why, exit; with --dry-run that is a plan"),
)
HOROLOGIUM = (
    *CONFIG,
    *KUBERNETES,
    *INSTRUMENTATION,
    *OURS,
    *LEADER,
    _DRY,
    Flag("timeout-listing-prowjobs", "duration", 60.0, "longest wait for the first list of ProwJobs"),
    *PERIODICS,
)
UP = (
    Flag("config-path", "str", "", "main configuration (default: a sample)"),
    Flag("job-config-path", "str", "", "job configuration: a file, or a tree of files"),
    Flag("supplemental-prow-config-dir", "strings", (), "directory of further Prow configuration"),
    _PROW_SUFFIX,
    Flag("plugin-config", "str", "", "plugins.yaml (default: trigger everywhere)"),
    Flag("supplemental-plugin-config-dir", "strings", (), "directory of further plugin configuration"),
    Flag("supplemental-plugin-configs-filename-suffix", "str", "_pluginconfig.yaml", "their file name suffix"),
    *_CONFIG_OURS,
    Flag("kubeconfig", "str", "", "use this cluster instead of the embedded one"),
    Flag("in-cluster", "bool", False, "use the cluster that this pod runs in instead of the embedded one"),
    Flag("github-endpoint", "strings", (), "use this GitHub instead of the embedded one"),
    *(flag for flag in GITHUB if flag.name != "github-endpoint" and not flag.lacking),
    Flag("hmac-secret-file", "str", "", "file with the webhook secret(s) (default: a random one)"),
    EXPLAIN_IN_HELP,
    IN_REPO_FORBID,
    *_reporters(on=1),
    *_CREDENTIALS,
    Flag("run-jobs-on-this-machine", "bool", False, "run pods as local processes although GitHub is a real one"),
    Flag("host-path", "strings", (), "folder of this machine that pods run here may mount (hostPath)"),
    Flag("data-dir", "str", "", "where everything is kept (default: a temporary directory)"),
    Flag("state-dir", "str", "", "folder that keeps the embedded Kubernetes' objects over restarts (default: memory)"),
    *PERIODICS,
    Flag("port", "int", 8888, "port of the webhook server and the job pages"),
    Flag("metrics-port", "int", 9090, "port of /metrics"),
    Flag("health-port", "int", 8081, "port of /healthz"),
    Flag("kube-port", "int", 0, "port of the embedded Kubernetes API server (0: any)"),
    Flag("github-port", "int", 0, "port of the embedded GitHub (0: any)"),
    Flag("dry-run", "bool", False, "write nothing at all, say what would be written"),
    Flag("listen-host", "str", "127.0.0.1", "address the webhook server, metrics and health listen on"),
    Flag("installation-id", "str", "", "first part of derived names (default: the ProwJob namespace)"),
    Flag("grace-period", "duration", 30.0, "longest drain after SIGTERM"),
    *INTAKE,
    *_leader(on=False),
)
