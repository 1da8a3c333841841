"""A real API server takes everything under deploy/: on trial and for real, and its admission lets the pods in."""

import base64
import copy
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prow_async.adapters.kube import clusters
from tests import realkube
from tests.deploy import manifests

pytestmark = [pytest.mark.slow, *realkube.REAL]
OPERATOR = {"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"}
SETS = {
    "split": ("overlays/split", "github-token", "monitoring"),
    "split-app": ("overlays/split", "github-app", "remote-clusters"),
    "all-in-one": ("overlays/all-in-one", "github-token", "monitoring"),
    "all-in-one-app": ("overlays/all-in-one", "github-app"),
    "remote": ("build-cluster/remote",),
}


@pytest.fixture(scope="module")
def empty() -> Iterator[realkube.Server]:
    """A cluster with nothing in it but the Prometheus operator's two kinds (of which no schema is at hand)."""
    with realkube.running(crd=False) as server:
        for plural, kind in OPERATOR.items():
            server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _definition(plural, kind))
        yield server


def _definition(plural: str, kind: str) -> dict[str, Any]:
    """The least that the API server stores these objects for. What is in them is looked at in test_monitoring."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "required": ["spec"], "properties": {"spec": free}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind}
    spec = {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": f"{plural}.monitoring.coreos.com"}, "spec": spec}


@pytest.mark.parametrize("what", SETS)
def test_it_is_taken(empty: realkube.Server, tmp_path: Path, what: str) -> None:
    """1. On trial, by the server's own rules, no field unknown. 2. For real. 3. Once more: nothing changes."""
    manifest = tmp_path / "all.yaml"
    manifest.write_text(manifests.text(*SETS[what]))
    # On trial nothing is made, so what the others stand in must be there before.
    for name in ("prow", "test-pods"):
        empty.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    apply = ["apply", "--server-side", "--validate=strict", "-f", str(manifest)]
    trial = empty.run_kubectl(*apply, "--dry-run=server")
    objects = manifests.build(*SETS[what])
    assert trial.count("(server dry run)") == len(objects)
    assert empty.run_kubectl(*apply).count("serverside-applied") == len(objects)
    before = json.loads(empty.run_kubectl("get", "-f", str(manifest), "-o", "json"))
    empty.run_kubectl(*apply)
    after = json.loads(empty.run_kubectl("get", "-f", str(manifest), "-o", "json"))
    assert [one["metadata"]["resourceVersion"] for one in before["items"]] == [
        one["metadata"]["resourceVersion"] for one in after["items"]
    ]


@pytest.mark.parametrize("what", ["split", "split-app", "all-in-one", "all-in-one-app"])
def test_admission_lets_the_pods_in(empty: realkube.Server, tmp_path: Path, what: str) -> None:
    """No controller makes pods here: what one would make of each template is asked for; then one wish more."""
    manifest = tmp_path / "all.yaml"
    manifest.write_text(manifests.text(*SETS[what]))
    empty.run_kubectl("apply", "--server-side", "-f", str(manifest))
    pods = "/api/v1/namespaces/prow/pods?dryRun=All&fieldValidation=Strict"
    for component, workload in manifests.workloads(manifests.build(*SETS[what])).items():
        spec = copy.deepcopy(workload["spec"]["template"]["spec"])
        for claim in workload["spec"].get("volumeClaimTemplates", ()):
            name = claim["metadata"]["name"]
            spec["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-0"}})
        pod = {"metadata": {"name": component}, "spec": spec}
        empty.request("POST", pods, pod)
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(realkube.Answered, match="violates PodSecurity"):
            empty.request("POST", pods, pod)


def test_a_kubeconfig_for_a_remote_cluster(empty: realkube.Server, tmp_path: Path) -> None:
    """The script's output lets a component do what its account may over there, and nothing else. Missing: one line."""
    manifest = tmp_path / "all.yaml"
    manifest.write_text(manifests.text("build-cluster/remote"))
    empty.run_kubectl("apply", "--server-side", "-f", str(manifest))
    script = manifests.DEPLOY / "build-cluster" / "kubeconfig.sh"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        path = f"{empty.kubectl.parent}:{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(empty.kubeconfig), "PATH": path}
        return subprocess.run([script, *arguments], env=environment, capture_output=True, text=True, check=False)

    early = run("real", "sinker")
    assert (early.returncode, len(early.stderr.splitlines())) == (1, 1)
    # The controller that fills in such Secrets does not run here.
    token = empty.service_account_token("test-pods", "prow-async-sinker")
    data = {"token": _base64(token.encode()), "ca.crt": _base64(empty.ca.read_bytes())}
    secret = "/api/v1/namespaces/test-pods/secrets/prow-async-sinker-token"
    empty.request("PATCH", secret, {"data": data}, content_type="application/merge-patch+json")
    made = run("real", "sinker", "arm")
    assert made.returncode == 0, made.stderr
    (tmp_path / "arm").write_text(made.stdout)
    found = clusters.find(clusters.Flags(kubeconfig_dir=str(tmp_path), kubeconfig_suffix="arm"), environ={})
    assert "arm" in found

    def may(*what: str) -> bool:
        command = [str(empty.kubectl), f"--kubeconfig={tmp_path}/arm", "auth", "can-i", *what]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "yes"

    assert may("delete", "pods", "--namespace=test-pods")
    assert not may("create", "pods", "--namespace=test-pods")
    assert not may("delete", "pods", "--namespace=default")
    assert run().returncode == 2


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
