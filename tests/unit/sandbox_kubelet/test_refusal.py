"""Pods that cannot run here, and names that are not to be trusted."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.core import objects
from prow_async.sandbox.kubelet import folders, manifest, refusal
from tests.unit.sandbox_kubelet.pods import UID, container, pod, pod_json

EMPTY_DIR: dict[str, Any] = {"name": "v", "emptyDir": {}}


def told(*containers: dict[str, Any], **more: Any) -> str:
    found = refusal.find(pod(*containers, **more))
    assert found is not None
    assert found.reason == "CannotRunLocally"
    assert "\n" not in found.message
    return found.message


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"command": ["a\0b"]}, "NUL byte"),
        ({"name": "../x"}, "no RFC 1123 label"),
        ({"securityContext": {"privileged": True}}, "is privileged"),
        ({"restartPolicy": "Always"}, "sidecar init containers"),
        ({"lifecycle": {"preStop": {}}}, "lifecycle hooks"),
        ({"workingDir": "/a/../../b"}, "workingDir"),
        ({"terminationMessagePath": "../x"}, "terminationMessagePath"),
        ({"volumeMounts": [{"name": "w", "mountPath": "/w"}]}, "which the pod does not have"),
        ({"volumeMounts": [{"name": "v", "mountPath": "w"}]}, "must be absolute"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/"}]}, "must be absolute"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/w/../.."}]}, "must be absolute"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/w", "subPath": "../../x"}]}, "subPath"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/w", "subPath": "/x"}]}, "subPath"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/w", "subPath": "x", "subPathExpr": "$(X)"}]}, "subPath"),
        ({"resources": {"limits": {"memory": "much"}}}, "asks for memory"),
        ({"env": [{"name": "A=B", "value": "x"}]}, "no process can have"),
        ({"env": [{"name": "A", "value": "x\0"}]}, "no process can have"),
        ({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "x"}}}]}, "other than a field"),
    ],
)
def test_containers_that_cannot_run(more: dict[str, Any], line: str) -> None:
    """One clear line for each, naming the container."""
    message = told(container(**more), volumes=[EMPTY_DIR])
    assert line in message
    assert message.startswith(f"container {more.get('name', 'test')!r}")


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"restartPolicy": "Always"}, "restartPolicy Always is not supported"),
        ({"restartPolicy": "OnFailure"}, "restartPolicy OnFailure is not supported"),
        ({"containers": []}, "no containers"),
        ({"initContainers": [container()]}, "two containers are named 'test'"),
        ({"meta": {"namespace": ".."}}, "cannot name a folder"),
        ({"meta": {"uid": "a/b"}}, "cannot name a folder"),
        ({"meta": {"name": "x" * 250}}, "cannot name a folder"),
    ],
)
def test_pods_that_cannot_run(spec: dict[str, Any], line: str) -> None:
    assert line in told(**spec)


@pytest.mark.parametrize("command", [[], [""]])
def test_a_command_is_needed(command: list[str]) -> None:
    """There are no images here that could have one."""
    found = refusal.find(pod(container(command=command)))
    assert found is not None
    assert found.reason == "ErrImagePull"
    assert "entrypoint of image example.invalid/image:1 is not known" in found.message


def test_an_ordinary_pod_can_run() -> None:
    """What a local process cannot tell is no reason to refuse."""
    subject = pod(
        container(
            resources={"limits": {"cpu": "1"}},
            volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "a/b", "readOnly": True}],
            securityContext={"runAsUser": 1000},
            workingDir="/",
        ),
        volumes=[EMPTY_DIR, {"name": "kube-api-access-x1y2z", "projected": {"sources": []}}],
        nodeSelector={"a": "b"},
    )
    assert refusal.find(subject) is None


@given(st.text(), st.text(), st.text())
def test_hostile_names_never_leave_the_root(namespace: str, name: str, uid: str) -> None:
    """Whatever the names are, a folder's name is one plain part of a path or none at all."""
    for made in (folders.of_pod(namespace, name, uid), folders.of_pod("ns", name, "u"), folders.of_pod("ns", "p", uid)):
        assert made is None or (made not in {".", ".."} and not set(made) & {"/", "\0", "\n"})
    assert folders.prefix_of(namespace, name) is None or "/" not in f"{namespace}{name}"


def test_folders_of_pods_are_told_from_others() -> None:
    """The sweeper removes nothing but folders that a kubelet has made."""
    made = folders.of_pod("ns", "a.b-c", UID)
    assert made is not None
    assert folders.is_of_pod(made)
    assert not any(folders.is_of_pod(name) for name in ("", "projects", "a_b", "a_b_c_d", "A_b_c", "._b_c"))


def test_nulls_count_as_absent() -> None:
    """As in Go, at any depth."""
    content = pod_json(container(args=None, env=None, securityContext={"privileged": None}), volumes=None)
    content["metadata"]["labels"] = None
    read = manifest.read(msgspec.json.encode(content | {"status": None}))
    assert read == pod()
    manifest.read_head(msgspec.json.encode(content | {"spec": None, "status": None}))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"metadata": {}}', b'{"metadata": {"name": 1}}'])
def test_what_is_no_pod_is_told_apart(raw: bytes) -> None:
    with pytest.raises(objects.Unreadable):
        manifest.read_head(raw)
    with pytest.raises(objects.Unreadable):
        manifest.read(raw)
