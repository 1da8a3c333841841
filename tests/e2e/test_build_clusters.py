"""Build clusters that come, change and fall silent under a running controller manager: two real kube-apiservers, one of
them behind a door that can be bricked up.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import realkube
from tests.e2e import program

pytestmark = [pytest.mark.slow, *realkube.REAL]
CONFIG = """
prowjob_namespace: NAMESPACE
pod_namespace: default
plank: {pod_pending_timeout: 4s, pod_unscheduled_timeout: 1h}
"""


class Door:
    """A TCP proxy. Bricked up, it takes connections and never answers: what dropped packets look like to a client."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self.bricked = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            if self.bricked.is_set():
                continue
            server = socket.create_connection(self._target)
            self._open.append(server)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._copy, args=ends, daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            one.close()


@pytest.fixture
def far() -> Iterator[tuple[realkube.Server, Door]]:
    with realkube.running(users={"other": ("system:masters",)}, crd=False) as server:
        door = Door(server.url.partition("://")[2])
        yield server, door
        door.close()


class Controller:
    """`prow-async controller-manager` on a folder of kubeconfigs."""

    def __init__(self, folder: Path, near: realkube.Server) -> None:
        self._near = near
        self._folder = folder
        self.namespace = near.namespace("clusters")
        (folder / "config.yaml").write_text(CONFIG.replace("NAMESPACE", self.namespace))
        self.kubeconfigs = folder / "kubeconfigs"
        self.kubeconfigs.mkdir()
        self.write("near", near.url, near.tokens["admin"], near.ca, current=True)

    def write(self, name: str, url: str, token: str, ca: Path, current: bool = False) -> None:
        config = {
            "current-context": name if current else "",
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(ca)}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
        beside = self.kubeconfigs / "..new"
        beside.write_text(json.dumps(config))
        beside.rename(self.kubeconfigs / name)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        command = [
            str(program.PROGRAM),
            "controller-manager",
            f"--config-path={self._folder}/config.yaml",
            f"--kubeconfig-dir={self.kubeconfigs}",
            "--listen-host=127.0.0.1",
            "--metrics-port=0",
            "--health-port=0",
            "--dry-run=false",
        ]
        log = self._folder / "log"
        environ = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, env=environ) as process:
            try:
                yield
                assert process.poll() is None, log.read_text()[-3000:]
            finally:
                process.kill()

    def lines(self, message: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (self._folder / "log").read_text().splitlines()]
        return [line for line in found if line["msg"] == message]

    def start(self, name: str, cluster: str) -> None:
        spec = {
            "type": "periodic",
            "agent": "kubernetes",
            "cluster": cluster,
            "job": name,
            "pod_spec": {"containers": [{"name": "test", "image": "x", "command": ["true"]}]},
        }
        job = {"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": {"name": name}, "spec": spec}
        made = self._near.request("POST", f"/apis/prow.k8s.io/v1/namespaces/{self.namespace}/prowjobs", job)
        status = {"status": {"state": "triggered", "startTime": made["metadata"]["creationTimestamp"]}}
        self.patch(name, status)

    def patch(self, name: str, patch: Any) -> None:
        self._near.run_kubectl(
            "patch", "prowjob", name, f"--namespace={self.namespace}", "--type=merge", "--patch", json.dumps(patch)
        )

    def status(self, name: str) -> Any:
        path = f"/apis/prow.k8s.io/v1/namespaces/{self.namespace}/prowjobs/{name}"
        return self._near.request("GET", path).get("status") or {}

    def status_or_none(self, name: str) -> Any:
        try:
            return self.status(name)
        except realkube.Answered:
            return None

    def until(self, name: str, state: str) -> None:
        program.until(lambda: self.status(name).get("state") == state, f"{name} is {state}")


def test_a_cluster_that_never_answers_then_does(
    tmp_path: Path, real_kube: realkube.Server, far: tuple[realkube.Server, Door]
) -> None:
    """1. One of two clusters swallows packets from the start. 2. Jobs of the other start, its own end in error at their
    deadline. 3. It answers: it rejoins with no restart. 4. Its kubeconfig breaks: nothing changes. 5. Its token
    changes: watched anew, jobs run. 6. A third alias is added: jobs run there.
    """
    server, door = far
    door.bricked.set()
    prow = Controller(tmp_path, real_kube)
    url = f"https://127.0.0.1:{door.port}"
    prow.write("far", url, server.tokens["admin"], server.ca)
    with prow.running():
        prow.start("far-1", "far")
        prow.start("near-1", "near")
        prow.until("near-1", "pending")
        prow.until("far-1", "error")
        assert prow.status("far-1")["description"] == "Build cluster far could not be reached."
        assert prow.status("near-1")["state"] == "pending"
        door.bricked.clear()
        _runs(prow, server, "far", "far-2")
        (prow.kubeconfigs / "far").write_text("{")
        program.until(lambda: _problems(prow), "the broken file is told of")
        _runs(prow, server, "far", "far-3")
        assert len(_problems(prow)) == 1
        prow.write("far", url, server.tokens["other"], server.ca)
        program.until(lambda: _clusters(prow, "build cluster changed") == ["far"], "the new token")
        _runs(prow, server, "far", "far-4")
        prow.write("third", server.url, server.tokens["admin"], server.ca)
        program.until(lambda: _clusters(prow, "build cluster added") == ["third"], "the third")
        _runs(prow, server, "third", "third-1")


def _problems(prow: Controller) -> list[dict[str, Any]]:
    return prow.lines("kubeconfig does not read; what it said before stays in force")


def _clusters(prow: Controller, message: str) -> list[Any]:
    return [line["cluster"] for line in prow.lines(message)]


def _runs(prow: Controller, server: realkube.Server, cluster: str, name: str) -> None:
    """Start jobs there until one gets its pod, and play its kubelet."""

    def pending() -> str:
        for number in range(100):
            one = f"{name}-{number}"
            if prow.status_or_none(one) is None:
                prow.start(one, cluster)
            state = prow.status(one).get("state")
            if state != "error":
                return one if state == "pending" else ""
        raise AssertionError("a hundred jobs in error")

    one = program.until(pending, f"a job gets its pod in {cluster}")
    ended = {
        "name": "test",
        "image": "x",
        "imageID": "x",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-01-01T00:00:00Z"}},
    }
    status = {"status": {"phase": "Succeeded", "containerStatuses": [ended]}}
    server.run_kubectl("patch", "pod", one, "--subresource=status", "--type=merge", "--patch", json.dumps(status))
    prow.until(one, "success")
    assert re.fullmatch(r"\d+", prow.status(one)["build_id"])
