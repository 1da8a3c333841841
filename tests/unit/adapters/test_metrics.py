"""Names, types and the text of the metrics page."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prow_async.adapters import metrics_table
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.errors import Bug


def lines(metrics: PrometheusMetrics, name: str) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if line.split("{")[0].split(" ")[0] == name]


def test_every_metric_of_the_table_is_on_the_page_with_its_name_and_type() -> None:
    """Upstream's counters have no `_total`; dashboards written for it must go on working."""
    page = PrometheusMetrics().render().decode()
    for metric in metrics_table.TABLE.values():
        assert f"\n# TYPE {metric.name} {metric.type}\n" in "\n" + page
    assert page.count("# TYPE prow_webhook_counter") == 1


def test_counting_setting_observing() -> None:
    metrics = PrometheusMetrics()
    for _ in range(3):
        metrics.count("prow_webhook_counter", event_type="push")
    metrics.count("prow_async_executor_actions_total", 2, action="a", outcome="done")
    metrics.count("prow_async_executor_actions_total", 1, outcome="done", action="a")
    metrics.gauge("prow_async_mailbox_depth", 7, actor="job")
    metrics.observe("prow_async_loop_lag_seconds", 0.02)
    assert lines(metrics, "prow_webhook_counter") == ['prow_webhook_counter{event_type="push"} 3.0']
    assert lines(metrics, "prow_async_executor_actions_total") == [
        'prow_async_executor_actions_total{action="a",outcome="done"} 3.0'
    ]
    assert lines(metrics, "prow_async_mailbox_depth") == ['prow_async_mailbox_depth{actor="job"} 7.0']
    assert lines(metrics, "prow_async_loop_lag_seconds_count") == ["prow_async_loop_lag_seconds_count 1.0"]
    assert 'prow_async_loop_lag_seconds_bucket{le="0.01"} 0.0' in metrics.render().decode()
    assert 'prow_async_loop_lag_seconds_bucket{le="+Inf"} 1.0' in metrics.render().decode()
    assert "_created" not in metrics.render().decode()


def test_the_page_reads_as_prometheus_reads_it() -> None:
    """Odd label values come back as they were."""
    metrics = PrometheusMetrics()
    odd = 'a"b\\c\nd✓{}'
    metrics.count("prow_webhook_counter", event_type=odd)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    (sample,) = families["prow_webhook_counter"].samples
    assert (sample.labels, sample.value) == ({"event_type": odd}, 1.0)
    assert "process_resident_memory_bytes" in families


def test_what_is_not_in_the_table_cannot_be_counted() -> None:
    metrics = PrometheusMetrics()
    with pytest.raises(KeyError, match="no_such"):
        metrics.count("no_such")
    with pytest.raises(ValueError, match="abel"):
        metrics.count("prow_webhook_counter", colour="red")
    with pytest.raises(ValueError, match="abel"):
        metrics.count("prow_webhook_counter")
    with pytest.raises(Bug, match="histogram"):
        metrics.count("prow_async_loop_lag_seconds")
    with pytest.raises(Bug, match="histogram"):
        metrics.observe("prow_version", 1)


def test_instances_share_nothing() -> None:
    one, two = PrometheusMetrics(), PrometheusMetrics()
    one.count("prow_webhook_counter", event_type="push")
    assert lines(two, "prow_webhook_counter") == []


def test_rows_replace_all_rows_before_them() -> None:
    metrics = PrometheusMetrics()
    metrics.replace("sinker_pods_removed", [({"reason": "aged"}, 3), ({"reason": "orphaned"}, 1)])
    metrics.gauge("sinker_pods_removed", 5, reason="aged")
    metrics.replace("sinker_pods_removed", [({"reason": "ttled"}, 2)])
    assert lines(metrics, "sinker_pods_removed") == ['sinker_pods_removed{reason="ttled"} 2.0']
    metrics.gauge("sinker_pods_removed", 1, reason="aged")
    assert len(lines(metrics, "sinker_pods_removed")) == 2
    with pytest.raises(Bug):
        metrics.replace("prow_async_loop_lag_seconds", [])


REPO = ("org", "repo")
JOB = ("job_namespace", "job_name", "type", "state", "org", "repo", "base_ref", "cluster", "retest")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("prowjobs", JOB),
        ("prowjob_state_transitions", JOB),
        ("kubernetes_failed_client_creations", ("cluster",)),
        ("crier_report_latency", ("reporter",)),
        ("crier_reporting_results", ("reporter", "result")),
        ("sinker_pods_removed", ("reason",)),
        ("sinker_pod_removal_errors", ("reason",)),
        ("sinker_prow_jobs_cleaned", ("reason",)),
        ("sinker_prow_jobs_cleaning_errors", ("reason",)),
        ("job_configmap_size", ("name",)),
        ("github_token_reset", ("token_hash", "api_version", "ratelimit_resource")),
        ("github_token_usage", ("token_hash", "api_version", "ratelimit_resource")),
        ("github_request_duration", ("token_hash", "path", "status", "user_agent")),
        ("github_request_wait_duration_seconds", ("token_hash", "request_type", "api")),
        ("github_request_timeouts", ("token_hash", "path", "user_agent")),
        ("github_user_info", ("token_hash", "login", "email")),
        ("ghcache_responses", ("mode", "path", "user_agent", "token_hash")),
        ("ghcache_cache_entry_age_seconds", ("token_hash", "path", "user_agent")),
        ("inRepoConfigCache_lookups", REPO),
        ("inRepoConfigCache_cache_usage_size", REPO),
        ("inRepoConfigCache_GetProwYAML_duration", REPO),
        ("inrepoconfig_git_client_acquisition_duration", REPO),
        ("inrepoconfig_git_other_duration", REPO),
    ],
)
def test_labels_are_upstreams(name: str, labels: tuple[str, ...]) -> None:
    """Queries group by them."""
    assert metrics_table.TABLE[name].labels == labels


@pytest.mark.parametrize(
    ("name", "buckets"),
    [
        ("crier_report_latency", (1, 10, 20, 30, 60, 120, 180, 300, 600, 1200, 1800, 2700, 3600, 5400, 7200)),
        ("github_request_duration", (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)),
        ("github_request_timeouts", (45, 60, 90, 120, 300)),
        ("ghcache_cache_entry_age_seconds", (5, 900, 1800, 3600, 7200, 14400)),
        ("inRepoConfigCache_GetProwYAML_duration", (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600)),
        (
            "inrepoconfig_git_client_acquisition_duration",
            (0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200),
        ),
        ("inrepoconfig_git_other_duration", (0.1, 0.5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600)),
    ],
)
def test_buckets_hold_upstreams(name: str, buckets: tuple[float, ...]) -> None:
    """Queries name one by its bound; there may be more of them."""
    ours = metrics_table.TABLE[name].buckets
    assert set(buckets) <= set(ours)
    assert list(ours) == sorted(ours)
