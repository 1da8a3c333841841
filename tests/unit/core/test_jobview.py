"""ProwJob JSON to the view the controllers hold."""

import sys
from typing import Any

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.prowjob import ProwJob, SlackReporterConfig
from prow_async.api.views import PullView
from prow_async.core import instants, jobview, objects

Json = dict[str, Any]
AT = "2026-01-02T03:04:05Z"
FULL: Json = {
    "apiVersion": "prow.k8s.io/v1",
    "kind": "ProwJob",
    "metadata": {
        "name": "j",
        "namespace": "prow",
        "uid": "u1",
        "resourceVersion": "12",
        "creationTimestamp": AT,
        "labels": {
            names.IS_OPTIONAL_LABEL: "true",
            names.RERUN_LABEL: "2",
            names.RETEST_LABEL: "true",
            names.EVENT_GUID: "g",
            names.PUBSUB_PROJECT: "p",
            names.FAILURE_CLASS: "test-failed",
            "else": "x",
        },
        "annotations": {names.CAUSE: "a push", names.DIGEST: "d", names.PUBSUB_TOPIC: "t", names.SLOT: "s"},
        "managedFields": [{"manager": "x"}],
    },
    "spec": {
        "type": "presubmit",
        "agent": "kubernetes",
        "cluster": "build",
        "job": "unit",
        "context": "ci/unit",
        "report": True,
        "rerun_command": "/test unit",
        "reporter_config": {"slack": {"channel": "#ci", "job_states_to_report": ["failure"]}},
        "max_concurrency": 3,
        "job_queue_name": "q",
        "error_on_eviction": True,
        "refs": {
            "org": "o",
            "repo": "r",
            "base_ref": "main",
            "base_sha": "b",
            "pulls": [{"number": 5, "author": "ann", "sha": "5"}],
        },
        "extra_refs": [{"org": "o", "repo": "lib", "base_ref": "main"}],
        "decoration_config": {"pod_pending_timeout": "1m30s", "pod_running_timeout": "2h"},
        "pod_spec": {"containers": [{"name": "test", "image": "i"}]},
    },
    "status": {
        "startTime": AT,
        "pendingTime": AT,
        "state": "pending",
        "description": "Job triggered.",
        "url": "https://ci.example/1",
        "pod_name": "j",
        "build_id": "77",
        "pod_revival_count": 1,
        "prev_report_states": {"github-reporter": "pending"},
    },
}


def raw(**changes: Any) -> bytes:
    """Encode FULL with parts replaced; `metadata`, `spec` and `status` are merged."""
    return msgspec.json.encode(
        {key: {**value, **changes.get(key, {})} if isinstance(value, dict) else value for key, value in FULL.items()}
    )


def test_every_field() -> None:
    """Each part of the object that a decision looks at arrives in the view."""
    at_s = instants.seconds(AT)
    view = jobview.read(raw())
    assert msgspec.structs.asdict(view) == {
        "name": "j",
        "namespace": "prow",
        "uid": "u1",
        "resource_version": "12",
        "created_s": at_s,
        "deleting": False,
        "cause": "a push",
        "event_guid": "g",
        "optional": True,
        "rerun": 2,
        "retest": True,
        "gerrit": False,
        "failure_class": "test-failed",
        "digest": "d",
        "slot": "s",
        "type": "presubmit",
        "agent": "kubernetes",
        "cluster": "build",
        "job": "unit",
        "context": "ci/unit",
        "report": True,
        "slack": SlackReporterConfig(channel="#ci", job_states_to_report=("failure",)),
        "pubsub": True,
        "rerun_command": "/test unit",
        "max_concurrency": 3,
        "job_queue_name": "q",
        "error_on_eviction": True,
        "decorated": True,
        "pod_pending_timeout_s": 90.0,
        "pod_running_timeout_s": 7200.0,
        "pod_unscheduled_timeout_s": None,
        "org": "o",
        "repo": "r",
        "base_ref": "main",
        "base_sha": "b",
        "pulls": (PullView(5, "5", "ann"),),
        "extra_repos": ("o/lib",),
        "extra_base_ref": "main",
        "refs_identity": view.refs_identity,
        "state": "pending",
        "description": "Job triggered.",
        "url": "https://ci.example/1",
        "build_id": "77",
        "pod_name": "j",
        "revivals": 1,
        "start_s": at_s,
        "pending_s": at_s,
        "completion_s": None,
        "reported": {"github-reporter": "pending"},
    }
    assert view.full_name == "o/r"
    assert not view.complete


def test_the_least_there_can_be() -> None:
    """Absent parts have zero values; the empty cluster alias is `default`; an absent label is not `false`."""
    view = jobview.read(b'{"metadata": {"name": "j"}, "spec": {"type": "periodic", "job": "x"}}')
    assert (view.cluster, view.state, view.optional, view.pulls, view.created_s) == ("default", "", None, (), 0.0)
    assert view.refs_identity == ""


@pytest.mark.parametrize(
    ("label", "optional"),
    [("true", True), ("T", True), ("1", True), ("false", False), ("0", False), ("", None), ("maybe", None)],
)
def test_optional(label: str, optional: bool | None) -> None:
    """The label reads as Go's ParseBool reads it; what it does not read says nothing."""
    meta = {**FULL["metadata"], "labels": {names.IS_OPTIONAL_LABEL: label}}
    assert jobview.read(raw(metadata=meta)).optional is optional


@pytest.mark.parametrize(("label", "gerrit"), [("Code-Review", True), ("", False)])
def test_gerrit(label: str, gerrit: bool) -> None:
    """An empty label names nothing that Gerrit is to hear."""
    meta = {**FULL["metadata"], "labels": {names.GERRIT_REPORT_LABEL: label}}
    assert jobview.read(raw(metadata=meta)).gerrit is gerrit


def test_nulls_stand_for_nothing() -> None:
    """Go writes null for empty slices and maps of pointers."""
    spec = {"refs": None, "extra_refs": None, "decoration_config": None}
    view = jobview.read(raw(spec=spec, status={"prev_report_states": None, "completionTime": None}))
    assert (view.org, view.extra_repos, view.decorated, view.reported) == ("", (), False, {})


@pytest.mark.parametrize("state", ["success", "failure"])
def test_complete(state: str) -> None:
    """A complete job keeps what reports need, its description included; only a running one can have duplicates."""
    view = jobview.read(raw(status={"state": state, "completionTime": AT, "description": "Job ended."}))
    assert view.complete
    assert (view.description, view.url, view.build_id) == ("Job ended.", "https://ci.example/1", "77")
    assert view.refs_identity == ""


def test_repeated_texts_are_kept_once() -> None:
    one, other = jobview.read(raw()), jobview.read(raw(metadata={"name": "k"}))
    for field in ("namespace", "agent", "cluster", "job", "context", "rerun_command", "org", "repo", "base_ref"):
        assert getattr(one, field) is getattr(other, field)
    assert one.description is other.description
    assert one.pod_name is one.name


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"spec": {"type": "nightly"}}, "$.spec.type"),
        ({"spec": {"job": 7}}, "$.spec.job"),
        ({"spec": {"refs": {"pulls": [{"number": "five"}]}}}, "$.spec.refs.pulls[0].number"),
        ({"spec": {"decoration_config": {"pod_running_timeout": "soon"}}}, "soon"),
        ({"status": {"startTime": "yesterday"}}, "$.status.startTime"),
        ({"status": {"state": "odd"}}, "$.status.state"),
    ],
)
def test_unreadable(changes: Json, where: str) -> None:
    """What is not as it should be is named by its path, and the object can still be named."""
    with pytest.raises(objects.Unreadable) as error:
        jobview.read(raw(**changes))
    assert where in error.value.why
    bad = objects.malformed(raw(**changes), error.value.why)
    assert (bad.name, bad.namespace, bad.uid, bad.resource_version) == ("j", "prow", "u1", "12")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"metadata": {}}', b"{"])
def test_no_object_at_all(body: bytes) -> None:
    with pytest.raises(objects.Unreadable):
        jobview.read(body)
    with pytest.raises(objects.Unreadable):
        jobview.read_full(body)
    assert objects.malformed(body, "why").why == "why"


def test_refs_identity() -> None:
    """Equal for the same pulls on the same branch whatever their commits and order; different otherwise."""

    def identity(base: str, *pulls: tuple[int, str], extra: str = "lib") -> str:
        refs = {"org": "o", "repo": "r", "base_ref": base, "pulls": [{"number": n, "sha": s} for n, s in pulls]}
        return jobview.read(raw(spec={"refs": refs, "extra_refs": [{"org": "o", "repo": extra}]})).refs_identity

    same = identity("main", (5, "a"), (6, "b"))
    assert same == identity("main", (6, "c"), (5, "d"))
    assert (
        len(
            {
                same,
                identity("dev", (5, "a"), (6, "b")),
                identity("main", (5, "a")),
                identity("main", (5, "a"), (6, "b"), extra="x"),
            }
        )
        == 4
    )


def test_full_object_round_trip() -> None:
    """The whole object decodes, and encodes back to what it was, but for what no field of ours names."""
    job = jobview.read_full(raw())
    assert isinstance(job, ProwJob)
    again = msgspec.json.decode(msgspec.json.encode(job))
    assert again["spec"] == FULL["spec"] | {"extra_refs": [{"org": "o", "repo": "lib", "base_ref": "main"}]}
    assert again["status"] == FULL["status"]


def test_size() -> None:
    """A view of a finished job is small: its own fields, the rest shared."""
    view = jobview.read(raw(status={"state": "success", "completionTime": AT}))
    assert sys.getsizeof(view) < 500
