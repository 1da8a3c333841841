"""Alerts fire when they should and keep silent when not; alerts and dashboard speak of metrics that exist."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from prow_async.adapters import metrics_table
from tests.deploy import manifests

PLACE = manifests.DEPLOY / "components" / "monitoring"
RULE = yaml.safe_load((PLACE / "alerts.yaml").read_text())
ALERTS: dict[str, str] = {rule["alert"]: rule["expr"] for group in RULE["spec"]["groups"] for rule in group["rules"]}
CASES = yaml.safe_load((PLACE / "alerts_test.yaml").read_text())
SCRAPED = {"namespace", "job", "pod", "instance", "le"}
"""Labels that Prometheus adds."""
FOREIGN = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
"""Metrics that are not in our table: Prometheus' own, and those of every process."""
WORDS = {
    *(
        "absent",
        "and",
        "bool",
        "by",
        "count",
        "histogram_quantile",
        "increase",
        "min",
        "max",
        "offset",
        "on",
        "or",
        "rate",
    ),
    *("Inf", "sum", "topk", "unless", "vector", "without", "group"),
}


def run(promtool: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(promtool), *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with the rules as a plain file, as Prometheus reads them, and their tests."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULE["spec"]))
    shutil.copy(PLACE / "alerts_test.yaml", tmp_path)
    return tmp_path


@pytest.mark.slow
def test_rules_are_taken_by_prometheus(promtool: Path, rules: Path) -> None:
    done = run(promtool, rules, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


@pytest.mark.slow
def test_each_alert_fires_and_keeps_silent(promtool: Path, rules: Path) -> None:
    done = run(promtool, rules, "test", "rules", "alerts_test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("condition", "told"), [("vector(1) < 0", "got: nil"), ("vector(1)", "exp: nil")])
def test_a_wrong_condition_is_found(promtool: Path, rules: Path, condition: str, told: str) -> None:
    """The tests of the rules can fail: for each alert, when its condition never holds, and when it always does."""
    changed = yaml.safe_load((rules / "rules.yaml").read_text())
    for group in changed["groups"]:
        for rule in group["rules"]:
            rule["expr"] = condition
    (rules / "rules.yaml").write_text(yaml.safe_dump(changed))
    done = run(promtool, rules, "test", "rules", "alerts_test.yaml")
    assert done.returncode == 1
    failed = [part for part in done.stderr.split("expr: ") if told in part]
    for alert in ALERTS:
        assert any(f'alertname=\\"{alert}\\"' in part for part in failed), alert


def test_every_alert_has_both_cases_and_tells_what_to_do() -> None:
    wanted = {f"{alert} {case}" for alert in ALERTS for case in ("fires", "is left in peace")}
    assert {case["name"] for case in CASES["tests"]} == wanted
    assert len(CASES["tests"]) == len(wanted)
    for case in CASES["tests"]:
        (look,) = case["promql_expr_test"]
        alert, _, fires = case["name"].partition(" ")
        assert f'alertname="{alert}"' in look["expr"]
        assert bool(look["exp_samples"]) == (fires == "fires")
    for group in RULE["spec"]["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert set(rule["annotations"]) == {"summary", "description"}


def metrics_in(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield the names of metrics in a PromQL expression, each with the labels its selector asks for."""
    names = re.sub(r'\{__name__=~"([^"]+)"\}', lambda found: found.group(1).replace("|", " + "), expression)
    bare = re.sub(r"\b(by|on|without)\s*\([^)]*\)", "", names)
    for found in re.finditer(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(\{[^}]*\})?", re.sub(r'(?<=[=~])"[^"]*"', "V", bare)):
        name, selector = found.group(1), found.group(2) or ""
        if name not in WORDS and name != "V" and not re.fullmatch(r"[smhd]", name):
            yield name, set(re.findall(r"([a-zA-Z_]\w*)\s*(?:=|!)", selector))


def check(expression: str) -> None:
    """Every metric is in the table, and has the labels that are asked for."""
    found = list(metrics_in(expression))
    assert found, expression
    labels = set(SCRAPED)
    for name, asked in found:
        family = re.sub(r"_(bucket|count|sum)$", "", name)
        metric = metrics_table.TABLE.get(name) or metrics_table.TABLE.get(family)
        assert metric or name in FOREIGN, f"{name} does not exist: {expression}"
        if metric is not None:
            assert (metric.name == name) == (metric.type != "histogram"), f"{name} in {expression}"
            assert asked <= set(metric.labels) | SCRAPED, f"{name} has no such labels: {asked}"
            labels |= set(metric.labels)
    for grouped in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        assert {each.strip() for each in grouped.split(",")} <= labels, expression


@pytest.mark.parametrize("alert", ALERTS)
def test_alerts_speak_of_metrics_that_exist(alert: str) -> None:
    check(ALERTS[alert])


def test_log_lines_that_alerts_name_are_written_somewhere() -> None:
    sources = "".join(path.read_text() for path in (manifests.ROOT / "prow_async").rglob("*.py"))
    said = [rule["annotations"]["description"] for group in RULE["spec"]["groups"] for rule in group["rules"]]
    named = [
        line for text in said for part in re.findall(r"log lines? ([^.;]*)", text) for line in part.split("`")[1::2]
    ]
    assert len(named) > 5
    assert [line for line in named if f'"{line}' not in sources] == []


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((PLACE / "prow-async.json").read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


def test_the_dashboard_speaks_of_metrics_that_exist() -> None:
    for panel in panels():
        for target in panel["targets"]:
            check(target["expr"].replace("$namespace", "prow"))


def test_the_dashboard_hangs_together() -> None:
    """Panels have ids of their own, do not lie over one another, and stand for the chosen source and namespace."""
    board = json.loads((PLACE / "prow-async.json").read_text())
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "namespace"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in panels():
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            assert 'namespace="$namespace"' in target["expr"], panel["title"]


def test_no_metric_of_upstream_is_left_out() -> None:
    """Each is shown or watched, but for what is told here."""
    text = " ".join([*ALERTS.values(), (PLACE / "prow-async.json").read_text()])
    seen = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"[a-zA-Z_]\w+", text)}
    not_worth_it = {
        "github_token_reset",  # a date
        "github_user_info",
        "ghcache_cache_partitions",
        "inRepoConfigCache_misses",  # lookups less hits
        "inRepoConfigCache_evictions_forced",
        "inRepoConfigCache_evictions_manual",
        "inRepoConfigCache_cache_usage_size",
        "kubernetes_failed_client_creations",
        "job_configmap_size",
    }
    assert {metric.name for metric in metrics_table.UPSTREAM} - seen == not_worth_it


def test_what_scrapes_finds_the_services() -> None:
    """The monitor's selector and port are those of the Services; the job's name is the component."""
    for overlay in ("overlays/split", "overlays/all-in-one"):
        objects = manifests.build(overlay, "monitoring")
        monitor = manifests.one(objects, "ServiceMonitor", "prow-async")["spec"]
        chosen = [
            service
            for service in manifests.of_kind(objects, "Service")
            if monitor["selector"]["matchLabels"].items() <= service["metadata"].get("labels", {}).items()
        ]
        (endpoint,) = monitor["endpoints"]
        names = [service["metadata"]["labels"][monitor["jobLabel"]] for service in chosen]
        assert sorted(names) == sorted(manifests.workloads(objects))
        for service in chosen:
            assert [port["name"] for port in service["spec"]["ports"]] == [endpoint["port"]]


def test_alerts_named_in_the_documentation_exist() -> None:
    named = {
        name
        for page in (manifests.ROOT / "docs").rglob("*.md")
        for name in re.findall(r"ProwAsync\w+", page.read_text())
    }
    assert named
    assert named <= set(ALERTS)
