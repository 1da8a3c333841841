"""A decorated pod, whole, whose surroundings fail it, and all that it must not leave behind."""

import base64
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api.prowjob import ProwJob
from prow_async.core import podspec
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from prow_async.sandbox.kubelet.supplies import Access
from tests.contract import kube_targets as targets
from tests.contract.kubelet_parts import ended, living, phase, running, terminated, until

Json = dict[str, Any]
IMAGES = {name: f"example.invalid/{name}:v1" for name in ("clonerefs", "initupload", "entrypoint", "sidecar")}
RUN = "pr-logs/pull/o_r/5/faulty/1"


class Job:
    """A presubmit: `refs` says what is cloned, `decoration` how it is decorated, where that is not as usual."""

    def __init__(self, folder: Path, script: str, refs: Json | None = None) -> None:
        self.folder = folder
        self.bucket = folder / "bucket"
        self.bucket.mkdir(exist_ok=True)
        self.root = folder / "pods"
        self.mark = uuid.uuid4().hex
        self.secrets: dict[str, Mapping[str, bytes]] = {}
        self.volumes: list[Json] = []
        self.test: Json = {
            "image": "i",
            "command": ["bash", "-c", script],
            "env": [{"name": "MARK", "value": self.mark}],
        }
        self.beside: list[Json] = []
        """Further tests. With them, each has a name."""
        self.refs = refs
        self.extra_refs: list[Json] = []
        self.decoration: Json = {
            "timeout": "60s",
            "grace_period": "1s",
            "utility_images": IMAGES,
            "gcs_configuration": {"bucket": f"file://{self.bucket}", "path_strategy": "explicit"},
        }

    def secret(self, name: str, **data: bytes) -> None:
        """Give the namespace a secret."""
        self.secrets[name] = data

    def pod(self) -> Json:
        pull = {"org": "o", "repo": "r", "base_ref": "main", "pulls": [{"number": 5, "author": "a", "sha": "abc"}]}
        spec = {
            "type": "presubmit",
            "job": "faulty",
            "agent": "kubernetes",
            "refs": self.refs or pull,
            "extra_refs": self.extra_refs,
            "decoration_config": self.decoration | ({} if self.refs else {"skip_cloning": True}),
            "pod_spec": {"containers": [self.test, *self.beside], "volumes": self.volumes},
        }
        job = msgspec.convert({"metadata": {"name": "faulty", "uid": "u"}, "spec": spec}, ProwJob)
        return podspec.pod_for(job, "1", "default", 0)

    async def run(self, **settings: object) -> "Ended":
        """Run the pod to its end and stop the kubelet."""
        transport = direct.DirectTransport(World(SystemIds()), SystemClock())

        def of(kind: collection.Kind) -> KubeCollection:
            return KubeCollection(transport, "x", kind, "default")

        for name, data in self.secrets.items():
            encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
            metadata = {"name": name, "namespace": "default"}
            await targets.create(
                of(collection.SECRETS), {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}
            )
        pods = of(collection.PODS)
        access = Access(pods=lambda _: pods, secrets=lambda _: of(collection.SECRETS))
        async with running(pods, self.root, access, **settings):
            await targets.create(pods, self.pod())
            pod = await until(pods, "faulty", ended, patience_s=100.0)
        return Ended(self, pod)


class Ended:
    """A pod that has ended. Making one is a check that nothing of it is left."""

    def __init__(self, job: Job, pod: Json) -> None:
        self.phase = phase(pod)
        self.shown = json.dumps(pod["status"], indent=1)
        self.run = job.bucket / RUN
        self._pod = pod
        assert living(job.mark) == []
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        assert [place for place in mounts if place.startswith(f"{job.root}/")] == []

    def code(self, name: str = "test") -> int:
        return int(terminated(self._pod, name)["exitCode"])

    def is_over(self, passed: bool, result: str) -> None:
        """Check that finished.json, and the pod, say this."""
        finished = json.loads((self.run / "finished.json").read_text())
        assert (finished["passed"], finished["result"]) == (passed, result), self.shown
        assert self.phase == ("Succeeded" if passed else "Failed"), self.shown

    def log(self) -> bytes:
        return (self.run / "build-log.txt").read_bytes()

    def artifacts(self) -> dict[str, bytes]:
        folder = self.run / "artifacts"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
