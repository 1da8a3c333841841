"""What all reporters have in common: refusals, and when reports are recorded."""

import pytest

from prow_async.core import crier
from tests.unit.core import samples


@pytest.mark.parametrize(
    ("status", "hopeless", "tries", "outcome"),
    [
        (404, False, 1, "park"),
        (422, True, 1, "park"),
        (0, True, 1, "park"),
        *[
            (status, False, tries, "again" if tries < 3 else "park")
            for status in (400, 410, 422)
            for tries in (1, 2, 3)
        ],
        *[(status, False, 9, "again") for status in (0, 401, 403, 451)],
        *[(status, False, 10, "rest") for status in (0, 401, 403, 451)],
    ],
)
def test_refusals(status: int, hopeless: bool, tries: int, outcome: str) -> None:
    """What can never work is given up soon; what somebody may mend is tried for a while, then rests."""
    assert crier.after_refusal(status, hopeless, tries) == outcome


@pytest.mark.parametrize(
    ("state", "owed", "waited_s", "wait_s"),
    [
        ("triggered", False, 0, 30),
        ("triggered", True, 12, 18),
        ("triggered", True, 31, 0),
        ("pending", False, 0, 0),
        ("pending", True, 0, 10),
        ("pending", True, 4, 6),
        ("pending", True, 10 - 1e-9, 0),
        ("success", True, 11, 0),
        ("success", False, 0, 0),
    ],
)
def test_when_to_record(state: str, owed: bool, waited_s: float, wait_s: float) -> None:
    """At once where nobody is slower and the job is not about to move on."""
    assert crier.record_wait_s(state, owed, waited_s) == wait_s


def test_the_record() -> None:
    """One merge patch with the reporters' keys alone, on condition that the job is as it was."""
    patch = crier.record(samples.view(), {"b": "failure", "a": "pending"})
    assert (patch.namespace, patch.name, patch.resource_version) == ("ci", "job-1", "7")
    assert patch.patch == {"status": {"prev_report_states": {"a": "pending", "b": "failure"}}}


def test_the_event() -> None:
    event = crier.refusal_event(samples.view(), "slackreporter", "no such channel", "park")
    assert (event.kind, event.name, event.uid, event.reason, event.warning) == (
        *("ProwJob", "job-1", "uid-1", "ReportRefused", True),
    )
    assert "slackreporter cannot report state failure" in event.message
    assert "no such channel" in event.message


def test_acknowledged() -> None:
    job = samples.view(reported={"a": "failure", "b": "pending"})
    assert [crier.acknowledged(job, name) for name in ("a", "b", "c")] == [True, False, False]


@pytest.mark.parametrize(
    ("fresh", "left"),
    [
        ({"a": "pending"}, {"a": "failure", "b": "failure"}),
        ({"a": "pending", "other": "x"}, {"a": "failure", "b": "failure"}),
        ({"a": "failure"}, {"a": "failure", "b": "failure"}),
        ({"a": "success"}, {"b": "failure"}),
        ({}, {"b": "failure"}),
        ({"a": "pending", "b": "success"}, {"a": "failure"}),
    ],
)
def test_a_record_that_met_another(fresh: dict[str, str], left: dict[str, str]) -> None:
    """What another crier has recorded since we looked is newer than what we have to say: the job has moved on."""
    moved_on = samples.view(state="aborted", reported=fresh)
    assert crier.still_ours({"a": "failure", "b": "failure"}, {"a": "pending"}, moved_on) == left


@pytest.mark.parametrize("fresh", [{"a": "triggered"}, {"a": "failure"}, {"a": "triggered", "b": "pending"}, {}])
def test_a_record_of_the_present_state_that_met_another(fresh: dict[str, str]) -> None:
    """A predecessor's record of an older state came in late: it does not take the place of ours."""
    ours = {"a": "failure", "b": "failure"}
    assert crier.still_ours(ours, {"a": "pending"}, samples.view(state="failure", reported=fresh)) == ours
