"""Pod JSON to the view the controllers hold."""

from typing import Any

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.views import ContainerView
from prow_async.core import instants, objects, podview

Json = dict[str, Any]
AT = "2026-01-02T03:04:05Z"


def pod(meta: Json | None = None, **status: Any) -> bytes:
    marks = {names.OWNER_UID: "u1", names.ATTEMPT: "2", names.DIGEST: "d"}
    labels = {names.ID_LABEL: "j", names.BUILD_ID_LABEL: "77", names.CREATED_BY_PROW: "true"}
    full = {
        "name": "j",
        "namespace": "pods",
        "uid": "p1",
        "resourceVersion": "9",
        "creationTimestamp": AT,
        "labels": labels,
        "annotations": marks,
        **(meta or {}),
    }
    return msgspec.json.encode({"metadata": full, "spec": {"containers": [{"name": "test"}]}, "status": status})


def test_every_field() -> None:
    view = podview.read(
        pod({"finalizers": ["f"]}, phase="Running", reason="r", message="m", startTime="2026-01-02T03:04:06Z")
    )
    assert msgspec.structs.asdict(view) == {
        "name": "j",
        "namespace": "pods",
        "uid": "p1",
        "resource_version": "9",
        "created_s": instants.seconds(AT),
        "deleting": False,
        "deletion_s": None,
        "job_name": "j",
        "build_id": "77",
        "created_by_prow": True,
        "owner_uid": "u1",
        "attempt": 2,
        "digest": "d",
        "finalizers": ("f",),
        "phase": "Running",
        "reason": "r",
        "message": "m",
        "disruption": "",
        "unscheduled": "",
        "start_s": instants.seconds(AT) + 1,
        "containers": (),
    }


def test_what_the_cluster_says_of_its_place() -> None:
    """A true DisruptionTarget and a false PodScheduled count, whatever else is said."""
    conditions = [
        {"type": "Ready", "status": "False", "reason": "no"},
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"},
        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"},
    ]
    view = podview.read(pod(conditions=conditions))
    assert (view.disruption, view.unscheduled) == ("PreemptionByScheduler", "0/3 nodes")
    well = [{"type": "PodScheduled", "status": "True"}, {"type": "DisruptionTarget", "status": "False"}]
    view = podview.read(pod(conditions=well))
    assert (view.disruption, view.unscheduled) == ("", "")


def test_the_least_there_can_be() -> None:
    """A pod of somebody else: no label, no mark, no status."""
    view = podview.read(b'{"metadata": {"name": "x"}}')
    assert (view.owner_uid, view.attempt, view.created_by_prow, view.phase, view.start_s) == ("", None, False, "", None)


@pytest.mark.parametrize("attempt", ["", "-1", "two", "1.5", "9" * 5000])
def test_an_attempt_that_is_no_number_is_none(attempt: str) -> None:
    assert podview.read(pod({"annotations": {names.ATTEMPT: attempt}})).attempt is None


def test_deleting() -> None:
    going = podview.read(pod({"deletionTimestamp": AT}))
    assert going.deleting
    assert going.deletion_s == instants.seconds(AT)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, ContainerView(name="test")),
        ({"running": {"startedAt": AT}}, ContainerView(name="test")),
        (
            {"waiting": {"reason": "ImagePullBackOff", "message": "no"}},
            ContainerView(name="test", waiting_reason="ImagePullBackOff", waiting_message="no"),
        ),
        (
            {"terminated": {"exitCode": 3, "reason": "Error", "message": "tail", "finishedAt": AT}},
            ContainerView(name="test", exit_code=3, terminated_reason="Error", message="tail", finished=True),
        ),
        ({"terminated": {"exitCode": 0, "finishedAt": None}}, ContainerView(name="test", exit_code=0)),
    ],
)
def test_containers(state: Json | None, expected: ContainerView) -> None:
    """A container is terminated exactly when it has an exit code, and finished when its end has a time."""
    view = podview.read(pod(containerStatuses=[{"name": "test", "state": state}]))
    assert view.containers == (expected,)


def test_init_containers_come_first() -> None:
    ended = {"terminated": {"exitCode": 0, "finishedAt": AT}}
    view = podview.read(
        pod(
            containerStatuses=[{"name": "test", "state": ended}],
            initContainerStatuses=[{"name": "clone", "state": ended}],
        )
    )
    assert [(c.name, c.init) for c in view.containers] == [("clone", True), ("test", False)]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"metadata": {"name": 7}}', b'{"metadata": {"name": "x"}, "status": 1}']
)
def test_unreadable(body: bytes) -> None:
    with pytest.raises(objects.Unreadable):
        podview.read(body)


@pytest.mark.parametrize(
    ("env", "found"),
    [
        ([{"name": "A", "value": "x"}, {"name": "BUILD_ID", "value": "78"}], "78"),
        ([{"name": "BUILD_ID"}], ""),
        (None, ""),
    ],
)
def test_the_build_id_of_a_pod_without_the_label(env: Any, found: str) -> None:
    raw = msgspec.json.encode({"metadata": {"name": "x"}, "spec": {"containers": [{"name": "test", "env": env}]}})
    assert podview.build_id_in_env(raw) == found


def test_a_pod_whose_env_does_not_read() -> None:
    with pytest.raises(objects.Unreadable):
        podview.build_id_in_env(b'{"metadata": {"name": "x"}, "spec": {"containers": 7}}')
