"""What the server is told of a pod in each state."""

from typing import Any

import msgspec
import pytest

from prow_async.core import podview
from prow_async.sandbox.kubelet import manifest, status
from prow_async.sandbox.kubelet.decide import Facts, Ran, Stopping
from prow_async.sandbox.kubelet.refusal import Refusal
from tests.unit.sandbox_kubelet.pods import container, pod, pod_json

RUNS = Ran(100.0)
WELL = Ran(100.0, 101.0, 0, "Completed")
BAD = Ran(100.0, 101.0, 3, "Error", "it broke")
PLAIN = pod(container("a"), container("b"))
WITH_INIT = pod(container("a"), inits=(container("i"),))
AT_100 = "1970-01-01T00:01:40Z"
AT_101 = "1970-01-01T00:01:41Z"


def told(subject: manifest.Pod, facts: Facts) -> tuple[str, str | None]:
    made = status.of(subject, facts)
    return made["phase"], made.get("reason")


@pytest.mark.parametrize(
    ("subject", "facts", "phase", "reason"),
    [
        (PLAIN, Facts(100.0), "Pending", None),
        (PLAIN, Facts(100.0, refused=Refusal("CannotRunLocally", "why")), "Failed", "CannotRunLocally"),
        (PLAIN, Facts(100.0, ran={"a": RUNS}), "Running", None),
        (PLAIN, Facts(100.0, ran={"a": RUNS, "b": BAD}), "Running", None),
        (PLAIN, Facts(100.0, ran={"a": WELL, "b": BAD}), "Failed", None),
        (PLAIN, Facts(100.0, ran={"a": WELL, "b": WELL}), "Succeeded", None),
        (PLAIN, Facts(100.0, ran={"a": RUNS}, stopping=Stopping("deadline", 1.0)), "Running", None),
        (
            PLAIN,
            Facts(100.0, ran={"a": WELL, "b": WELL}, stopping=Stopping("deadline", 1.0)),
            "Failed",
            "DeadlineExceeded",
        ),
        (PLAIN, Facts(100.0, ran={"a": BAD, "b": BAD}, stopping=Stopping("shutdown", 1.0)), "Failed", "Terminated"),
        (PLAIN, Facts(100.0, ran={"a": WELL, "b": WELL}, stopping=Stopping("deleted", 1.0)), "Succeeded", None),
        (PLAIN, Facts(100.0, stopping=Stopping("deleted", 1.0)), "Failed", None),
        (WITH_INIT, Facts(100.0, ran={"i": RUNS}), "Pending", None),
        (WITH_INIT, Facts(100.0, ran={"i": BAD}), "Failed", None),
        (WITH_INIT, Facts(100.0, ran={"i": WELL, "a": RUNS}), "Running", None),
    ],
)
def test_phase_and_reason(subject: manifest.Pod, facts: Facts, phase: str, reason: str | None) -> None:
    """A pod fails when a container does, or when it was ended before its time."""
    assert told(subject, facts) == (phase, reason)


def test_every_container_is_listed_in_each_of_its_states() -> None:
    """Waiting, running and terminated, with the reasons and times of the kubelet."""
    subject = pod(container("a"), container("b"), inits=(container("i"),))
    made = status.of(subject, Facts(100.0, ran={"i": WELL, "a": BAD}))
    assert [c["state"] for c in made["initContainerStatuses"]] == [
        {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": AT_100, "finishedAt": AT_101}}
    ]
    assert [(c["name"], c["ready"], c["state"]) for c in made["containerStatuses"]] == [
        (
            "a",
            False,
            {
                "terminated": {
                    "exitCode": 3,
                    "reason": "Error",
                    "message": "it broke",
                    "startedAt": AT_100,
                    "finishedAt": AT_101,
                }
            },
        ),
        ("b", False, {"waiting": {"reason": "PodInitializing"}}),
    ]


def test_conditions_follow_the_containers() -> None:
    """Initialized once all init containers ended well, Ready while all containers run."""

    def conditions(facts: Facts) -> dict[str, str]:
        return {c["type"]: c["status"] for c in status.of(WITH_INIT, facts)["conditions"]}

    assert conditions(Facts(100.0)) == {
        "PodScheduled": "True",
        "Initialized": "False",
        "ContainersReady": "False",
        "Ready": "False",
    }
    assert conditions(Facts(100.0, ran={"i": WELL, "a": RUNS})) == dict.fromkeys(
        ["PodScheduled", "Initialized", "ContainersReady", "Ready"], "True"
    )
    assert conditions(Facts(100.0, ran={"i": WELL, "a": BAD}))["Ready"] == "False"


def test_the_mark_of_the_kubelet_is_read_back() -> None:
    """A kubelet recognizes the pods it took, and only those."""
    made = pod_json() | {"status": status.of(PLAIN, Facts(100.0, taken_by="0123abcd"))}
    head = manifest.read_head(msgspec.json.encode(made))
    assert (head.taken_by, head.started, head.phase) == ("0123abcd", True, "Pending")
    other: dict[str, Any] = {"conditions": [{"type": "PodScheduled", "message": "by somebody"}, {"type": "Ready"}]}
    assert manifest.read_head(msgspec.json.encode(pod_json() | {"status": other})).taken_by == ""


def test_a_lost_pod_fails_and_keeps_what_had_ended() -> None:
    """What ran when the kubelet died has no known end; what had ended keeps it."""
    subject = pod_json(container("a"), container("b"))
    before = status.of(manifest.read(msgspec.json.encode(subject)), Facts(100.0, ran={"a": WELL, "b": RUNS}))
    lost = status.of_lost(manifest.read(msgspec.json.encode(subject | {"status": before})), 200.0)
    view = podview.read(msgspec.json.encode(subject | {"status": lost}))
    assert (view.phase, view.reason) == ("Failed", "NodeLost")
    assert "restarted" in view.message
    assert [(c.name, c.exit_code, c.terminated_reason) for c in view.containers] == [
        ("a", 0, "Completed"),
        ("b", 137, "ContainerStatusUnknown"),
    ]


def test_the_engine_reads_what_is_told() -> None:
    """A succeeded pod shows every container finished with exit code 0."""
    made = status.of(WITH_INIT, Facts(100.0, ran={"i": WELL, "a": WELL}))
    view = podview.read(msgspec.json.encode(pod_json() | {"status": made}))
    assert view.phase == "Succeeded"
    assert view.start_s == 100.0
    assert [(c.name, c.init, c.exit_code, c.finished) for c in view.containers] == [
        ("i", True, 0, True),
        ("a", False, 0, True),
    ]
