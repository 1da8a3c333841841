"""Whether what stands under our name is ours: each case of the rule."""

from typing import Any

import pytest

from prow_async.api.views import PodView
from prow_async.core import adoption
from tests.unit.core.test_plank import NOW, job, pod


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "adopt"),
        ({"owner_uid": "another"}, "foreign"),
        ({"owner_uid": "another", "deleting": True}, "foreign"),
        ({"deleting": True}, "wait"),
        ({"attempt": 0}, "wait"),
        ({"attempt": None}, "wait"),
        ({"attempt": 2}, "foreign"),
        ({"digest": "other"}, "foreign"),
        ({"digest": ""}, "foreign"),
        ({"owner_uid": "", "attempt": None}, "adopt"),
        ({"owner_uid": "", "attempt": None, "digest": "whatever"}, "adopt"),
        ({"owner_uid": "", "attempt": None, "job_name": "k"}, "foreign"),
        ({"owner_uid": "", "attempt": None, "job_name": ""}, "foreign"),
        ({"owner_uid": "", "attempt": None, "created_s": NOW - 101}, "foreign"),
        ({"owner_uid": "", "attempt": None, "deleting": True}, "wait"),
        ({"owner_uid": "", "attempt": 1}, "foreign"),
    ],
)
def test_pod_verdicts(change: dict[str, Any], verdict: str) -> None:
    """The job is at attempt 1 and would send digest `d`."""
    base = {"attempt": 1, "digest": "d"}
    found: PodView = pod(**{**base, **change})
    said, why = adoption.judge_pod(job(), 1, "d", found)
    assert said == verdict
    assert why


@pytest.mark.parametrize(
    ("change", "ours"),
    [
        ({}, True),
        ({"owner_uid": "another"}, False),
        ({"owner_uid": ""}, True),
        ({"owner_uid": "", "job_name": "k"}, False),
        ({"owner_uid": "", "created_s": NOW - 101}, False),
    ],
)
def test_ownership(change: dict[str, Any], ours: bool) -> None:
    assert adoption.owns(job(), pod(**change)) is ours


def test_jobs_are_the_same_only_on_equal_known_digests() -> None:
    assert adoption.same_job("a", "a")
    assert not adoption.same_job("a", "b")
    assert not adoption.same_job("", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"phase": "Running"}, True),
        ({"phase": "Succeeded"}, False),
        ({"deleting": True}, False),
        ({"owner_uid": "another"}, False),
        ({"created_s": NOW}, True),
        ({"created_s": NOW - 1}, False),
        ({"build_id": "1"}, False),
        ({"build_id": "1", "created_s": NOW + 61}, True),
    ],
)
def test_stragglers(change: dict[str, Any], expected: bool) -> None:
    """A live pod of a complete job is late if it was not there before the job's end; with its build id, long after."""
    done = job(state="success", completion_s=NOW, build_id="1")
    found: PodView = pod(**{"created_s": NOW + 1, "build_id": "2", "phase": "Pending", **change})
    assert adoption.is_straggler(done, found) is expected
    assert not adoption.is_straggler(job(), found)


def test_a_pod_of_the_second_in_which_a_job_without_one_ended() -> None:
    """The job may have ended because of it: it is left alone."""
    done = job(state="error", completion_s=NOW, build_id="1", pod_name="")
    assert not adoption.is_straggler(done, pod(created_s=NOW, build_id="2", phase="Pending"))
