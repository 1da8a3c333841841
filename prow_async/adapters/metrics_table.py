"""Every metric there is: name, type, labels, buckets, help. Upstream's names first, then ours.

Source: upstream pkg/hook, pkg/kube, pkg/crier, cmd/sinker, pkg/github/ghmetrics, pkg/version (names, labels, buckets).
"""

from typing import Literal

import msgspec

Type = Literal["counter", "gauge", "histogram"]


class Metric(msgspec.Struct, frozen=True):
    name: str
    type: Type
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


_JOB = ("job_namespace", "job_name", "type", "state", "org", "repo", "base_ref", "cluster", "retest")
_REPO = ("org", "repo")
_IN_REPO_COUNTERS = (
    ("lookups", "Questions for in-repo configuration."),
    ("hits", "Those answered from what is remembered."),
    ("misses", "Those for which files had to be read."),
    ("evictions_forced", "Remembered states that had to go for others."),
    ("evictions_manual", "Remembered states that were found to be of no use."),
)
_PLUGIN = ("event_type", "action", "plugin", "took_action")
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_PLUGIN_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_WAIT_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 25, 30, 45, 60, 90, 120, 150, 180)
_LATENCY_S = (1, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 2700, 3600, 5400, 7200)
_AGE_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_GIT_S = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_LOAD_S = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
_LAG_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

UPSTREAM = (
    Metric("prow_version", "gauge", (), "Build date as seconds since the epoch; -1 when it is not known."),
    Metric("prowjobs", "gauge", _JOB, "Number of ProwJobs that exist."),
    Metric("prowjob_state_transitions", "counter", _JOB, "Number of states ProwJobs came into."),
    Metric("kubernetes_failed_client_creations", "counter", ("cluster",), "Clusters no client could be made for."),
    Metric("prow_webhook_counter", "counter", ("event_type",), "Webhooks whose signature was right."),
    Metric("prow_webhook_response_codes", "counter", ("response_code",), "Answers to webhooks, by HTTP status."),
    Metric(
        "prow_plugin_handle_duration_seconds", "histogram", _PLUGIN, "How long plugins worked on events.", _PLUGIN_S
    ),
    Metric("prow_plugin_handle_errors", "counter", _PLUGIN, "Errors of plugins while they worked on events."),
    Metric("crier_report_latency", "histogram", ("reporter",), "From a job's change to its report.", _LATENCY_S),
    Metric("crier_reporting_results", "counter", ("reporter", "result"), "Reports, by what came of them."),
    Metric("sinker_pods_existing", "gauge", (), "Pods the last sweep saw."),
    Metric("sinker_loop_duration_seconds", "gauge", (), "How long the last sweep took."),
    Metric("sinker_pods_removed", "gauge", ("reason",), "Pods the last sweep removed."),
    Metric("sinker_pod_removal_errors", "gauge", ("reason",), "Pods the last sweep could not remove."),
    Metric("sinker_prow_jobs_existing", "gauge", (), "ProwJobs the last sweep saw."),
    Metric("sinker_prow_jobs_cleaned", "gauge", ("reason",), "ProwJobs the last sweep removed."),
    Metric("sinker_prow_jobs_cleaning_errors", "gauge", ("reason",), "ProwJobs the last sweep could not remove."),
    Metric(
        "job_configmap_size", "gauge", ("name",), "Bytes of a mounted ConfigMap of job configuration, by its folder."
    ),
    Metric(
        "prow_configmap_size_bytes",
        "gauge",
        ("name", "namespace"),
        "Bytes of the content of a ConfigMap that config-updater wrote.",
    ),
    Metric(
        "github_request_duration",
        "histogram",
        ("token_hash", "path", "status", "user_agent"),
        "How long GitHub took to answer, in seconds.",
        _REQUEST_S,
    ),
    Metric(
        "github_request_wait_duration_seconds",
        "histogram",
        ("token_hash", "request_type", "api"),
        "How long requests waited for the rate limit.",
        _WAIT_S,
    ),
    Metric(
        "github_request_timeouts",
        "histogram",
        ("token_hash", "path", "user_agent"),
        "Requests that GitHub did not answer in time, in seconds.",
        (45, 60, 90, 120, 300),
    ),
    Metric(
        "ghcache_responses", "counter", ("mode", "path", "user_agent", "token_hash"), "Requests, by the cache's part."
    ),
    Metric(
        "ghcache_cache_entry_age_seconds",
        "histogram",
        ("token_hash", "path", "user_agent"),
        "Age of kept answers that GitHub said still hold.",
        (5, 900, 1800, 3600, 7200, 14400),
    ),
    Metric("ghcache_cache_partitions", "counter", ("token_hash",), "Tokens and installations answers are kept for."),
    Metric("concurrent_outbound_requests", "gauge", (), "Requests that GitHub is working on."),
    Metric("pending_outbound_requests", "gauge", (), "Requests that wait for their turn."),
    Metric(
        "github_token_usage",
        "gauge",
        ("token_hash", "api_version", "ratelimit_resource"),
        "Requests left to a token before its limit is reached.",
    ),
    Metric(
        "github_token_reset",
        "gauge",
        ("token_hash", "api_version", "ratelimit_resource"),
        "Nanoseconds until a token's limit starts anew.",
    ),
    *(Metric(f"inRepoConfigCache_{name}", "counter", _REPO, text) for name, text in _IN_REPO_COUNTERS),
    Metric("inRepoConfigCache_cache_usage_size", "gauge", (), "States of in-repo configuration that are remembered."),
    Metric("inRepoConfigCache_GetProwYAML_duration", "histogram", _REPO, "Time to read in-repo configuration.", _GIT_S),
    Metric("inrepoconfig_git_client_acquisition_duration", "histogram", _REPO, "Time to fetch and merge.", _GIT_S),
    Metric("inrepoconfig_git_other_duration", "histogram", _REPO, "Time to find and read files.", _GIT_S),
    Metric("github_user_info", "gauge", ("token_hash", "login", "email"), "The account a token belongs to."),
)

OURS = (
    Metric("prow_async_mailbox_depth", "gauge", ("actor",), "Mails that wait to be read."),
    Metric("prow_async_event_age_seconds", "histogram", ("actor",), "Age of an event when it is handled.", _AGE_S),
    Metric("prow_async_loop_lag_seconds", "histogram", (), "How late the event loop wakes its sleepers.", _LAG_S),
    Metric("prow_async_actor_restarts_total", "counter", ("actor",), "Actors and services that failed."),
    Metric(
        "prow_async_periodic_next_start_timestamp_seconds",
        "gauge",
        ("job_name",),
        "When a periodic is due next, as far as that is known; in the past while it waits for its last run.",
    ),
    Metric(
        "prow_async_periodic_lateness_seconds",
        "histogram",
        (),
        "How much later than due periodics were started.",
        _LATENCY_S,
    ),
    Metric("prow_async_webhooks_known_total", "counter", (), "Webhooks accepted before, under the same GUID."),
    Metric(
        "prow_async_recovered_deliveries_total",
        "counter",
        ("result",),
        "Lost webhooks: asked for, recovered, given up.",
    ),
    Metric("prow_async_backstop_heads_total", "counter", ("result",), "Heads of pull requests nobody told us of."),
    Metric("prow_async_dead_letters_total", "counter", (), "Deliveries laid aside because nobody could handle them."),
    Metric("prow_async_inbox_dead_letters", "gauge", (), "Deliveries that lie aside: see prow-async inbox ls --dead."),
    Metric(
        "prow_async_external_deliveries_total", "counter", ("plugin", "result"), "Deliveries sent to external plugins."
    ),
    Metric("prow_async_inbox_pending", "gauge", (), "Accepted deliveries that are not handled yet."),
    Metric("prow_async_inbox_oldest_age_seconds", "gauge", (), "Age of the oldest of them; 0 when there is none."),
    Metric("prow_async_inrepo_refused_total", "counter", _REPO, "States of a repository whose own jobs do not count."),
    Metric(
        "prow_async_inrepo_forbidden_total",
        "counter",
        (*_REPO, "rule"),
        "Those of them that asked for what is forbidden to a repository's own jobs.",
    ),
    Metric("prow_async_decisions_dropped_total", "counter", (), "Decisions that were not kept for `explain`."),
    Metric(
        "prow_async_watch_restarts_total", "counter", ("cluster", "kind", "reason"), "Watches that were opened anew."
    ),
    Metric("prow_async_cluster_up", "gauge", ("cluster",), "1 while a build cluster is listed and answers, else 0."),
    Metric("prow_async_kubeconfig_errors_total", "counter", (), "Changed kubeconfigs that do not read."),
    Metric(
        "prow_async_github_requests_total",
        "counter",
        ("origin", "urgency", "method", "status"),
        "Requests sent to GitHub, by what caused them.",
    ),
    Metric(
        "prow_async_github_budget_gone_seconds",
        "gauge",
        ("token_hash", "ratelimit_resource"),
        "When a token's budget will be used up, at the rate of the last ten minutes; +Inf: not before its reset.",
    ),
    Metric("prow_async_leading", "gauge", ("component",), "1 while this process holds the component's lease, else 0."),
    Metric("prow_async_lease_transitions", "gauge", ("component",), "How often the lease went to another holder."),
    Metric(
        "prow_async_lease_renewed_timestamp_seconds",
        "gauge",
        ("component",),
        "When its holder, here or elsewhere, last renewed the lease as far as this process saw.",
    ),
    Metric("prow_async_terms_total", "counter", ("component",), "Times this process began to act as the component."),
    Metric(
        "prow_async_job_failures_total",
        "counter",
        ("failure_class", "cluster", "job_name"),
        "ProwJobs that did not end well, by whose trouble it was.",
    ),
    Metric("prow_async_pods_lost_total", "counter", ("cause", "cluster"), "Pods given up for another attempt."),
    Metric("prow_async_jobs_waiting", "gauge", (), "ProwJobs that wait for a slot."),
    Metric("prow_async_malformed_objects_total", "counter", ("kind",), "Cluster objects that could not be read."),
    Metric("prow_async_executor_actions_total", "counter", ("action", "outcome"), "Actions, by what came of them."),
    Metric("prow_async_executor_retries_total", "counter", ("action",), "Actions that were tried again."),
    Metric(
        "prow_async_config_load_errors", "counter", (), "Configurations that did not load; the last good one stays."
    ),
    Metric("prow_async_config_loaded_timestamp_seconds", "gauge", (), "When the configuration in force was loaded."),
    Metric("prow_async_config_age_seconds", "gauge", (), "Age of the configuration in force."),
    Metric(
        "prow_async_config_problems",
        "gauge",
        ("file", "line", "problem"),
        "What is wrong with the configuration on disk, a row for each problem; none while it loads.",
    ),
    Metric("prow_async_config_quarantined_files", "gauge", (), "Job files whose jobs are left out."),
    Metric(
        "prow_async_config_load_duration_seconds", "histogram", (), "Time to load a changed configuration.", _LOAD_S
    ),
)

TABLE = {metric.name: metric for metric in UPSTREAM + OURS}
