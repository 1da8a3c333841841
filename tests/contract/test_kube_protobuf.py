"""Protobuf as the real server writes it is read here as the same object."""

from typing import Any

import msgspec
import pytest

from prow_async.sandbox.kube import protobuf
from tests import realkube
from tests.contract import kube_targets as targets
from tests.contract.conftest import REAL
from tests.contract.kube_targets import Json, Target
from tests.unit.sandbox_kube.asking import Asker

pytestmark = pytest.mark.anyio

_CONTAINER: Json = {
    "name": "c", "image": "example.invalid/i:1", "command": ["a", ""], "tty": True, "stdin": False,
    "env": [
        {"name": "A", "value": "é"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}}},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
    "ports": [{"containerPort": 80, "name": "web"}],
    "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "2"}},
    "livenessProbe": {"httpGet": {"port": "web", "path": "/"}, "failureThreshold": 5},
    "readinessProbe": {"tcpSocket": {"port": 80}},
    "startupProbe": {"exec": {"command": ["x"]}, "terminationGracePeriodSeconds": 7},
    "securityContext": {
        "runAsUser": 0, "privileged": False, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    },
    "volumeMounts": [{"name": "e", "mountPath": "/e", "readOnly": True, "subPath": "x"}],
    "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
}  # fmt: skip
_VOLUMES: list[Json] = [
    {"name": "e", "emptyDir": {}},
    {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    {"name": "s", "secret": {"secretName": "s", "defaultMode": 256, "items": [{"key": "a", "path": "b", "mode": 0}]}},
    {"name": "c", "configMap": {"name": "m", "optional": True}},
    {"name": "h", "hostPath": {"path": "/x", "type": "Directory"}},
    {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}]}},
]
_AFFINITY: Json = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}]
        }
    },
    "podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "t", "labelSelector": {"matchLabels": {"a": "b"}}}}
        ]
    },
}
_POD: Json = {
    "metadata": {
        "name": "a", "labels": {"a": "", "b": "c"}, "annotations": {"x/y": "z"}, "finalizers": ["x/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u", "controller": False}],
    },
    "spec": {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 5, "activeDeadlineSeconds": 9,
        "automountServiceAccountToken": False, "hostNetwork": False, "serviceAccountName": "sa",
        "nodeSelector": {"n": "s"},
        "containers": [_CONTAINER], "initContainers": [{"name": "i", "image": "x"}], "volumes": _VOLUMES,
        "affinity": _AFFINITY, "securityContext": {"runAsGroup": 0, "fsGroup": 5},
        "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 0, "effect": "NoExecute"}],
        "imagePullSecrets": [{"name": "r"}], "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["h"]}],
    },
}  # fmt: skip
_STATUS: Json = {
    "phase": "Running", "startTime": "2026-01-02T03:04:05Z", "podIP": "10.0.0.1",
    "podIPs": [{"ip": "10.0.0.1"}],
    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
    "containerStatuses": [
        {
            "name": "c", "ready": False, "restartCount": 0, "image": "i", "imageID": "", "started": False,
            "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-02T03:04:05Z"}},
        }
    ],
}  # fmt: skip
_OBJECTS: dict[str, tuple[str, Json]] = {
    "pod": ("/api/v1/namespaces/{ns}/pods", _POD),
    "service": (
        "/api/v1/namespaces/{ns}/services",
        {"metadata": {"name": "a"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "web"}]}},
    ),
    "lease": (
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
        {"metadata": {"name": "a"}, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 15,
         "renewTime": "2026-01-02T03:04:05.000006Z", "leaseTransitions": 0}},
    ),
    "secret": ("/api/v1/namespaces/{ns}/secrets", {"metadata": {"name": "a"}, "data": {"k": "AAE="}}),
    "configmap": (
        "/api/v1/namespaces/{ns}/configmaps",
        {"metadata": {"name": "a"}, "data": {"k": ""}, "binaryData": {"b": "/w=="}, "immutable": False},
    ),
    "serviceaccount": (
        "/api/v1/namespaces/{ns}/serviceaccounts",
        {"metadata": {"name": "a"}, "automountServiceAccountToken": False, "imagePullSecrets": [{"name": "r"}]},
    ),
}  # fmt: skip


def _shown(content: Any) -> Any:
    """Leave out what protobuf bodies need not tell: managers, and nulls and empty texts, which mean nothing."""
    if isinstance(content, dict):
        kept = {key: _shown(value) for key, value in content.items() if key != "managedFields"}
        return {key: value for key, value in kept.items() if value is not None and value != ""}
    return [_shown(one) for one in content] if isinstance(content, list) else content


@pytest.mark.parametrize("kube", [pytest.param(REAL, marks=realkube.REAL)], indirect=True)
@pytest.mark.parametrize("kind", _OBJECTS)
async def test_the_same_object(kube: Target, kind: str) -> None:
    """What the real server says in protobuf and in JSON is one object here; and it can be created from it."""
    path, content = _OBJECTS[kind]
    answer = await kube.raw("POST", path, content)
    assert answer.status == 201, answer.content["message"]
    merge = "application/merge-patch+json"
    if kind == "pod":
        assert (await kube.raw("PATCH", f"{path}/a/status", {"status": _STATUS}, merge)).status == 200
    stored = (await kube.raw("GET", f"{path}/a")).content
    async with kube.transport.send("GET", f"{path}/a".format(ns=kube.namespace), {"Accept": protobuf.MEDIA}) as reply:
        raw = await reply.read()
    assert raw.startswith(b"k8s\0")
    assert _shown(protobuf.decode(raw)) == _shown(stored)

    asker = Asker()
    asker.do("POST", "/api/v1/namespaces", {"metadata": {"name": kube.namespace}})
    bare = await _without_version(kube, path, content)
    code, made = asker.ask("POST", path.format(ns=kube.namespace), bare, protobuf.MEDIA)
    assert (code, made["metadata"]["name"]) == (201, "b"), made
    assert made.get("spec", {}).get("containers") == stored.get("spec", {}).get("containers")


async def _without_version(kube: Target, path: str, content: Json) -> bytes:
    """Return a new object in protobuf, as the real server would store it: what a dry run answers has no version."""
    renamed = {**content, "metadata": {**content["metadata"], "name": "b", "ownerReferences": []}}
    target = f"{path}?dryRun=All".format(ns=kube.namespace)
    headers = {"Accept": protobuf.MEDIA, "Content-Type": targets.JSON}
    data = msgspec.json.encode(renamed)
    async with kube.transport.send("POST", target, headers, data) as reply:
        assert reply.status == 201
        return await reply.read()
