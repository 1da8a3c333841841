"""What a person does with kubectl, on the embedded server as on the real one."""

import itertools
from pathlib import Path
from subprocess import CalledProcessError

import anyio
import pytest
import yaml

from tests.contract import kube_targets as targets
from tests.contract.conftest import HTTP
from tests.contract.kube_targets import Target
from tests.contract.kubectl import WITHIN_S, Kubectl

# kubectl comes with the real server's programs, so all of this needs them.
pytestmark = [pytest.mark.anyio, pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def kubectl(served_kube: Target, tmp_path: Path) -> Kubectl:
    return Kubectl(served_kube, tmp_path / "cache")


async def _job(kube: Target, name: str) -> None:
    refs = {"org": "o", "repo": "r", "base_ref": "main", "pulls": [{"number": 7, "author": "a", "sha": "s"}]}
    await targets.create(kube.prowjobs, targets.prowjob(name, type="presubmit", refs=refs))


async def test_get(served_kube: Target, kubectl: Kubectl) -> None:
    """The table has the columns of the definition, one line a job, empty cells as kubectl shows them."""
    await _job(served_kube, "a")
    await _job(served_kube, "b")
    await served_kube.prowjobs.merge_patch("b", {"status": {"state": "pending", "build_id": "123"}})
    header, *rows = (await kubectl("get", "prowjobs")).splitlines()
    assert header.split() == [
        "NAME", "JOB", "BUILDID", "TYPE", "ORG", "REPO", "PULLS", "STARTTIME", "COMPLETIONTIME", "STATE"
    ]  # fmt: skip
    assert [row.split()[:6] for row in rows] == [
        ["a", "a-job", "presubmit", "o", "r", "7"],
        ["b", "a-job", "123", "presubmit", "o", "r"],
    ]
    assert [row.split()[-1] for row in rows] == ["triggered", "pending"]


async def test_get_in_other_forms(served_kube: Target, kubectl: Kubectl) -> None:
    """The whole object as YAML, parts of it by path, names alone, by label, in all namespaces."""
    await targets.create(served_kube.prowjobs, targets.prowjob("a", {"team": "x"}))
    await targets.create(served_kube.prowjobs, targets.prowjob("b"))
    stored = await targets.get(served_kube.prowjobs, "a")
    stored["metadata"].pop("managedFields", None)
    assert yaml.load(await kubectl("get", "prowjob", "a", "-o", "yaml"), yaml.BaseLoader) == _strings(stored)
    assert await kubectl("get", "prowjob", "a", "-o", "jsonpath={.status.state}") == "triggered"
    assert (await kubectl("get", "prowjobs", "-o", "name")).split() == [
        "prowjob.prow.k8s.io/a",
        "prowjob.prow.k8s.io/b",
    ]
    assert (await kubectl("get", "prowjobs", "-l", "team=x", "-o", "name")).split() == ["prowjob.prow.k8s.io/a"]
    assert served_kube.namespace in await kubectl("get", "prowjobs", "-A")


def _strings(content: object) -> object:
    """Turn scalars into what YAML shows, so that the reader's types do not matter."""
    if isinstance(content, dict):
        return {key: _strings(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_strings(value) for value in content]
    return (
        {True: "true", False: "false", None: "null"}.get(content) if isinstance(content, bool | None) else str(content)
    )


async def test_get_watch(served_kube: Target, kubectl: Kubectl) -> None:
    """A line for what is there, then one for each change."""
    await _job(served_kube, "a")
    async with kubectl.lines("get", "prowjobs", "-w") as lines:
        with anyio.fail_after(WITHIN_S):
            assert (await anext(lines)).split()[0] == "NAME"
            assert (await anext(lines)).split()[-1] == "triggered"
            await served_kube.prowjobs.merge_patch("a", {"status": {"state": "pending"}})
            assert (await anext(lines)).split()[-1] == "pending"
            await _job(served_kube, "b")
            assert (await anext(lines)).split()[0] == "b"


async def test_get_watch_of_one(served_kube: Target, kubectl: Kubectl) -> None:
    """Changes of other objects make no line."""
    await _job(served_kube, "a")
    async with kubectl.lines("get", "prowjob", "a", "-w", "-o", "name") as lines:
        with anyio.fail_after(WITHIN_S):
            assert await anext(lines) == "prowjob.prow.k8s.io/a"
            await _job(served_kube, "b")
            # kubectl opens its watch after this first line and passes over the first event: one change may be missed.
            async with anyio.create_task_group() as group:
                group.start_soon(_keep_changing, served_kube, "a")
                assert await anext(lines) == "prowjob.prow.k8s.io/a"
                group.cancel_scope.cancel()


async def _keep_changing(kube: Target, name: str) -> None:
    for number in itertools.count():
        await kube.prowjobs.merge_patch(name, {"status": {"state": "pending", "description": str(number)}})
        await anyio.sleep(0.2)


async def test_delete(served_kube: Target, kubectl: Kubectl) -> None:
    """It waits until the object is gone, and says so; a second time it is not there."""
    await _job(served_kube, "a")
    assert 'prowjob.prow.k8s.io "a" deleted' in await kubectl("delete", "prowjob", "a")
    with pytest.raises(CalledProcessError) as caught:
        await kubectl("delete", "prowjob", "a")
    assert b'prowjobs.prow.k8s.io "a" not found' in caught.value.stderr
    for name in ("b", "c"):
        await _job(served_kube, name)
    await kubectl("delete", "prowjobs", "--all")
    assert await targets.names(served_kube.prowjobs) == []


async def test_pods(served_kube: Target, kubectl: Kubectl) -> None:
    """The columns a person knows; a pod that no node took is gone at once."""
    await targets.create(served_kube.pods, targets.pod("a"))
    header, row = (await kubectl("get", "pods")).splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["a", "0/1", "Pending", "0"]
    assert 'pod "a" deleted' in await kubectl("delete", "pod", "a")


async def test_labels_and_annotations(served_kube: Target, kubectl: Kubectl) -> None:
    """Small changes by hand: they are sent as merge patches."""
    await _job(served_kube, "a")
    await kubectl("label", "prowjob", "a", "team=x")
    await kubectl("patch", "prowjob", "a", "--type=merge", "-p", '{"status":{"description":"by hand"}}')
    stored = await targets.get(served_kube.prowjobs, "a")
    assert (stored["metadata"]["labels"], stored["status"]["description"]) == ({"team": "x"}, "by hand")


async def test_what_there_is(served_kube: Target, kubectl: Kubectl) -> None:
    """Kinds are found by discovery, and what a person may do is told."""
    assert "prowjobs" in await kubectl("api-resources", "--api-group=prow.k8s.io", "-o", "name")
    assert (await kubectl("auth", "can-i", "create", "prowjobs")).strip() == "yes"
    assert "prowjobs.prow.k8s.io" in await kubectl("get", "crd")
    assert "default" in await kubectl("get", "namespaces")


@pytest.mark.parametrize("served_kube", [HTTP], indirect=True)
async def test_logs(served_kube: Target, kubectl: Kubectl) -> None:
    """Where there is a kubelet: the whole log, its last lines, and as it grows."""
    await targets.create(served_kube.pods, targets.pod("a", nodeName="node"))
    assert await kubectl("logs", "a") == targets.LOG.decode()
    assert await kubectl("logs", "a", "--tail=1") == "and another\n"
    assert await kubectl("logs", "-f", "a", "-c", "test") == targets.LOG.decode()
    with pytest.raises(CalledProcessError) as caught:
        await kubectl("logs", "none")
    assert b'pods "none" not found' in caught.value.stderr
