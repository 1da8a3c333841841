"""The controller manager on the real kube-apiserver: limits hold through kill -9, and whoever waits is told why."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import realkube
from tests.e2e import program
from tests.ports import free_port

pytestmark = [pytest.mark.slow, *realkube.REAL]
CONFIG = """
prowjob_namespace: NAMESPACE
pod_namespace: NAMESPACE
plank: {job_queue_capacities: {few: 2, shut: 0}, build_cluster_status_file: "file://FOLDER/status.json"}
scheduler: {enabled: true, failover: {mappings: {gone: default}}}
"""
LIMIT = 2


class Manager:
    """The program, started again and again."""

    def __init__(self, folder: Path, server: realkube.Server, namespace: str) -> None:
        self.server, self.namespace = server, namespace
        self._folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG.replace("NAMESPACE", namespace).replace("FOLDER", str(folder)))
        self.running: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        log = self._folder / "log"
        log.write_bytes(b"")
        flags = [f"--config-path={self.config}", f"--kubeconfig={self.server.kubeconfig}", "--listen-host=127.0.0.1"]
        flags += ["--enable-controller=plank", "--enable-controller=scheduler", "--dry-run=false"]
        self.port = self.port or free_port()
        command = [str(program.PROGRAM), "controller-manager", *flags, f"--metrics-port={self.port}", "--health-port=0"]
        with log.open("ab") as file:
            self.running = subprocess.Popen(command, stdout=file, stderr=file)
        program.until(lambda: b'"msg":"started"' in log.read_bytes(), "started")

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.wait()
            self.running = None

    def explain(self, name: str, *flags: str) -> str:
        asked = flags or (f"--endpoint=http://127.0.0.1:{self.port}",)
        done = subprocess.run(
            [program.PROGRAM, "explain", name, *asked], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, name: str, state: str = "triggered", **spec: Any) -> None:
        container = {"name": "test", "image": "example.invalid/x", "command": ["true"]}
        wanted = {"type": "periodic", "job": "unit", "agent": "kubernetes", "cluster": "default", **spec}
        self.server.request(
            "POST",
            f"/apis/prow.k8s.io/v1/namespaces/{self.namespace}/prowjobs",
            {
                "apiVersion": "prow.k8s.io/v1",
                "kind": "ProwJob",
                "metadata": {"name": name, "labels": {"created-by-prow": "true"}},
                "spec": {**wanted, "pod_spec": {"containers": [container]}},
                "status": {"startTime": "2026-01-02T03:04:05Z", "state": state},
            },
        )

    def jobs(self) -> dict[str, Any]:
        path = f"/apis/prow.k8s.io/v1/namespaces/{self.namespace}/prowjobs"
        return {job["metadata"]["name"]: job for job in self.server.request("GET", path)["items"]}

    def pods(self) -> list[str]:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return [pod["metadata"]["name"] for pod in self.server.request("GET", path)["items"]]

    def ends(self, name: str, **status: Any) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/status"
        self.server.request("PATCH", path, {"status": {"phase": "Succeeded", **status}})

    def state(self, name: str) -> str:
        return str(self.jobs()[name]["status"]["state"])

    def open_pods(self) -> list[str]:
        """Name the pods of jobs that are not complete. Pods are read first: a job completes, never the other way."""
        pods, jobs = self.pods(), self.jobs()
        return [name for name in pods if "completionTime" not in jobs[name]["status"]]


@pytest.fixture
def manager(tmp_path: Path, real_kube: realkube.Server) -> Iterator[Manager]:
    made = Manager(tmp_path, real_kube, real_kube.namespace("slots"))
    try:
        yield made
    finally:
        made.kill()


def test_limits_hold_through_kill_nine(manager: Manager) -> None:
    """1. Twelve jobs, a queue of two. 2. The manager is killed again and again. 3. Never three at once; all end."""
    names = [f"j{at:02}" for at in range(12)]
    for name in names:
        manager.put(name, job_queue_name="few")
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            seen.append(len(manager.open_pods()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        done: set[str] = set()
        while len(done) < len(names):
            manager.start()
            running = program.until(lambda: [n for n in manager.open_pods() if n not in done], "something runs")
            for name in running[:1]:
                manager.ends(name)
                done.add(name)
            if len(done) % 3 == 0:
                program.until(lambda: all(manager.state(n) == "success" for n in done), "results")
            manager.kill()
        manager.start()
        program.until(lambda: all(manager.state(name) == "success" for name in names), "all succeed")
    finally:
        over.set()
        watcher.join()
    assert max(seen) == LIMIT
    assert sorted(manager.pods()) == names


def test_whoever_waits_is_told_why(manager: Manager) -> None:
    """The running process and the clusters alone give the same answer; nothing is written for it."""
    manager.put("a", max_concurrency=1)
    manager.start()
    program.until(lambda: manager.state("a") == "pending", "a runs")
    manager.put("b", max_concurrency=1)
    manager.put("c", job="other", job_queue_name="shut")
    why = "waits     1st of 1 in line: max_concurrency of job unit is 1, and a holds slots"
    program.until(lambda: why in manager.explain("b"), "the reason")
    version = manager.jobs()["b"]["metadata"]["resourceVersion"]
    direct = (f"--kubeconfig={manager.server.kubeconfig}", f"--config-path={manager.config}")
    assert why in manager.explain("b", *direct)
    assert "its queue shut is closed: its capacity is 0" in manager.explain("c", *direct)
    assert manager.jobs()["b"]["metadata"]["resourceVersion"] == version
    status_file = manager.config.with_name("status.json")
    program.until(status_file.is_file, "the status file")
    assert json.loads(status_file.read_text()) == {"default": "Reachable", "real": "Reachable"}
    status, page = program.get(f"http://127.0.0.1:{manager.port}/slots")
    assert (status, page.splitlines()[0]) == (200, b"slots held: 1; jobs that wait: 2")
    gone = subprocess.run(
        [program.PROGRAM, "explain", f"--endpoint=http://127.0.0.1:{manager.port}", "nobody"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert gone.returncode == 2
    assert gone.stderr.strip().endswith("answers 404: There is no such ProwJob.")


def test_from_scheduling_to_a_classed_failure(manager: Manager) -> None:
    """1. The scheduler moves a job off a cluster that is gone. 2. It fails: the class is a label, in the last patch.

    No account is kept of who manages its fields.
    """
    manager.put("a", state="scheduling", cluster="gone")
    assert manager.jobs()["a"]["metadata"]["managedFields"]
    manager.start()
    program.until(lambda: manager.state("a") == "pending", "scheduled and started")
    ended = {"exitCode": 1, "finishedAt": "2026-01-02T03:04:05Z", "reason": "Error"}
    container = {"name": "test", "ready": False, "restartCount": 0, "image": "x", "imageID": ""}
    manager.ends("a", phase="Failed", containerStatuses=[{**container, "state": {"terminated": ended}}])
    program.until(lambda: manager.state("a") == "failure", "failed")
    job = manager.jobs()["a"]
    assert job["spec"]["cluster"] == "default"
    assert job["metadata"]["labels"]["prow-async.dev/failure-class"] == "test-failed"
    assert "completionTime" in job["status"]
    assert "managedFields" not in job["metadata"]
