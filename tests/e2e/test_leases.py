"""Two controller-managers on a real kube-apiserver: who leads, and how the other comes to lead."""

import json
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests import realkube
from tests.e2e import program
from tests.e2e.test_components import Installation, Outside, split  # noqa: F401 - a fixture

pytestmark = [pytest.mark.slow, *realkube.REAL]
LOCK = "prow-controller-manager-leader-lock"
ONE, TWO = "controller-manager-1", "controller-manager-2"


class Cluster:
    """What a person sees with kubectl."""

    def __init__(self, server: realkube.Server, namespace: str) -> None:
        self._server = server
        self._namespace = namespace
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._jobs = f"/apis/prow.k8s.io/v1/namespaces/{namespace}/prowjobs"

    def lease(self) -> Any:
        return self._server.request("GET", f"{self._leases}/{LOCK}")["spec"]

    def put_lease(self, spec: dict[str, Any]) -> None:
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LOCK}, "spec": spec}
        self._server.request("POST", self._leases, body)

    def run_job(self) -> str:
        """Create a ProwJob as mkpj does."""
        name = str(uuid.uuid4())
        spec = {
            "type": "periodic",
            "agent": "kubernetes",
            "cluster": "default",
            "job": "by-hand",
            "pod_spec": {"containers": [{"name": "test", "image": "x", "command": ["true"]}]},
        }
        status = {"state": "triggered", "startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        body = {
            "apiVersion": "prow.k8s.io/v1",
            "kind": "ProwJob",
            "metadata": {"name": name},
            "spec": spec,
            "status": status,
        }
        self._server.request("POST", self._jobs, body)
        return name

    def state(self, name: str) -> str:
        return str(self._server.request("GET", f"{self._jobs}/{name}")["status"]["state"])

    def jobs(self) -> dict[str, Any]:
        return {job["metadata"]["name"]: job["status"] for job in self._server.request("GET", self._jobs)["items"]}

    def pods(self) -> list[str]:
        items = self._server.request("GET", f"/api/v1/namespaces/{self._namespace}/pods")["items"]
        return [pod["metadata"]["name"] for pod in items]

    def finishes(self, name: str) -> None:
        program.until(lambda: self.state(name) == "success", f"{name} succeeds")


@pytest.fixture
def prow(split: tuple[Installation, Outside], real_kube: realkube.Server) -> tuple[Installation, Cluster]:  # noqa: F811
    made, _ = split
    return made, Cluster(real_kube, made.namespace)


def leads(prow: Installation, name: str) -> bool:
    """Say whether a process's last word on the matter is that it leads."""
    words = [line["msg"] for line in prow.lines(name) if line["msg"] in {"leading", "no longer leading: standing by"}]
    return words[-1:] == ["leading"]


def test_two_replicas_hand_over(prow: tuple[Installation, Cluster]) -> None:
    """1. One leads, both run. 2. kill -9: the other takes over and works. 3. SIGTERM: the next takes over at once."""
    made, cluster = prow
    made.start("controller-manager", seat="-1")
    program.until(lambda: leads(made, ONE), "the first leads")
    made.start("controller-manager", seat="-2")
    cluster.finishes(cluster.run_job())
    holder = cluster.lease()["holderIdentity"]
    assert not leads(made, TWO)

    made.kill(ONE)
    waiting = cluster.run_job()
    program.until(lambda: leads(made, TWO), "the second leads")
    cluster.finishes(waiting)
    spec = cluster.lease()
    assert spec["holderIdentity"] != holder
    assert (spec["leaseTransitions"], spec["leaseDurationSeconds"]) == (1, 8)

    made.start("controller-manager", seat="-1")
    made.running[TWO].terminate()
    assert made.running.pop(TWO).wait(40) == 0
    program.until(lambda: leads(made, ONE), "the first leads again")
    assert cluster.lease()["leaseTransitions"] == 2
    cluster.finishes(cluster.run_job())

    made.running[ONE].terminate()
    assert made.running.pop(ONE).wait(40) == 0
    spec = cluster.lease()
    assert (spec.get("holderIdentity") or "", spec["leaseDurationSeconds"]) == ("", 1)


def test_a_leader_that_stood_still(prow: tuple[Installation, Cluster]) -> None:
    """1. The leader is stopped (SIGSTOP); the other takes over and finishes its jobs. 2. It goes on, and stands by."""
    made, cluster = prow
    made.start("controller-manager", seat="-1")
    program.until(lambda: leads(made, ONE), "the first leads")
    made.start("controller-manager", seat="-2")
    names = [cluster.run_job() for _ in range(5)]
    made.running[ONE].send_signal(signal.SIGSTOP)
    try:
        names += [cluster.run_job() for _ in range(5)]
        program.until(lambda: leads(made, TWO), "the second leads")
        for name in names:
            cluster.finishes(name)
        ended = cluster.jobs()
    finally:
        made.running[ONE].send_signal(signal.SIGCONT)
    program.until(lambda: not leads(made, ONE), "the first stands by")
    names.append(cluster.run_job())
    cluster.finishes(names[-1])
    assert leads(made, TWO)
    later = cluster.jobs()
    assert {name: later[name] for name in ended} == ended
    pods = cluster.pods()
    assert sorted(pods) == sorted(names)


def test_upstream_holds_the_lock(prow: tuple[Installation, Cluster]) -> None:
    """A holder in upstream's shape: ours waits, ready, until the Lease has not changed for as long as it says."""
    made, cluster = prow
    stamp = "2026-01-01T00:00:00.000000Z"
    cluster.put_lease(
        {
            "holderIdentity": f"prow-controller-manager-7d9c-x2x_{uuid.uuid4()}",
            "leaseDurationSeconds": 15,
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": 7,
        }
    )
    made.start("controller-manager", seat="-1")
    waiting = cluster.run_job()
    program.until(lambda: b"standing by" in made.log(ONE), "it stands by")
    time.sleep(5)
    assert cluster.state(waiting) == "triggered"
    assert "held by prow-controller-manager-7d9c-x2x_" in json.dumps(made.lines(ONE))
    program.until(lambda: leads(made, ONE), "it leads")
    assert cluster.lease()["leaseTransitions"] == 8
    cluster.finishes(waiting)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--leader-elect-lease-duration=5s"], "the renew deadline must be shorter than the lease duration"),
        (["--leader-elect-lease-duration=8500ms"], "the lease duration must be whole seconds"),
        (["--leader-elect-retry-period=0s"], "the retry period must be longer than 0"),
    ],
)
def test_times_that_do_not_fit(tmp_path: Path, flags: list[str], words: str) -> None:
    """One line, exit 2."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}],
                "users": [{"name": "a", "user": {"token": "t"}}],
            }
        )
    )
    (tmp_path / "config.yaml").write_text("{}")
    ended = program.run(
        "controller-manager", f"--config-path={tmp_path}/config.yaml", f"--kubeconfig={kubeconfig}", *flags
    )
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
