"""A decorated job from its configuration to what lies in its bucket: mkpj, mkpod, the kubelet, all pod utilities."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import yaml

from prow_async.adapters.clock import SystemClock, SystemIds
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from tests import githttp, gitrepo
from tests.contract import kube_targets as targets
from tests.contract.kubelet_parts import ended, phase, running, terminated, until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CONFIG = """
plank:
  default_decoration_config_entries:
  - config:
      timeout: 2m
      grace_period: 5s
      utility_images:
        clonerefs: example.invalid/prow/clonerefs:v1
        initupload: example.invalid/prow/initupload:v1
        entrypoint: example.invalid/prow/entrypoint:v1
        sidecar: example.invalid/prow/sidecar:v1
      gcs_configuration: {{bucket: "{bucket}", path_strategy: explicit}}
"""
SCRIPT = """
echo hello from $JOB_NAME; pwd; cat code; echo made > $ARTIFACTS/made.txt; touch /logs/seen
test "$GOPATH" = /home/prow/go || echo another GOPATH; exit {code}
"""


class Job:
    """A postsubmit of a repository served over HTTP, and the bucket it uploads to."""

    def __init__(self, folder: Path, url: str, sha: str) -> None:
        self.folder = folder
        self.bucket = folder / "bucket"
        self._url = url
        self._sha = sha

    def pod(self, code: int, *flags: str) -> targets.Json:
        """Return the pod that `prow-async mkpj ... | prow-async mkpod` makes."""
        self.bucket.mkdir()
        command = {"command": ["sh", "-c", SCRIPT.format(code=code)], "image": "example.invalid/go:1"}
        job = {"name": "decorated", "decorate": True, "clone_uri": self._url, "spec": {"containers": [command]}}
        (self.folder / "config.yaml").write_text(CONFIG.format(bucket=f"file://{self.bucket}"))
        (self.folder / "jobs.yaml").write_text(yaml.safe_dump({"postsubmits": {"o/r": [job]}}))
        made = self._run(
            "mkpj",
            f"--config-path={self.folder}/config.yaml",
            f"--job-config-path={self.folder}/jobs.yaml",
            "--job=decorated",
            "--base-ref=main",
            f"--base-sha={self._sha}",
        )
        pod: targets.Json = yaml.safe_load(self._run("mkpod", "--prow-job=-", "--build-id=1", *flags, text=made))
        return pod

    def _run(self, *arguments: str, text: str = "") -> str:
        command = [sys.executable, "-m", "prow_async", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    origins = tmp_path / "origins"
    origins.mkdir()
    origin = gitrepo.Origin(origins)
    sha = origin.commit({"code": "the code\n"})
    gitrepo.git(origin.folder, "update-ref", "refs/heads/main", sha)
    with githttp.serving(origins) as server:
        yield Job(tmp_path, f"{server.url}/o/r.git", sha)


async def outcome(tmp_path: Path, wanted: targets.Json, **settings: object) -> targets.Json:
    pods = KubeCollection(direct.DirectTransport(World(SystemIds()), SystemClock()), "x", collection.PODS, "default")
    wanted["metadata"]["namespace"] = "default"
    async with running(pods, tmp_path / "pods", **settings):
        await targets.create(pods, wanted)
        return await until(pods, wanted["metadata"]["name"], ended)


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("code", [0, 3])
async def test_a_decorated_job(job: Job, tmp_path: Path, code: int, isolate: bool) -> None:
    """Its code is cloned, its test wrapped, all uploaded; also where paths are rewritten for want of namespaces."""
    wanted = await anyio.to_thread.run_sync(job.pod, code)
    found = await outcome(tmp_path, wanted, isolate=isolate)
    told = json.dumps(found["status"], indent=1)
    assert phase(found) == ("Failed" if code else "Succeeded"), told
    for name in ("clonerefs", "initupload", "place-entrypoint", "sidecar"):
        assert terminated(found, name)["exitCode"] == 0, told
    assert terminated(found, "test")["exitCode"] == code
    run = job.bucket / "logs" / "decorated" / "1"
    finished = json.loads((run / "finished.json").read_text())
    assert (finished["passed"], finished["result"]) == ((False, "FAILURE") if code else (True, "SUCCESS"))
    assert (run / "artifacts" / "made.txt").read_text() == "made\n"
    lines = (run / "build-log.txt").read_text().splitlines()
    assert lines[0] == "hello from decorated"
    assert lines[1].endswith("/src/github.com/o/r")
    assert lines[2] == "the code"
    assert {"started.json", "clone-records.json", "clone-log.txt"} <= {path.name for path in run.iterdir()}
    if isolate:
        assert lines[1] == "/home/prow/go/src/github.com/o/r"
        assert "another GOPATH" not in lines


async def test_a_local_run_keeps_its_results_here(job: Job, tmp_path: Path) -> None:
    """`mkpod --local --out-dir`: the folder is mounted where the kubelet allows it, and nothing is uploaded."""
    out = tmp_path / "out"
    out.mkdir()
    wanted = await anyio.to_thread.run_sync(job.pod, 0, "--local", f"--out-dir={out}")
    found = await outcome(tmp_path, wanted, host_paths=(str(out),))
    assert phase(found) == "Succeeded", json.dumps(found["status"], indent=1)
    assert [path.read_text() for path in out.rglob("made.txt")] == ["made\n"]
    assert list(job.bucket.iterdir()) == []
