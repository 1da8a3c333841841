"""The manifests of deploy/ as kustomize makes them, and questions to ask them."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from tests.tools import install

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPONENTS = ("hook", "controller-manager", "crier", "horologium", "sinker")
Object: TypeAlias = dict[str, Any]
Verb: TypeAlias = tuple[str, str, str]
"""Namespace, resource with its group (`leases.coordination.k8s.io`, `pods`), verb."""


@lru_cache
def build(overlay: str, *components: str) -> tuple[Object, ...]:
    """Return the objects of an overlay with components, as a person's own kustomization would have them."""
    return tuple(yaml.safe_load_all(text(overlay, *components)))


@lru_cache
def text(overlay: str, *components: str) -> str:
    """Return the same as YAML."""
    with tempfile.TemporaryDirectory(prefix="prow-async-deploy-") as folder:
        shutil.copytree(DEPLOY, Path(folder) / "deploy")
        own = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"deploy/{overlay}"],
            "components": [f"deploy/components/{name}" for name in components],
            "images": [{"name": "prow-async", "newName": "registry.example/prow-async", "newTag": "v1"}],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(own))
        return kustomize(Path(folder))


def kustomize(folder: Path) -> str:
    """Run kustomize, which must have nothing to complain of; return what it makes."""
    if os.environ.get(install.SKIP) == "1":
        pytest.skip(f"{install.SKIP}=1: kubectl is not built")
    command = [str(install.ensure() / "kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def one(objects: Sequence[Object], kind: str, name: str, namespace: str = "prow") -> Object:
    found = [
        each
        for each in of_kind(objects, kind)
        if each["metadata"]["name"] == name and each["metadata"].get("namespace", "") == namespace
    ]
    assert len(found) == 1, f"{kind} {namespace}/{name}: {len(found)}"
    return found[0]


def workloads(objects: Sequence[Object]) -> dict[str, Object]:
    """Return Deployments and StatefulSets by their component."""
    found = of_kind(objects, "Deployment", "StatefulSet")
    return {each["metadata"]["labels"]["app.kubernetes.io/component"]: each for each in found}


def container(workload: Object) -> Object:
    only: list[Object] = workload["spec"]["template"]["spec"]["containers"]
    assert len(only) == 1
    return only[0]


def granted(objects: Sequence[Object], account: str, namespace: str = "prow") -> set[Verb]:
    """Return what a service account may do."""
    return {verb for role, place in _roles(objects, account, namespace) for verb in _verbs(role, place)}


def _roles(objects: Sequence[Object], account: str, namespace: str) -> Iterator[tuple[Object, str]]:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        assert binding["kind"] == "RoleBinding", "nobody needs rights in a whole cluster"
        if subject in binding["subjects"]:
            place = binding["metadata"]["namespace"]
            yield one(objects, binding["roleRef"]["kind"], binding["roleRef"]["name"], place), place


def _verbs(role: Object, place: str) -> Iterator[Verb]:
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    assert "*" not in {group, resource, verb}
                    yield place, f"{resource}.{group}".rstrip("."), verb
