"""What is swept away, and what never is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api import names
from prow_async.api.actions import DeletePod, DeleteProwJob, PatchPod
from prow_async.api.config import Sinker
from prow_async.api.errors import Expired, ProwError, Refused, Retry
from prow_async.api.views import JobView, PodView
from prow_async.core import sinker
from tests.unit.core import samples

NOW = 1_000_000.0
SETTINGS = Sinker(max_prowjob_age_s=1000.0, max_pod_age_s=500.0, terminated_pod_ttl_s=100.0, exclude_clusters=("off",))
FINALIZER = names.GCS_K8S_FINALIZER


def job(name: str = "job-1", **changes: Any) -> JobView:
    """Complete, and too young to go."""
    given: dict[str, Any] = {"start_s": NOW - 60, "completion_s": NOW - 50, "created_s": NOW - 60, **changes}
    return samples.view(name=name, **given)


def pod(**changes: Any) -> PodView:
    return samples.pod(**{"created_s": NOW - 60, "start_s": NOW - 60, **changes})


def brief(step: sinker.Step) -> str:
    action, asks = step.action, f" if {step.verify} is gone" if step.verify else ""
    match action:
        case DeleteProwJob(name=name, reason=reason):
            return f"job {name}: {reason}{asks}"
        case DeletePod(name=name, reason=reason):
            return f"pod {name}: {reason}{asks}"
        case PatchPod(name=name, patch=patch):
            return f"pod {name}: {patch['metadata']['finalizers']}{asks}"


def plan(jobs: list[JobView], pods: list[PodView], cluster: str = "default", configured: str = "") -> list[str]:
    found = sinker.plan(jobs, {cluster: pods}, frozenset(configured.split()), SETTINGS, NOW)
    owners = {job.name: job for job in jobs}
    steps = [*found.jobs]
    for pod in pods:
        judged = sinker.judge_pod(cluster, pod, owners.get(pod.job_name or pod.name), SETTINGS, NOW)
        assert (pod.name in found.pods[cluster]) is bool(judged)
        steps += judged
    assert all(step.action.why for step in steps)
    return [brief(step) for step in steps]


OLD: dict[str, Any] = {"start_s": NOW - 2000, "completion_s": NOW - 1500}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (OLD, ["job job-1: aged"]),
        ({"start_s": NOW - 1000}, []),
        ({"start_s": NOW - 1001}, ["job job-1: aged"]),
        ({**OLD, "completion_s": None}, []),
        ({**OLD, "completion_s": None, "state": "aborted"}, []),
        ({**OLD, "deleting": True}, []),
        ({**OLD, "type": "postsubmit"}, ["job job-1: aged"]),
        ({**OLD, "type": "batch"}, ["job job-1: aged"]),
        ({"start_s": None, "created_s": NOW - 2000}, ["job job-1: aged"]),
        ({"start_s": None, "created_s": NOW - 10}, []),
    ],
)
def test_prowjobs(changes: dict[str, Any], expected: list[str]) -> None:
    """A complete ProwJob goes when it started too long ago; an unfinished one never."""
    assert plan([job(**changes)], []) == expected


@pytest.mark.parametrize(
    ("starts", "configured", "gone"),
    [
        ({"a": 3000, "b": 2000}, "nightly", ["a"]),
        ({"a": 3000, "b": 2000}, "", ["a", "b"]),
        ({"a": 3000, "b": 100}, "nightly", ["a"]),
        ({"a": 2000, "b": 2000}, "nightly", ["a"]),
        ({"a": 2000}, "other", ["a"]),
    ],
)
def test_periodics(starts: dict[str, float], configured: str, gone: list[str]) -> None:
    """The newest run of a periodic that is still configured stays, however old."""
    jobs = [
        job(name, type="periodic", job="nightly", start_s=NOW - ago, completion_s=NOW - ago + 1)
        for name, ago in starts.items()
    ]
    assert plan(jobs, [], configured=configured) == [f"job {name}: aged-periodic" for name in gone]


def test_newest_run_counts_even_unfinished() -> None:
    """While a new run goes on, the last complete one may go."""
    done = job("a", type="periodic", job="nightly", start_s=NOW - 3000, completion_s=NOW - 2900)
    going = job("b", type="periodic", job="nightly", start_s=NOW - 2000, completion_s=None)
    assert plan([done, going], [], configured="nightly") == ["job a: aged-periodic"]


AGED: dict[str, Any] = {"start_s": NOW - 501, "created_s": NOW - 501}


@pytest.mark.parametrize(
    ("owner", "changes", "expected"),
    [
        ({}, {}, []),
        ({}, AGED, ["pod job-1: aged"]),
        ({}, {"start_s": NOW - 500}, []),
        ({"completion_s": NOW - 101}, {}, ["pod job-1: ttled"]),
        ({"completion_s": NOW - 100}, {}, []),
        ({"completion_s": NOW - 101}, AGED, ["pod job-1: aged"]),
        ({"completion_s": NOW - 101}, {"start_s": None}, ["pod job-1: ttled"]),
        ({"completion_s": None}, AGED, []),
        ({"completion_s": None, "state": "pending"}, {}, []),
        ({}, {**AGED, "deleting": True}, []),
        # the ProwJob is not in the snapshot, or is another one of the same name
        (None, {}, ["pod job-1: orphaned if job-1 is gone"]),
        (None, {"created_s": NOW - 30}, []),
        (None, AGED, ["pod job-1: orphaned if job-1 is gone"]),
        (None, {**AGED, "created_by_prow": False}, []),
        (None, {"job_name": ""}, ["pod job-1: orphaned if job-1 is gone"]),
        (None, {"job_name": "other"}, ["pod job-1: orphaned if other is gone"]),
        (None, {"deleting": True}, []),
        ({"uid": "uid-2", "completion_s": None}, {}, ["pod job-1: orphaned if job-1 is gone"]),
        ({"uid": "uid-2", "completion_s": None}, {"owner_uid": ""}, []),
        # crier's finalizer
        ({}, {"finalizers": (FINALIZER,)}, []),
        ({"reported": {"gcsk8sreporter": "failure"}}, {"finalizers": (FINALIZER,)}, ["pod job-1: None"]),
        ({"reported": {"gcsk8sreporter": "pending"}}, {"finalizers": (FINALIZER,)}, []),
        ({"reported": {"gcsk8sreporter": "failure"}}, {"finalizers": ("x", FINALIZER)}, ["pod job-1: ['x']"]),
        (
            {"reported": {"gcsk8sreporter": "failure"}, "completion_s": NOW - 101},
            {"finalizers": (FINALIZER,)},
            ["pod job-1: None", "pod job-1: ttled"],
        ),
        (None, {"finalizers": (FINALIZER,), "deleting": True}, ["pod job-1: None if job-1 is gone"]),
        ({"completion_s": None}, {"finalizers": (FINALIZER,)}, []),
    ],
)
def test_pods(owner: dict[str, Any] | None, changes: dict[str, Any], expected: list[str]) -> None:
    """A pod goes with its age, some time after its job, or when nobody owns it; and only then."""
    jobs = [] if owner is None else [job(**owner)]
    assert plan(jobs, [pod(**changes)]) == expected


def test_clusters() -> None:
    """A cluster is swept under its first alias that is not excluded; deletes name cluster, UID and namespace."""
    assert sinker.swept_alias(("off",), SETTINGS) == ""
    assert sinker.swept_alias(("off", "on", "too"), SETTINGS) == "on"
    (step,) = sinker.judge_pod("build", pod(), None, SETTINGS, NOW)
    assert isinstance(step.action, DeletePod)
    assert (step.action.cluster, step.action.namespace, step.action.uid) == ("build", "pods", "pod-uid-1")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Refused("no", 403, "Forbidden"), "Forbidden"),
        (Refused("no"), "Unknown"),
        (Retry("away"), "Unknown"),
        (Retry("sick", status=500), "InternalError"),
        (Retry("sick", status=502), "InternalError"),
        (Retry("busy", status=503), "ServiceUnavailable"),
        (Retry("later", status=429), "TooManyRequests"),
        (Expired("old"), "Expired"),
    ],
)
def test_reasons_of_errors(error: ProwError, reason: str) -> None:
    """Metrics name errors by Kubernetes' words."""
    assert sinker.reason_of(error) == reason


def test_lines() -> None:
    """A person reads what goes, where, and why."""
    gone = sinker.plan([job(**OLD)], {}, frozenset(), SETTINGS, NOW).jobs
    assert [sinker.line(step) for step in gone] == [
        "delete ProwJob ci/job-1  aged: unit: complete, started 2000 s ago (limit 1000 s)"
    ]
    steps = sinker.judge_pod("far", pod(finalizers=(FINALIZER,)), None, SETTINGS, NOW)
    assert [sinker.line(step) for step in steps] == [
        "take prow.x-k8s.io/gcsk8sreporter off pod pods/job-1 in far"
        "  nothing waits for this pod any more: its ProwJob is gone",
        "delete pod pods/job-1 in far  orphaned: job-1: its ProwJob does not exist, created 60 s ago",
    ]


@pytest.mark.parametrize(
    ("owner_uid", "found", "ownerless"),
    [
        ("uid-1", None, True),
        ("uid-1", "uid-1", False),
        ("uid-1", "uid-2", True),
        ("", "uid-2", False),
        ("", None, True),
    ],
)
def test_is_ownerless(owner_uid: str, found: str | None, ownerless: bool) -> None:
    """A fresh read settles it: the ProwJob is gone, or it is another of the same name."""
    fresh = None if found is None else job(uid=found)
    assert sinker.is_ownerless(pod(owner_uid=owner_uid), fresh) is ownerless


TIMES = st.one_of(st.none(), st.floats(min_value=0.0, max_value=NOW))


@given(TIMES, TIMES, TIMES, st.sampled_from(["presubmit", "periodic"]))
def test_unfinished_work_stays(start_s: float | None, pod_start_s: float | None, ttl: float | None, kind: str) -> None:
    """No age ever sweeps an unfinished ProwJob or its pod."""
    unfinished = job(start_s=start_s, completion_s=None, type=kind, state="pending")
    assert plan([unfinished], [pod(start_s=pod_start_s, created_s=ttl or 0.0)]) == []
