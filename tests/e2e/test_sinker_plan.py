"""`sinker --run-once` as an operator runs it, on a real kube-apiserver."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests import realkube
from tests.e2e import program

pytestmark = [pytest.mark.slow, *realkube.REAL]
CONFIG = """
prowjob_namespace: NAMESPACE
pod_namespace: NAMESPACE
sinker: {max_prowjob_age: 1h, max_pod_age: 1h, terminated_pod_ttl: 1h}
"""
LONG_AGO = "2026-01-02T03:04:05Z"


def sinker(folder: Path, *flags: str) -> str:
    """Run it once; return what it prints."""
    command = [
        str(program.PROGRAM),
        "sinker",
        "--run-once",
        f"--config-path={folder}/config.yaml",
        f"--kubeconfig-dir={folder}/kubeconfigs",
        *flags,
    ]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environ, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_plan_then_a_sweep(tmp_path: Path, real_kube: realkube.Server) -> None:
    """1. The plan tells every object with its reason, and the cluster that does not answer; nothing is touched. 2. The
    sweep does what the plan said. 3. Then there is nothing left to do.
    """
    namespace = real_kube.namespace("sinker")
    (tmp_path / "kubeconfigs").mkdir()
    (tmp_path / "config.yaml").write_text(CONFIG.replace("NAMESPACE", namespace))
    real_kube.write_kubeconfig(tmp_path / "kubeconfigs" / "near", real_kube.tokens["admin"], "near")
    jobs = f"/apis/prow.k8s.io/v1/namespaces/{namespace}/prowjobs"
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for name, more in (("old", {"completionTime": LONG_AGO}), ("going", {})):
        spec = {"type": "periodic", "agent": "kubernetes", "cluster": "near", "job": f"job-{name}"}
        job = {"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": {"name": name}, "spec": spec}
        status = {"startTime": LONG_AGO, "state": "success" if more else "pending", **more}
        real_kube.request("POST", jobs, {**job, "status": status})
        labels = {"created-by-prow": "true", "prow.k8s.io/id": name}
        pod = {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        real_kube.request("POST", pods, pod)

    def names(path: str) -> list[str]:
        return sorted(item["metadata"]["name"] for item in real_kube.request("GET", path)["items"])

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dead = {
            "clusters": [{"name": "dead", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
            "users": [{"name": "dead", "user": {"token": "t"}}],
            "contexts": [{"name": "dead", "context": {"cluster": "dead", "user": "dead"}}],
        }
        (tmp_path / "kubeconfigs" / "dead").write_text(json.dumps(dead))
        told = sinker(tmp_path)
    assert "cluster dead is left out: " in told
    assert f"delete ProwJob {namespace}/old  aged-periodic: job-old: complete, started " in told
    assert f"delete pod {namespace}/old in near  ttled: old: its ProwJob completed " in told
    assert "going" not in told
    assert (names(jobs), names(pods)) == (["going", "old"], ["going", "old"])
    (tmp_path / "kubeconfigs" / "dead").unlink()
    told = sinker(tmp_path, "--dry-run=false")
    assert len(told.splitlines()) == 2
    assert (names(jobs), names(pods)) == (["going"], ["going"])
    assert sinker(tmp_path) == "nothing to sweep\n"
