"""Statuses: their state, their commit, and a description that always fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.github import Status
from prow_async.api.views import PullView
from prow_async.core import report
from tests.unit.core import samples

SHA = "0123456789abcdef0123456789abcdef01234567"
PAD = "\u2001"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("triggered", "pending"),
        ("pending", "pending"),
        ("success", "success"),
        ("failure", "failure"),
        ("aborted", "failure"),
        ("error", "error"),
        ("scheduling", None),
        ("", None),
        ("unheard-of", None),
    ],
)
def test_states(state: str, status: str | None) -> None:
    """Every state maps as upstream's does; scheduling says nothing yet."""
    assert report.status_state(state) == status


def test_status() -> None:
    """A status has context, link and description; several pulls at once have none."""
    job = samples.view(base_sha="", state="pending", description="Job triggered.")
    assert report.status_for(job) == Status("pending", "https://ci.example/1", "Job triggered.", "ci/unit")
    assert report.status_for(samples.view(url="", description="", base_sha="")) == Status("failure", context="ci/unit")
    assert report.status_for(samples.view(pulls=(PullView(1, "a"), PullView(2, "b")))) is None
    assert report.status_for(samples.view(state="scheduling")) is None


def test_sha() -> None:
    """The status belongs to the pull's head, or to the pushed commit."""
    assert report.status_sha(samples.view()) == "5" * 40
    assert report.status_sha(samples.view(pulls=())) == "b" * 40


@pytest.mark.parametrize(
    ("text", "base_sha", "expected"),
    [
        ("", "", ""),
        ("Job succeeded.", "", "Job succeeded."),
        ("", SHA, f"{PAD * 23} BaseSHA:{SHA}"),
        ("Job succeeded.", SHA, f"Job succeeded.{PAD * 20} BaseSHA:{SHA}"),
        ("x" * 140, "", "x" * 140),
        ("a" * 100 + "b" * 100, "", "a" * 67 + " ... " + "b" * 67),
        ("x" * 60, SHA, f"{'x' * 60}{PAD * 8} BaseSHA:{SHA}"),
        ("x" * 89, SHA, f"{'x' * 41} ... {'x' * 41}{PAD} BaseSHA:{SHA}"),
        ("x" * 91, SHA, f"{'x' * 91} BaseSHA:{SHA}"),
        ("a" * 100 + "b" * 100, SHA, f"{'a' * 43} ... {'b' * 43} BaseSHA:{SHA}"),
        ("\u00e9" * 80, SHA, f"{chr(0xE9) * 21} ... {chr(0xE9) * 21} BaseSHA:{SHA}"),
        ("short", "s" * 200, f" BaseSHA:{'s' * 200}"),
    ],
)
def test_description(text: str, base_sha: str, expected: str) -> None:
    """Text that fits beside the base SHA stands whole; what is longer is cut in the middle."""
    assert report.description(text, base_sha) == expected


@given(st.text(), st.sampled_from(["", SHA]))
def test_description_fits(text: str, base_sha: str) -> None:
    """No description is longer than GitHub takes, and the base SHA survives in it."""
    made = report.description(text.replace("BaseSHA:", ""), base_sha)
    assert len(made.encode()) <= 140
    assert not base_sha or report.base_sha_of(made) == base_sha


@pytest.mark.parametrize(
    ("text", "sha"),
    [
        (f"Job triggered. BaseSHA:{SHA}", SHA),
        (f"Job triggered. Basesha:{SHA}", SHA),
        (f" BaseSHA:{SHA}", SHA),
        (f"BaseSHA:{SHA}", ""),
        ("Job triggered. BaseSHA:short", ""),
        (f"a BaseSHA:{SHA} BaseSHA:{SHA}", ""),
        ("Job triggered.", ""),
        ("", ""),
    ],
)
def test_base_sha_of(text: str, sha: str) -> None:
    """The base SHA reads back from old and new descriptions alike, and from nothing else."""
    assert report.base_sha_of(text) == sha
