"""crier alone, beside a controller that is not ours: a real kube-apiserver, a folder for a bucket, Slack, Pub/Sub."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests import realkube
from tests.contract.outlet_servers import Server, serving
from tests.e2e import program

pytestmark = [pytest.mark.slow, *realkube.REAL]
CONFIG = """
prowjob_namespace: NAMESPACE
pod_namespace: NAMESPACE
plank:
  job_url_prefix_config: {"*": "https://prow.example/view/"}
  default_decoration_config_entries:
  - config:
      gcs_configuration: {bucket: "file://FOLDER/bucket", path_strategy: explicit}
      utility_images: {clonerefs: x, initupload: x, entrypoint: x, sidecar: x}
slack_reporter_configs:
  "*": {channel: ci, job_types_to_report: [periodic], job_states_to_report: [failure]}
"""
FOLDER = "logs/nightly/77"


class Crier:
    """The process, and everything around it."""

    def __init__(self, folder: Path, server: realkube.Server, slack: Server, pubsub: Server) -> None:
        self._folder = folder
        self._server = server
        self.namespace = server.namespace("crier")
        self.bucket = folder / "bucket"
        config = CONFIG.replace("NAMESPACE", self.namespace).replace("FOLDER", str(folder))
        (folder / "config.yaml").write_text(config)
        (folder / "slack-token").write_text("xoxb-1\n")
        self._environ = {**os.environ, "PUBSUB_EMULATOR_HOST": pubsub.host}
        self._command = [
            *(
                str(program.PROGRAM),
                "crier",
                f"--config-path={folder}/config.yaml",
                f"--kubeconfig={server.kubeconfig}",
            ),
            *("--listen-host=127.0.0.1", "--metrics-port=0", "--health-port=0"),
            *("--blob-storage-workers=1", "--kubernetes-blob-storage-workers=1", "--pubsub-workers=1"),
            *("--slack-workers=1", f"--slack-token-file={folder}/slack-token", f"--slack-endpoint={slack.url}"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        with (self._folder / "crier.log").open("ab") as log:
            self._process = subprocess.Popen([*self._command, *flags], stdout=log, stderr=log, env=self._environ)

    def end(self, kill: bool = False) -> int:
        assert self._process is not None
        (self._process.kill if kill else self._process.terminate)()
        return self._process.wait(60)

    def put(self, kind: str, body: Any) -> Any:
        path = {"prowjobs": "/apis/prow.k8s.io/v1", "pods": "/api/v1"}[kind]
        return self._server.request("POST", f"{path}/namespaces/{self.namespace}/{kind}", body)

    def set_status(self, **status: Any) -> None:
        patch = json.dumps({"status": status})
        self._server.run_kubectl("-n", self.namespace, "patch", "prowjob", "a", "--type=merge", "-p", patch)

    def read(self, kind: str) -> Any:
        return json.loads(self._server.run_kubectl("-n", self.namespace, "get", kind, "a", "-o", "json"))

    def reported(self) -> dict[str, str]:
        found: dict[str, str] = self.read("prowjob")["status"].get("prev_report_states", {})
        return found

    def file(self, name: str) -> Any:
        return json.loads((self.bucket / FOLDER / name).read_text())


@pytest.fixture
def slack() -> Iterator[Server]:
    with serving() as server:
        server.answer(200, {"ok": True})
        yield server


@pytest.fixture
def pubsub() -> Iterator[Server]:
    with serving() as server:
        server.answer(200, {"messageIds": ["1"]})
        yield server


@pytest.fixture
def crier(tmp_path: Path, real_kube: realkube.Server, slack: Server, pubsub: Server) -> Iterator[Crier]:
    made = Crier(tmp_path, real_kube, slack, pubsub)
    try:
        yield made
    finally:
        if made._process is not None and made._process.poll() is None:
            made.end(kill=True)


def begin(crier: Crier) -> None:
    """Let a periodic and its pod begin."""
    marks = {"prow.k8s.io/pubsub.project": "p", "prow.k8s.io/pubsub.topic": "t"}
    spec = {"type": "periodic", "agent": "kubernetes", "cluster": "default", "job": "nightly"}
    job = {"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": {"name": "a", "annotations": marks}}
    status = {"state": "triggered", "startTime": "2026-01-02T03:00:00Z"}
    crier.put("prowjobs", {**job, "spec": spec, "status": status})
    labels = {"created-by-prow": "true", "prow.k8s.io/id": "a"}
    container = {"name": "test", "image": "x"}
    pod = {"metadata": {"name": "a", "labels": labels}, "spec": {"containers": [container]}}
    crier.put("pods", {"apiVersion": "v1", "kind": "Pod", **pod})
    crier.set_status(state="pending", build_id="77", pod_name="a", pendingTime="2026-01-02T03:00:01Z")


def published(pubsub: Server) -> list[str]:
    bodies = [json.loads(base64.b64decode(json.loads(seen.body)["messages"][0]["data"])) for seen in pubsub.seen]
    return [f"{body['job_name']} {body['status']}" for body in bodies]


def test_a_life_over_two_processes(crier: Crier, slack: Server, pubsub: Server) -> None:
    """1. A job begins: its files, its message, its pod held. 2. kill -9. 3. It ends. 4. The next process tells
    exactly what is missing, lets the pod go, and ends well when asked.

    What may be told twice is recorded a minute later: see actors/doubts.
    """
    crier.start()
    begin(crier)
    everybody = ("gcsk8sreporter", "gcsreporter", "pubsub-reporter")
    program.until(lambda: crier.reported() == dict.fromkeys(everybody, "pending"), "recorded as pending")
    assert crier.file("prowjob.json")["status"]["state"] == "pending"
    assert crier.read("pod")["metadata"]["finalizers"] == ["prow.x-k8s.io/gcsk8sreporter"]
    assert published(pubsub) in (["nightly triggered", "nightly pending"], ["nightly pending"])
    assert slack.seen == []
    crier.end(kill=True)
    told = len(pubsub.seen)
    crier.set_status(state="failure", completionTime="2026-01-02T03:10:00Z", url="https://prow.example/view/file/x")
    crier.start()
    at_once = {"pubsub-reporter": "failure", "slackreporter": "failure"}
    program.until(lambda: at_once.items() <= crier.reported().items(), "recorded as failure")
    program.until(lambda: "finalizers" not in crier.read("pod")["metadata"], "the pod let go")
    program.until(lambda: (crier.bucket / FOLDER / "finished.json").exists(), "the end stored")
    assert published(pubsub)[told:] == ["nightly failure"]
    (message,) = slack.seen
    form = parse_qs(message.body.decode())
    assert (form["channel"], form["token"]) == (["ci"], ["xoxb-1"])
    assert form["text"][0].startswith("Job nightly of type periodic ended with state failure.")
    assert crier.file("finished.json")["result"] == "failure"
    assert crier.file("podinfo.json")["pod"]["metadata"]["name"] == "a"
    assert (crier.bucket / "logs/nightly/latest-build.txt").read_text() == "77"
    assert crier.end() == 0


def test_dry_run(crier: Crier, slack: Server, pubsub: Server) -> None:
    """Nothing is written anywhere, and the log says what would be."""
    crier.start("--dry-run")
    begin(crier)
    log = crier._folder / "crier.log"
    program.until(lambda: log.read_text().count('"msg":"would be reported"') >= 3, "would be reported")
    assert crier.end() == 0
    assert (slack.seen, pubsub.seen, crier.bucket.exists(), crier.reported()) == ([], [], False, {})
    assert "finalizers" not in crier.read("pod")["metadata"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "no reporter is on"),
        (("--resultstore-workers=1",), "do not exist yet"),
        (("--slack-workers=1",), "--slack-token-file"),
        (("--slack-workers=1", "--additional-slack-token-files=x"), "write HOST=PATH"),
        (("--slack-workers=1", "--slack-token-file=/nowhere/x"), "cannot be read"),
        (("--blob-storage-workers=1", "--kubernetes-report-fraction=2"), "0 to 1"),
        (("--blob-storage-workers=1", "--s3-credentials-file=/nowhere/x"), "does not exist"),
    ],
)
def test_wrong_flags(tmp_path: Path, real_kube: realkube.Server, flags: tuple[str, ...], said: str) -> None:
    """One line says what is wrong; exit code 2."""
    (tmp_path / "config.yaml").write_text('slack_reporter_configs: {"*": {channel: c}}')
    shared = (f"--config-path={tmp_path}/config.yaml", f"--kubeconfig={real_kube.kubeconfig}")
    ended = program.run("crier", *shared, *flags)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
