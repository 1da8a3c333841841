"""What the pages for operators say of tables in the code is what stands there."""

import re
from pathlib import Path

import pytest

from prow_async.adapters import metrics_table
from prow_async.apps import flag_groups

ROOT = Path(__file__).resolve().parents[3]
PARITY = (ROOT / "docs/parity.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()


@pytest.mark.parametrize("metric", metrics_table.TABLE.values(), ids=lambda metric: metric.name)
def test_every_metric_is_told(metric: metrics_table.Metric) -> None:
    """Operators find each metric with its type, labels and meaning."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    assert f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |" in OPERATIONS


def test_every_log_line_named_is_written_somewhere() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "prow_async").rglob("*.py"))
    for cell in re.findall(r"log (`[^|\n]*)", OPERATIONS):
        for text in re.findall(r"`([^`]+)`", cell):
            assert text in sources, text


@pytest.mark.parametrize("page", ["parity.md", "operations.md", "deploy.md", "migrate.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (ROOT / "docs" / target).is_file(), target


def test_flags_without_effect_are_told() -> None:
    """Whatever a flag warns of at the start is named among what is not there yet."""
    told = PARITY.lower()
    every = (getattr(flag_groups, name) for name in ("HOOK", "CONTROLLER_MANAGER", "CRIER", "SINKER", "HOROLOGIUM"))
    for flag in {flag for table in every for flag in table if flag.lacking}:
        feature = flag.lacking.removeprefix("the ").removesuffix(" reporter").lower()
        assert feature in told or f"--{flag.name}" in told, flag.name
