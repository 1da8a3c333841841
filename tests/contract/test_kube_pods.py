"""Pods: their status, and how they end."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from prow_async.api.errors import Missing, Refused, Stale
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import PODS, Json, Stream, Target

pytestmark = pytest.mark.anyio

RUNNING: Json = {"phase": "Running", "startTime": "2026-01-02T03:04:05Z"}


async def _placed(kube: Target, name: str, status: Json = RUNNING, /, **spec: Any) -> Json:
    """Create a pod that a node has taken, with a status."""
    await targets.create(kube.pods, targets.pod(name, nodeName="node", **spec))
    return targets.decode(await kube.pods.merge_patch_status(name, {"status": status}))


async def test_a_new_pod_is_pending(kube: Target) -> None:
    """Whatever status its creator sends. The rest of the spec is as sent, or defaulted."""
    made = await targets.create(kube.pods, targets.pod("a") | {"status": {"phase": "Succeeded"}})
    assert made["status"]["phase"] == "Pending"
    container = made["spec"]["containers"][0]
    assert (container["name"], container["command"], made["spec"]["restartPolicy"]) == ("test", ["true"], "Never")
    assert made["spec"]["terminationGracePeriodSeconds"] == 30


async def test_the_status_has_a_door_of_its_own(kube: Target) -> None:
    """A patch of the pod leaves the status alone, a patch of the status leaves the rest alone."""
    await targets.create(kube.pods, targets.pod("a"))
    both: Json = {"metadata": {"labels": {"x": "y"}}, "status": {"phase": "Running", "message": "m"}}
    main = targets.decode(await kube.pods.merge_patch("a", both))
    assert (main["metadata"]["labels"], main["status"]["phase"]) == ({"x": "y"}, "Pending")
    both = {"spec": {"containers": []}, "status": {"phase": "Running", "message": "m"}}
    changed = targets.decode(await kube.pods.merge_patch_status("a", both))
    assert (changed["status"]["phase"], changed["status"]["message"]) == ("Running", "m")
    assert changed["spec"]["containers"] == main["spec"]["containers"]
    assert await targets.get(kube.pods, "a") == changed


async def test_a_status_on_condition(kube: Target) -> None:
    """A kubelet that has not seen the last change is Stale."""
    made = await targets.create(kube.pods, targets.pod("a"))
    await kube.pods.merge_patch_status("a", {"status": {"message": "one"}})
    patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": {"message": "two"}}
    with pytest.raises(Stale):
        await kube.pods.merge_patch_status("a", patch)


@pytest.mark.parametrize(
    "patch",
    [
        {"containers": [{"name": "test", "image": "example.invalid/image:1", "command": ["false"]}]},
        {"nodeName": "elsewhere"},
        {"restartPolicy": "Always"},
        {"containers": []},
    ],
)
async def test_the_spec_is_fixed(kube: Target, patch: Json) -> None:
    """A pod's spec cannot be changed: 422."""
    await targets.create(kube.pods, targets.pod("a", nodeName="node"))
    with pytest.raises(Refused) as caught:
        await kube.pods.merge_patch("a", {"spec": patch})
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"containers": [{"name": "Not Valid", "image": "i"}]}, "spec.containers[0].name"),
        ({"containers": [{"image": "i"}]}, "spec.containers[0].name"),
        ({"containers": [{"name": "a"}]}, "spec.containers[0].image"),
        ({"containers": [{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]}, "spec.containers[1].name"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
    ],
)
async def test_a_pod_that_cannot_be(kube: Target, spec: Json, field: str) -> None:
    """422 with the field that does not do."""
    answer = await kube.raw("POST", PODS, targets.pod("a", **spec))
    assert answer.status == 422
    assert field in [cause["field"] for cause in answer.content["details"]["causes"]]


async def test_an_unplaced_pod_goes_at_once(kube: Target) -> None:
    """No kubelet has it, so none is waited for."""
    made = await targets.create(kube.pods, targets.pod("a"))
    await kube.pods.delete("a", made["metadata"]["uid"])
    with pytest.raises(Missing):
        await kube.pods.get("a")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_finished_pod_goes_at_once(kube: Target, phase: str) -> None:
    """Nothing is left to end."""
    made = await _placed(kube, "a", {"phase": phase})
    await kube.pods.delete("a", made["metadata"]["uid"])
    with pytest.raises(Missing):
        await kube.pods.get("a")


@pytest.mark.parametrize(
    ("own_s", "asked_s", "granted_s"),
    [(None, None, 30), (7, None, 7), (7, 3, 3), (None, 60, 60)],
)
async def test_a_running_pod_is_given_time(
    kube: Target, own_s: int | None, asked_s: int | None, granted_s: int
) -> None:
    """It is marked with the time granted, stays until the kubelet lets it go, and a shorter time can be set later."""
    spec: Json = {} if own_s is None else {"terminationGracePeriodSeconds": own_s}
    made = await _placed(kube, "a", **spec)
    uid = made["metadata"]["uid"]
    async with kube.pods.watch(made["metadata"]["resourceVersion"], False) as chunks:
        stream = Stream(chunks)
        await kube.pods.delete("a", uid, asked_s)
        marked = await targets.get(kube.pods, "a")
        assert marked["metadata"]["deletionTimestamp"]
        assert marked["metadata"]["deletionGracePeriodSeconds"] == granted_s
        assert await stream.next() == ("MODIFIED", marked)
        await kube.pods.delete("a", uid, 1)
        assert (await targets.get(kube.pods, "a"))["metadata"]["deletionGracePeriodSeconds"] == 1
        await kube.pods.merge_patch_status("a", {"status": {"phase": "Failed"}})
        await kube.pods.delete("a", uid, 0)
        # The second mark, the last status, perhaps a third mark; then it is gone.
        kinds = [kind async for kind, _ in _until_deleted(stream)]
    assert kinds in (["MODIFIED"] * 2 + ["DELETED"], ["MODIFIED"] * 3 + ["DELETED"])
    with pytest.raises(Missing):
        await kube.pods.get("a")


async def _until_deleted(stream: Stream) -> AsyncIterator[tuple[str, Json]]:
    kind = ""
    while kind != "DELETED":
        kind, content = await stream.next()
        if kind != "BOOKMARK":
            yield kind, content


async def test_marked_twice_is_marked_once(kube: Target) -> None:
    """A second deletion without more haste changes nothing."""
    made = await _placed(kube, "a")
    await kube.pods.delete("a", made["metadata"]["uid"])
    first = await targets.get(kube.pods, "a")
    await kube.pods.delete("a", made["metadata"]["uid"])
    assert await targets.get(kube.pods, "a") == first


async def test_another_pod_of_the_same_name(kube: Target) -> None:
    """The name is free once the first is gone, and the first's UID deletes nothing any more."""
    first = await targets.create(kube.pods, targets.pod("a"))
    await kube.pods.delete("a", first["metadata"]["uid"])
    second = await targets.create(kube.pods, targets.pod("a"))
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    with pytest.raises(Stale):
        await kube.pods.delete("a", first["metadata"]["uid"])
    with pytest.raises(Stale):
        await kube.pods.merge_patch("a", {"metadata": {"uid": first["metadata"]["uid"], "labels": {"x": "y"}}})


async def test_a_finalizer_outlives_the_kubelet(kube: Target) -> None:
    """The pod stays marked after the kubelet let it go, until the finalizer is gone; its status can be written."""
    await targets.create(kube.pods, targets.pod("a", nodeName="node"))
    await kube.pods.merge_patch("a", {"metadata": {"finalizers": ["example.com/hold"]}})
    made = targets.decode(await kube.pods.merge_patch_status("a", {"status": RUNNING}))
    await kube.pods.delete("a", made["metadata"]["uid"])
    await kube.pods.merge_patch_status("a", {"status": {"phase": "Failed"}})
    await kube.pods.delete("a", made["metadata"]["uid"], 0)
    held = await targets.get(kube.pods, "a")
    assert held["metadata"]["deletionTimestamp"]
    assert held["metadata"]["finalizers"] == ["example.com/hold"]
    await kube.pods.merge_patch("a", {"metadata": {"finalizers": None}})
    with pytest.raises(Missing):
        await kube.pods.get("a")


async def test_a_deletion_is_answered_with_the_pod(kube: Target) -> None:
    """The marked pod itself, where it stays, as where it goes."""
    await _placed(kube, "a")
    answer = await kube.raw("DELETE", f"{PODS}/a")
    assert (answer.status, answer.content["kind"]) == (200, "Pod")
    assert answer.content["metadata"]["deletionTimestamp"]


async def test_environment_and_volumes_are_kept(kube: Target) -> None:
    """What the decoration writes into a pod comes back."""
    container = {
        "name": "test",
        "image": "example.invalid/image:1",
        "command": ["/tools/entrypoint"],
        "args": ["a", "b"],
        "env": [{"name": "JOB_SPEC", "value": '{"type":"periodic"}'}, {"name": "EMPTY", "value": ""}],
        "volumeMounts": [{"name": "logs", "mountPath": "/logs"}],
        "workingDir": "/work",
    }
    spec = {"containers": [container], "initContainers": [container | {"name": "first"}]}
    volumes = [{"name": "logs", "emptyDir": {}}]
    made = await targets.create(kube.pods, targets.pod("a", **spec, volumes=volumes, activeDeadlineSeconds=60))
    stored = made["spec"]["containers"][0]
    assert {key: stored[key] for key in ("command", "args", "volumeMounts", "workingDir")} == {
        key: container[key] for key in ("command", "args", "volumeMounts", "workingDir")
    }
    assert [(one["name"], one.get("value", "")) for one in stored["env"]] == [
        ("JOB_SPEC", '{"type":"periodic"}'),
        ("EMPTY", ""),
    ]
    assert made["spec"]["volumes"] == volumes
    assert made["spec"]["activeDeadlineSeconds"] == 60
    assert [one["name"] for one in made["spec"]["initContainers"]] == ["first"]
