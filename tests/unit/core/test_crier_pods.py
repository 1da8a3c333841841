"""Which pods are held, and what is stored of them."""

import zlib
from typing import Any

import msgspec
import pytest

from prow_async.api import names
from prow_async.api.actions import PatchPod, WriteBlob
from prow_async.api.prowjob import GCSConfiguration
from prow_async.core import crier_pods
from prow_async.core.crier_blobs import Place
from tests.unit.core import samples

PLACE = Place("logs", "logs/unit/7", GCSConfiguration(bucket="logs"))
BEGUN = {"build_id": "7", "pending_s": 1.0}


@pytest.mark.parametrize(
    ("changes", "fraction", "speaks"),
    [
        (BEGUN, 1.0, True),
        (BEGUN, 0.0, False),
        ({**BEGUN, "agent": "jenkins"}, 1.0, False),
        ({"build_id": "7"}, 1.0, False),
        ({"pending_s": 1.0}, 1.0, False),
        ({**BEGUN, "state": "aborted", "completion_s": None}, 1.0, False),
        ({**BEGUN, "state": "aborted"}, 1.0, True),
        ({**BEGUN, "state": "pending", "completion_s": None}, 1.0, True),
    ],
)
def test_silence(changes: dict[str, Any], fraction: float, speaks: bool) -> None:
    assert (crier_pods.silence(samples.view(**changes), fraction) is None) is speaks


@pytest.mark.parametrize(("name", "checksum"), [("123456789", 0xE3069283), ("", 0), ("a", 0xC1D04330)])
def test_the_choice_is_upstreams(name: str, checksum: int) -> None:
    """By CRC-32C of the name (its known test values), at most the fraction of the largest."""
    share = checksum / 0xFFFFFFFF
    assert crier_pods.is_chosen(name, min(share + 1e-9, 1.0))
    assert crier_pods.is_chosen(name, max(share - 1e-9, 0.0)) is (checksum == 0)
    assert zlib.crc32(name.encode()) != checksum or not checksum


def test_holding() -> None:
    """The finalizer joins those that are there, on condition that the pod is as it was read."""
    (patch,) = crier_pods.decide_hold("build", samples.pod(finalizers=("z/other",))).actions
    assert isinstance(patch, PatchPod)
    assert patch.patch == {"metadata": {"finalizers": [names.GCS_K8S_FINALIZER, "z/other"]}}
    assert (patch.cluster, patch.resource_version) == ("build", "9")
    for pod in (samples.pod(deleting=True), samples.pod(finalizers=(names.GCS_K8S_FINALIZER,))):
        assert crier_pods.decide_hold("build", pod).actions == ()


@pytest.mark.parametrize(
    ("finalizers", "rest"),
    [((names.GCS_K8S_FINALIZER,), None), (("a/b", names.GCS_K8S_FINALIZER), ["a/b"]), ((), "not patched")],
)
def test_storing(finalizers: tuple[str, ...], rest: Any) -> None:
    """podinfo.json first, then the pod is let go; other finalizers stay."""
    facts = crier_pods.Facts(
        job=samples.view(**BEGUN),
        place=PLACE,
        pod=samples.pod(finalizers=finalizers),
        raw=b'{"metadata":{"name":"<x>"}}',
        events=[msgspec.Raw(b'{"reason":"Pulled"}')],
        node=b'{"kind":"Node"}',
    )
    write, *patches = crier_pods.decide_store(facts).actions
    assert isinstance(write, WriteBlob)
    assert (write.path, write.only_new) == ("logs/unit/7/podinfo.json", False)
    assert write.body.startswith(b'{\n\t"pod": {\n\t\t"metadata": {\n\t\t\t"name": "\\u003cx\\u003e"')
    assert list(msgspec.json.decode(write.body)) == ["pod", "events", "node"]
    assert [p.patch["metadata"]["finalizers"] for p in patches if isinstance(p, PatchPod)] == (
        [] if rest == "not patched" else [rest]
    )


def test_what_is_not_known_is_left_out() -> None:
    facts = crier_pods.Facts(job=samples.view(), place=PLACE, pod=samples.pod(), raw=b"{}")
    (write,) = crier_pods.decide_store(facts).actions
    assert isinstance(write, WriteBlob)
    assert msgspec.json.decode(write.body) == {"pod": {}}


@pytest.mark.parametrize(("raw", "node"), [(b"{}", ""), (b'{"spec":{"nodeName":"n1"}}', "n1"), (b'{"spec":{}}', "")])
def test_the_node(raw: bytes, node: str) -> None:
    assert crier_pods.node_of(raw) == node
