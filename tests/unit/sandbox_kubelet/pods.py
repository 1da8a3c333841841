"""Pods to test the kubelet's rules on."""

from typing import Any

import msgspec

from prow_async.sandbox.kubelet import manifest

Json = dict[str, Any]
UID = "0b9f1c3e-1111-4222-8333-444455556666"


def container(name: str = "test", **more: Any) -> Json:
    return {"name": name, "image": "example.invalid/image:1", "command": ["true"], **more}


def pod_json(*containers: Json, inits: tuple[Json, ...] = (), meta: Json | None = None, **spec: Any) -> Json:
    return {
        "metadata": {"name": "a-pod", "namespace": "test-pods", "uid": UID, **(meta or {})},
        "spec": {
            "restartPolicy": "Never",
            "containers": list(containers) or [container()],
            "initContainers": list(inits),
            **spec,
        },
    }


def pod(*containers: Json, inits: tuple[Json, ...] = (), meta: Json | None = None, **spec: Any) -> manifest.Pod:
    return manifest.read(msgspec.json.encode(pod_json(*containers, inits=inits, meta=meta, **spec)))
