"""What a person looks at, waits for and deletes with kubectl, on the embedded server as on the real one."""

from pathlib import Path

import anyio
import msgspec
import pytest

from tests.contract import kube_targets as targets
from tests.contract.conftest import HTTP
from tests.contract.kube_targets import Json, Target
from tests.contract.kubectl import WITHIN_S, Kubectl
from tests.contract.test_kube_definitions import definition

# kubectl comes with the real server's programs, so all of this needs them.
pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def kubectl(served_kube: Target, tmp_path: Path) -> Kubectl:
    return Kubectl(served_kube, tmp_path / "cache")


async def test_what_the_server_is(kubectl: Kubectl) -> None:
    """Version, address, kinds, and who one is."""
    assert "Server Version: v1." in await kubectl("version")
    assert "Kubernetes control plane" in await kubectl("cluster-info")
    kinds = (await kubectl("api-resources", "-o", "name")).split()
    assert {"pods", "configmaps", "prowjobs.prow.k8s.io", "leases.coordination.k8s.io"} <= set(kinds)
    assert {"prow.k8s.io/v1", "v1"} <= set((await kubectl("api-versions")).split())
    assert (await kubectl("auth", "can-i", "delete", "pods")).strip() == "yes"
    assert (await kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")) == "admin"
    assert "*.*" in await kubectl("auth", "can-i", "--list")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("pods", ["KIND:       Pod", "spec\t<PodSpec>", "status\t<PodStatus>"]),
        ("pods.spec.containers.env", ["FIELD: env <[]EnvVar>", "value\t<string>"]),
        ("prowjobs.spec", ["GROUP:      prow.k8s.io", "FIELD: spec <Object>", "max_concurrency\t<integer>"]),
        ("prowjobs.metadata.labels", ["FIELD: labels <map[string]string>"]),
    ],
)
async def test_explain(kubectl: Kubectl, path: str, words: list[str]) -> None:
    """Every field's type, by the built-in models or by the definition."""
    told = await kubectl("explain", path)
    assert [word for word in words if word not in told] == [], told


async def test_get_in_columns(served_kube: Target, kubectl: Kubectl) -> None:
    """Columns of one's own, wide ones, sorted, with labels."""
    for name, image in (("b", "x:1"), ("a", "x:2")):
        content = targets.pod(name, {"team": name}, nodeName="node-1")
        content["spec"]["containers"][0]["image"] = f"example.invalid/{image}"
        await targets.create(served_kube.pods, content)
    columns = "custom-columns=NAME:.metadata.name,IMAGE:.spec.containers[0].image"
    rows = (await kubectl("get", "pods", "-o", columns, "--sort-by=.spec.containers[0].image")).splitlines()
    assert [row.split() for row in rows] == [
        ["NAME", "IMAGE"], ["b", "example.invalid/x:1"], ["a", "example.invalid/x:2"]
    ]  # fmt: skip
    header, first, _ = (await kubectl("get", "pods", "-o", "wide")).splitlines()
    assert header.split()[5:7] == ["IP", "NODE"]
    assert first.split()[6] == "node-1"
    assert (await kubectl("get", "pods", "-L", "team", "--no-headers")).splitlines()[0].split()[-1] == "a"
    assert await kubectl("get", "pods", "--field-selector", "metadata.name=b", "-o", "name") == "pod/b\n"


async def test_describe(served_kube: Target, kubectl: Kubectl) -> None:
    """Pods and ProwJobs, with the events about them."""
    made = await targets.create(served_kube.pods, targets.pod("a"))
    await _event(served_kube, "Pod", made, "Pulled")
    told = await kubectl("describe", "pod", "a")
    assert "example.invalid/image:1" in told
    assert "Pulled" in told
    job = await targets.create(served_kube.prowjobs, targets.prowjob("a"))
    await _event(served_kube, "ProwJob", job, "Started")
    told = await kubectl("describe", "prowjob", "a")
    assert "a-job" in told
    assert "Started" in told


async def _event(kube: Target, kind: str, about: Json, reason: str) -> None:
    meta = about["metadata"]
    path = f"/api/v1/namespaces/{kube.namespace}/events"
    content = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{reason.lower()}.1"}, "reason": reason,
        "message": "it did", "type": "Normal", "lastTimestamp": "2026-01-02T03:04:05Z",
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": kind, "name": meta["name"], "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
    }  # fmt: skip
    assert (await kube.raw("POST", path, content)).status == 201


async def test_events(served_kube: Target, kubectl: Kubectl) -> None:
    """As a list of objects, and by the command of their own."""
    made = await targets.create(served_kube.prowjobs, targets.prowjob("a"))
    await _event(served_kube, "ProwJob", made, "Started")
    assert (await kubectl("get", "events")).splitlines()[1].split()[1:4] == ["Normal", "Started", "prowjob/a"]
    assert "Started" in await kubectl("events", "--for", "prowjob/a")


async def test_wait(served_kube: Target, kubectl: Kubectl) -> None:
    """For a value at a path, for a condition, for the end."""
    await targets.create(served_kube.prowjobs, targets.prowjob("a"))
    await targets.create(served_kube.pods, targets.pod("a"))
    async with anyio.create_task_group() as group:
        with anyio.fail_after(WITHIN_S):
            group.start_soon(kubectl, "wait", "prowjob/a", "--for=jsonpath={.status.state}=pending", "--timeout=50s")
            await served_kube.prowjobs.merge_patch("a", {"status": {"state": "pending"}})
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    async with anyio.create_task_group() as group:
        group.start_soon(kubectl, "wait", "pod/a", "--for=condition=Ready", "--timeout=50s")
        await served_kube.pods.merge_patch_status("a", ready)
    await kubectl("wait", "crd/prowjobs.prow.k8s.io", "--for=condition=Established", "--timeout=50s")
    async with anyio.create_task_group() as group:
        group.start_soon(kubectl, "wait", "prowjob/a", "--for=delete", "--timeout=50s")
        await served_kube.prowjobs.delete("a", "")
    said = await kubectl.said("wait", "pod/a", "--for=jsonpath={.status.phase}=Failed", "--timeout=1s")
    assert (said.code, "timed out" in said.err) == (1, True)


async def test_delete(served_kube: Target, kubectl: Kubectl) -> None:
    """By selector, all of a kind, with a grace period, at once, and what need not be there."""
    for name, team in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "z")):
        await targets.create(served_kube.config_maps, targets.config_map(name, {"team": team}))
    await kubectl("delete", "configmaps", "-l", "team in (x,z)")
    assert [name for name in await targets.names(served_kube.config_maps) if len(name) == 1] == ["b"]
    await kubectl("delete", "configmap", "b", "none", "--ignore-not-found")
    await kubectl("delete", "configmaps", "--all")
    for name in ("a", "b"):
        await targets.create(served_kube.pods, targets.pod(name, nodeName="node-1"))
    await kubectl("delete", "pod", "a", "--grace-period=7", "--wait=false")
    assert (await targets.get(served_kube.pods, "a"))["metadata"]["deletionGracePeriodSeconds"] == 7
    said = await kubectl.said("delete", "pods", "--all", "--force", "--grace-period=0")
    assert said.code == 0
    assert await targets.names(served_kube.pods) == []


@pytest.mark.parametrize("cascade", ["foreground", "orphan"])
async def test_what_cascading_deletes_ask_for(served_kube: Target, kubectl: Kubectl, cascade: str) -> None:
    """The finalizer that tells the garbage collector, beside one that keeps the object to be looked at."""
    content = targets.config_map("a")
    content["metadata"]["finalizers"] = ["example.com/stay"]
    await targets.create(served_kube.config_maps, content)
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": ""}
    about["uid"] = (await targets.get(served_kube.config_maps, "a"))["metadata"]["uid"]
    below = targets.pod("below", nodeName="node-1")
    below["metadata"]["ownerReferences"] = [about | {"blockOwnerDeletion": True}]
    await targets.create(served_kube.pods, below)
    await kubectl("delete", "configmap", "a", f"--cascade={cascade}", "--wait=false")
    found = (await targets.get(served_kube.config_maps, "a"))["metadata"]
    assert found["deletionTimestamp"]
    assert "example.com/stay" in found["finalizers"]
    if cascade == "foreground":
        assert "foregroundDeletion" in found["finalizers"]
    elif served_kube.name != "real":
        # No garbage collector runs beside the real one.
        assert "ownerReferences" not in (await targets.get(served_kube.pods, "below"))["metadata"]


@pytest.mark.parametrize("served_kube", [HTTP], indirect=True)
@pytest.mark.parametrize("cascade", ["background", "foreground"])
async def test_cascading_deletes(served_kube: Target, kubectl: Kubectl, cascade: str) -> None:
    """Where there is a garbage collector: an owner's pods go with it, and kubectl waits for both."""
    owner = await targets.create(served_kube.prowjobs, targets.prowjob("a"))
    below = targets.pod("below")
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {"name": "a", "uid": owner["metadata"]["uid"]}
    below["metadata"]["ownerReferences"] = [reference | {"blockOwnerDeletion": True}]
    await targets.create(served_kube.pods, below)
    await kubectl("delete", "prowjob", "a", f"--cascade={cascade}")
    assert await targets.names(served_kube.pods) == []
    assert await targets.names(served_kube.prowjobs) == []


async def test_a_definition_of_ones_own(served_kube: Target, kubectl: Kubectl) -> None:
    """Created, waited for, used with its columns and its short name, explained, and deleted."""
    group = f"kubectl-{served_kube.namespace}.example.com"
    text = msgspec.json.encode(definition(group)).decode()
    await kubectl("create", "-f", "-", stdin=text)
    await kubectl("wait", f"crd/widgets.{group}", "--for=condition=Established", "--timeout=50s")
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}}
    with anyio.fail_after(WITHIN_S):
        while (await kubectl.said("apply", "-f", "-", stdin=msgspec.json.encode(widget).decode())).code:
            await anyio.sleep(0.2)
    header, row = (await kubectl("get", f"widgets.{group}", "-o", "wide")).splitlines()
    assert (header.split(), row.split()) == (["NAME", "SIZE", "COLOR"], ["w", "3", "red"])
    told = await kubectl("explain", "widgets.spec", f"--api-version={group}/v1")
    assert "color\t<string>" in told
    said = await kubectl.said("delete", "crd", f"widgets.{group}")
    assert (said.code, "deleted" in said.out) == (0, True), said.err
    assert (await kubectl.said("get", f"widgets.{group}")).code == 1
