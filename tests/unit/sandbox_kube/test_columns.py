"""Table cells: JSON paths, ages, the words for pods."""

from typing import Any

import pytest

from prow_async.sandbox.kube import columns, jsonpath

CONTENT = {
    "spec": {"refs": {"pulls": [{"number": 7}, {"number": 8}]}},
    "metadata": {"labels": {"a.b/c": "x"}},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Done", "status": "False"}]},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.refs.pulls[*].number", [7, 8]),
        (".spec.refs.pulls[1].number", [8]),
        (".spec.refs.pulls[-1].number", [8]),
        (".spec.refs.pulls[9].number", []),
        (".metadata.labels['a.b/c']", ["x"]),
        (".metadata.labels.a\\.b/c", ["x"]),
        ('.status.conditions[?(@.type=="Done")].status', ["False"]),
        (".status.nope.deeper", []),
        (".spec.refs.pulls.number", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    """A path finds all it names, in order, and nothing where there is nothing."""
    assert jsonpath.find(jsonpath.parse(path), CONTENT) == found


@pytest.mark.parametrize("path", ["", "spec", ".a[", ".a[?(@.b)]", ".a..b", "{.a}"])
def test_paths_that_do_not_parse(path: str) -> None:
    """What is no path is refused."""
    with pytest.raises(jsonpath.BadPath):
        jsonpath.parse(path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (8 * 86_400, "8d"),
        (729 * 86_400, "729d"),
        (731 * 86_400, "2y1d"),
        (9 * 365 * 86_400, "9y"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Ages read as kubectl's."""
    assert columns.duration(seconds) == text


def _pod(**status: Any) -> dict[str, Any]:
    deleted = status.pop("deleted", None)
    return {
        "metadata": {"name": "p", "creationTimestamp": "2024-01-01T00:00:00Z"}
        | ({"deletionTimestamp": deleted} if deleted else {}),
        "spec": {"containers": [{"name": "c"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
        "status": status,
    }


def _init(**state: Any) -> dict[str, Any]:
    return {"initContainerStatuses": [{"state": state}]}


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        (_pod(phase="Pending"), "Pending"),
        (_pod(), "Unknown"),
        (_pod(phase="Failed", reason="Evicted"), "Evicted"),
        (_pod(phase="Running", containerStatuses=[{"state": {"waiting": {"reason": "Crash"}}}]), "Crash"),
        (_pod(phase="Failed", containerStatuses=[{"state": {"terminated": {"exitCode": 3}}}]), "ExitCode:3"),
        (_pod(phase="Failed", containerStatuses=[{"state": {"terminated": {"signal": 9}}}]), "Signal:9"),
        (_pod(phase="Failed", containerStatuses=[{"state": {"terminated": {"reason": "Error"}}}]), "Error"),
        (_pod(phase="Pending", **_init(terminated={"exitCode": 0})), "Pending"),
        (_pod(phase="Pending", **_init(terminated={"exitCode": 1})), "Init:ExitCode:1"),
        (_pod(phase="Pending", **_init(running={})), "Init:0/2"),
        (_pod(phase="Pending", **_init(waiting={"reason": "ImagePull"})), "Init:ImagePull"),
        (_pod(phase="Running", deleted="2024-01-01T00:00:00Z"), "Terminating"),
    ],
)
def test_pod_words(pod: dict[str, Any], word: str) -> None:
    """STATUS reads as kubectl's."""
    assert columns.pod_word(pod) == word
