"""What stands in volumes, and amounts of resources."""

from typing import Any

import msgspec
import pytest

from prow_async.core.quantity import QuantityError
from prow_async.sandbox.kubelet import amounts, cgroups, volumes
from prow_async.sandbox.kubelet.environment import Source
from prow_async.sandbox.kubelet.manifest import Resources
from prow_async.sandbox.kubelet.refusal import Unfit
from prow_async.sandbox.kubelet.volumes import File
from tests.unit.sandbox_kubelet.pods import pod

SECRET = Source("secret", "s")
CONTENTS: volumes.Contents = {SECRET: {"a": b"1", "b": b"2"}, Source("configmap", "m"): {"a": b"3"}}


def files(content: dict[str, Any], contents: volumes.Contents = CONTENTS) -> dict[str, File]:
    return volumes.files(pod(), volumes.read({"name": "v", **content}), contents)


def test_all_keys_or_the_chosen_ones() -> None:
    """An item names a path and perhaps a mode of its own; later sources of a projected volume win."""
    assert files({"secret": {"secretName": "s"}}) == {"a": File(b"1", 0o644), "b": File(b"2", 0o644)}
    items = [{"key": "b", "path": "x/y", "mode": 0o400}, {"key": "a", "path": "a"}]
    chosen = files({"secret": {"secretName": "s", "defaultMode": 0o600, "items": items}})
    assert chosen == {"x/y": File(b"2", 0o400), "a": File(b"1", 0o600)}
    both = [{"secret": {"name": "s"}}, {"configMap": {"name": "m"}}]
    mixed = files({"projected": {"sources": both, "defaultMode": 0o440}})
    assert mixed == {"a": File(b"3", 0o440), "b": File(b"2", 0o440)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"secret": {"secretName": "t"}}, 'secret "t" not found'),
        ({"configMap": {"name": "t"}}, 'configmap "t" not found'),
        (
            {"secret": {"secretName": "s", "items": [{"key": "c", "path": "c"}]}},
            "references non-existent secret key: c",
        ),
    ],
)
def test_what_is_missing_is_waited_for(content: dict[str, Any], message: str) -> None:
    with pytest.raises(volumes.Lacking, match=message):
        files(content, {**CONTENTS, Source("secret", "t"): None})
    (kind,) = content
    assert files({kind: {**content[kind], "optional": True}}) == {}


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", "..data", ".", "a//b", "a\0b", ""])
def test_hostile_keys_never_leave_the_volume(key: str) -> None:
    with pytest.raises(Unfit, match="names no file"):
        files({"secret": {"secretName": "s"}}, {SECRET: {key: b""}})


def test_the_pod_itself() -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}},
    ]
    read = volumes.read({"name": "v", "downwardAPI": {"items": items}})
    made = volumes.files(pod(meta={"labels": {"b": 'say "x"', "a": "1"}}), read, {})
    assert {path: file.content for path, file in made.items()} == {"labels": b'a="1"\nb="say \\"x\\""', "n": b"a-pod"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"name": "../x", "emptyDir": {}}, "no RFC 1123 label"),
        ({"emptyDir": {}}, "no RFC 1123 label"),
        ({"name": "v"}, "kind none: served here are"),
        ({"name": "v", "emptyDir": {}, "secret": {}}, "kind emptyDir and secret"),
        ({"name": "v", "nfs": {"server": "x"}}, "kind nfs"),
        ({"name": "v", "emptyDir": 5}, "does not read"),
        ({"name": "v", "hostPath": {"path": "a"}}, "must be absolute"),
        ({"name": "v", "hostPath": {"path": "/a/../b"}}, "must be absolute"),
        ({"name": "v", "secret": {"secretName": "s", "items": [{"key": "a", "path": "../x"}]}}, "must be relative"),
        ({"name": "v", "configMap": {"name": "s", "items": [{"key": "a", "path": "/x"}]}}, "must be relative"),
        ({"name": "v", "downwardAPI": {"items": [{"path": "..x"}]}}, "must be relative"),
        ({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "service account token"),
    ],
)
def test_volumes_that_cannot_be_had(content: dict[str, Any], line: str) -> None:
    with pytest.raises(Unfit, match=line):
        volumes.read(content)


def test_the_clusters_own_volume_stays_empty() -> None:
    content = {"name": "kube-api-access-x", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    assert volumes.files(pod(), volumes.read(content), {}) == {}
    assert volumes.sources([volumes.read(content)]) == []


def test_objects_are_decoded() -> None:
    """Bytes as they are: a secret's in base64, a config map's as text or in base64."""
    assert volumes.decode("secret", b'{"data": {"a": "AP8="}}') == {"a": b"\x00\xff"}
    assert volumes.decode("configmap", b'{"data": {"a": "x"}, "binaryData": {"b": "AP8="}}') == {
        "a": b"x",
        "b": b"\0\xff",
    }
    for raw in (b"", b"[]", b'{"data": {"a": "?"}}'):
        with pytest.raises(Unfit):
            volumes.decode("secret", raw)


@pytest.mark.parametrize(
    ("value", "divisor", "units"),
    [
        ("1500m", "1", 2),
        ("1500m", "1m", 1500),
        ("1Gi", "1Mi", 1024),
        ("1G", "0", 10**9),
        ("1e3", 1, 1000),
        ("0.5", 1, 1),
        (2.5, "500m", 5),
        ("100n", "1", 1),
    ],
)
def test_amounts(value: str | float, divisor: str | int, units: int) -> None:
    """Whole units, rounded up."""
    assert amounts.in_units(value, divisor) == units


def test_no_amount() -> None:
    with pytest.raises(QuantityError):
        amounts.number("many")


@pytest.mark.parametrize(
    ("resources", "knobs"),
    [
        ({}, {}),
        (
            {"limits": {"memory": "1Gi", "cpu": "1500m"}},
            {
                "memory.max": "1073741824",
                "memory.swap.max": "0",
                "memory.oom.group": "1",
                "cpu.max": "150000 100000",
                "cpu.weight": "59",
            },
        ),
        ({"requests": {"cpu": "1"}}, {"cpu.weight": "39"}),
        ({"limits": {"cpu": "1m"}}, {"cpu.max": "1000 100000", "cpu.weight": "1"}),
    ],
)
def test_limits_as_cgroup_files(resources: dict[str, Any], knobs: dict[str, str]) -> None:
    """Quotas per 100 ms, shares on cgroup v2's scale, memory without swap."""
    assert cgroups.knobs(msgspec.convert(resources, Resources)) == knobs
