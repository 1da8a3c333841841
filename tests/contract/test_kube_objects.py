"""Objects: creating, reading, changing and deleting one."""

import re
from typing import Any

import pytest

from prow_async.adapters.kube import collection
from prow_async.api.errors import Exists, Missing, Refused, Stale
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import CONFIG_MAPS, PROWJOBS, Json, Target

pytestmark = pytest.mark.anyio


async def test_a_created_object_gets_what_the_server_adds(kube: Target) -> None:
    """uid, creation time, resource version, generation and namespace are the server's; the rest is as sent."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a", {"k": "v"}))
    meta = made["metadata"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", meta["uid"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", meta["creationTimestamp"])
    assert int(meta["resourceVersion"]) > 0
    assert (meta["name"], meta["namespace"], meta["labels"], meta["generation"]) == ("a", kube.namespace, {"k": "v"}, 1)
    assert (made["kind"], made["apiVersion"]) == ("ProwJob", "prow.k8s.io/v1")
    assert made["spec"] == targets.prowjob("a")["spec"]
    assert await targets.get(kube.prowjobs, "a") == made


async def test_a_name_is_taken_once(kube: Target) -> None:
    """The second create is Exists, in another namespace it is not."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    with pytest.raises(Exists, match='prowjobs.prow.k8s.io "a" already exists'):
        await targets.create(kube.prowjobs, targets.prowjob("a"))


async def test_what_is_not_there(kube: Target) -> None:
    """Reading, changing and deleting it is Missing; so is creating in a namespace that is not there."""
    with pytest.raises(Missing, match='prowjobs.prow.k8s.io "a" not found'):
        await kube.prowjobs.get("a")
    with pytest.raises(Missing):
        await kube.prowjobs.merge_patch("a", {"metadata": {"labels": {"x": "y"}}})
    with pytest.raises(Missing):
        await kube.prowjobs.delete("a", "")
    elsewhere = collection.KubeCollection(kube.transport, "target", collection.CONFIG_MAPS, "not-there")
    with pytest.raises(Missing, match='namespaces "not-there" not found'):
        await targets.create(elsewhere, targets.config_map("a"))
    assert await targets.names(elsewhere) == []


async def test_generate_name(kube: Target) -> None:
    """The server appends five characters of its own to the prefix."""
    content = targets.config_map("")
    content["metadata"] = {"generateName": "some-"}
    made = [await targets.create(kube.config_maps, content) for _ in range(2)]
    found = [one["metadata"]["name"] for one in made]
    assert len(set(found)) == 2
    assert all(re.fullmatch(r"some-[a-z0-9]{5}", name) for name in found)


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"name": "Upper"}, "metadata.name"),
        ({"name": "a_b"}, "metadata.name"),
        ({"name": "-a"}, "metadata.name"),
        ({"name": "x" * 254}, "metadata.name"),
        ({}, "metadata.name"),
        ({"name": "a", "labels": {"k": "not valid"}}, "metadata.labels"),
        ({"name": "a", "labels": {"k": "x" * 64}}, "metadata.labels"),
        ({"name": "a", "labels": {"-k": "v"}}, "metadata.labels"),
        ({"name": "a", "annotations": {"not valid": "v"}}, "metadata.annotations"),
        ({"name": "a", "finalizers": ["Not Valid"]}, "metadata.finalizers"),
    ],
)
@pytest.mark.parametrize("kind", ["prowjobs", "configmaps"])
async def test_metadata_is_checked(kube: Target, kind: str, metadata: Json, field: str) -> None:
    """422 Invalid with the field among the causes."""
    path, content = (PROWJOBS, targets.prowjob("")) if kind == "prowjobs" else (CONFIG_MAPS, targets.config_map(""))
    answer = await kube.raw("POST", path, content | {"metadata": metadata})
    assert (answer.status, answer.content["reason"]) == (422, "Invalid")
    fields = [cause["field"] for cause in answer.content["details"]["causes"]]
    assert any(one.startswith(field) for one in fields), fields


async def test_a_merge_patch(kube: Target) -> None:
    """Objects merge, null removes, lists and scalars are replaced; what changed has a new resource version."""
    content = targets.prowjob("a", {"one": "1", "two": "2"}, extra_refs=[{"org": "o", "repo": "r"}])
    made = await targets.create(kube.prowjobs, content)
    patch = {
        "metadata": {"labels": {"one": None, "three": "3"}},
        "spec": {"extra_refs": [{"org": "p", "repo": "q"}], "context": "c"},
        "status": {"state": "pending", "pendingTime": "2026-01-02T03:04:06Z"},
    }
    changed = targets.decode(await kube.prowjobs.merge_patch("a", patch))
    assert changed["metadata"]["labels"] == {"two": "2", "three": "3"}
    assert changed["spec"]["extra_refs"] == [{"org": "p", "repo": "q"}]
    assert (changed["spec"]["job"], changed["spec"]["context"]) == ("a-job", "c")
    assert (changed["status"]["state"], changed["status"]["startTime"]) == ("pending", "2026-01-02T03:04:05Z")
    assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert await targets.get(kube.prowjobs, "a") == changed


async def test_a_patch_that_changes_nothing(kube: Target) -> None:
    """No write: the resource version stays."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a"))
    same = targets.decode(await kube.prowjobs.merge_patch("a", {"status": {"state": "triggered"}}))
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


@pytest.mark.parametrize("kind", ["prowjobs", "configmaps"])
async def test_a_conditional_patch(kube: Target, kind: str) -> None:
    """With another state's resource version or UID it is Stale and changes nothing; with its own it applies."""
    source = kube.prowjobs if kind == "prowjobs" else kube.config_maps
    made = await targets.create(source, targets.prowjob("a") if kind == "prowjobs" else targets.config_map("a"))
    meta = made["metadata"]
    moved = targets.decode(await source.merge_patch("a", {"metadata": {"labels": {"x": "1"}}}))["metadata"]
    for condition in (
        {"resourceVersion": meta["resourceVersion"]},
        {"uid": "00000000-0000-0000-0000-000000000000"},
    ):
        with pytest.raises(Stale):
            await source.merge_patch("a", {"metadata": {**condition, "labels": {"x": "2"}}})
    condition = {"resourceVersion": moved["resourceVersion"], "uid": meta["uid"]}
    await source.merge_patch("a", {"metadata": {**condition, "labels": {"x": "3"}}})
    assert (await targets.get(source, "a"))["metadata"]["labels"] == {"x": "3"}


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ([{"op": "add", "path": "/data/b", "value": "2"}], {"a": "1", "b": "2"}),
        ([{"op": "replace", "path": "/data/a", "value": "2"}], {"a": "2"}),
        ([{"op": "copy", "from": "/data/a", "path": "/data/b"}], {"a": "1", "b": "1"}),
        ([{"op": "move", "from": "/data/a", "path": "/data/b"}], {"b": "1"}),
        (
            [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "remove", "path": "/data/a"},
             {"op": "add", "path": "/data/c~1d", "value": "3"}],
            None,
        ),
        ([{"op": "test", "path": "/data/a", "value": "1"}, {"op": "add", "path": "/data/x", "value": "3"}],
         {"a": "1", "x": "3"}),
    ],
)  # fmt: skip
async def test_a_json_patch(kube: Target, operations: list[Json], data: Json | None) -> None:
    """RFC 6902's operations, in order; a result that is not valid (a slash in a key) is refused as a whole."""
    await targets.create(kube.config_maps, targets.config_map("a", a="1"))
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a", operations, "application/json-patch+json")
    if data is None:
        assert answer.status == 422
        data = {"a": "1"}
    else:
        assert answer.status == 200
    assert (await targets.get(kube.config_maps, "a"))["data"] == data


async def test_a_json_patch_on_a_list(kube: Target) -> None:
    """Indices insert and remove, a dash appends."""
    refs = [{"org": "o", "repo": name} for name in "abc"]
    await targets.create(kube.prowjobs, targets.prowjob("a", extra_refs=refs))
    operations = [
        {"op": "remove", "path": "/spec/extra_refs/0"},
        {"op": "add", "path": "/spec/extra_refs/1", "value": {"org": "o", "repo": "x"}},
        {"op": "add", "path": "/spec/extra_refs/-", "value": {"org": "o", "repo": "y"}},
    ]
    answer = await kube.raw("PATCH", f"{PROWJOBS}/a", operations, "application/json-patch+json")
    assert [ref["repo"] for ref in answer.content["spec"]["extra_refs"]] == ["b", "x", "c", "y"]


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([{"op": "test", "path": "/data/a", "value": "2"}], 422),
        ([{"op": "remove", "path": "/data/none"}], 422),
        ({"data": {"a": "2"}}, 400),
    ],
)
async def test_a_json_patch_that_does_not_apply(kube: Target, operations: Any, status: int) -> None:
    """It is refused as a whole."""
    made = await targets.create(kube.config_maps, targets.config_map("a", a="1"))
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a", operations, "application/json-patch+json")
    assert answer.status == status
    assert await targets.get(kube.config_maps, "a") == made


@pytest.mark.parametrize("content_type", ["application/strategic-merge-patch+json", "application/json", "text/plain"])
async def test_patches_of_other_kinds(kube: Target, content_type: str) -> None:
    """Custom resources know no strategic merge; 415 names what they take."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    answer = await kube.raw("PATCH", f"{PROWJOBS}/a", {"metadata": {"labels": {"a": "b"}}}, content_type)
    assert (answer.status, answer.content["reason"]) == (415, "UnsupportedMediaType")
    assert "application/merge-patch+json" in answer.content["message"]


async def test_an_update(kube: Target) -> None:
    """PUT replaces the object on condition of its resource version; a custom resource's must have one."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a", {"x": "1"}, context="c"))
    new = targets.prowjob("a")
    answer = await kube.raw("PUT", f"{PROWJOBS}/a", new)
    assert (answer.status, answer.content["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")
    new["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    answer = await kube.raw("PUT", f"{PROWJOBS}/a", new)
    assert answer.status == 200
    assert "context" not in answer.content["spec"]
    assert "labels" not in answer.content["metadata"] or not answer.content["metadata"]["labels"]
    assert answer.content["metadata"]["uid"] == made["metadata"]["uid"]
    assert answer.content["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    answer = await kube.raw("PUT", f"{PROWJOBS}/a", new)
    assert (answer.status, answer.content["reason"]) == (409, "Conflict")


async def test_a_config_map_is_updated_without_condition(kube: Target) -> None:
    """Built-in kinds take a PUT without a resource version as it comes."""
    await targets.create(kube.config_maps, targets.config_map("a", a="1"))
    answer = await kube.raw("PUT", f"{CONFIG_MAPS}/a", targets.config_map("a", b="2"))
    assert (answer.status, answer.content["data"]) == (200, {"b": "2"})


async def test_an_update_of_what_is_not_there(kube: Target) -> None:
    """PUT never creates a custom resource."""
    new = targets.prowjob("a")
    new["metadata"]["resourceVersion"] = "1"
    assert (await kube.raw("PUT", f"{PROWJOBS}/a", new)).status in {404, 409}


async def test_generation_counts_changes_of_content(kube: Target) -> None:
    """Without a status subresource every change but those of metadata counts."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    patches: list[Json] = [
        {"metadata": {"labels": {"a": "b"}}},
        {"status": {"description": "d"}},
        {"spec": {"context": "c"}},
    ]
    changed = [targets.decode(await kube.prowjobs.merge_patch("a", patch)) for patch in patches]
    assert [one["metadata"]["generation"] for one in changed] == [1, 2, 3]


async def test_the_servers_metadata_cannot_be_written(kube: Target) -> None:
    """Creation time and generation stay whatever is sent; the name and the namespace are refused or kept."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a"))
    patch = {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z", "generation": 9, "labels": {"x": "y"}}}
    meta = targets.decode(await kube.prowjobs.merge_patch("a", patch))["metadata"]
    assert meta["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert meta["generation"] == 1
    with pytest.raises(Refused):
        await kube.prowjobs.merge_patch("a", {"metadata": {"name": "b"}})
    with pytest.raises(Refused):
        await kube.prowjobs.merge_patch("a", {"metadata": {"namespace": "b"}})


async def test_a_delete_on_condition_of_the_uid(kube: Target) -> None:
    """Another's UID is Stale and deletes nothing; the right one deletes; the second time it is Missing."""
    uid = (await targets.create(kube.prowjobs, targets.prowjob("a")))["metadata"]["uid"]
    with pytest.raises(Stale, match=r"the UID in the precondition \(0.*does not match the UID in record"):
        await kube.prowjobs.delete("a", "00000000-0000-0000-0000-000000000000")
    await kube.prowjobs.delete("a", uid)
    with pytest.raises(Missing):
        await kube.prowjobs.delete("a", uid)


async def test_a_delete_on_condition_of_the_resource_version(kube: Target) -> None:
    """409 unless the object is as it was when it was read."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a"))
    moved = targets.decode(await kube.prowjobs.merge_patch("a", {"metadata": {"labels": {"x": "1"}}}))

    def options(content: Json) -> Json:
        return {"preconditions": {"resourceVersion": content["metadata"]["resourceVersion"]}}

    answer = await kube.raw("DELETE", f"{PROWJOBS}/a", options(made))
    assert (answer.status, answer.content["reason"]) == (409, "Conflict")
    answer = await kube.raw("DELETE", f"{PROWJOBS}/a", options(moved))
    assert (answer.status, answer.content["kind"], answer.content["status"]) == (200, "Status", "Success")
    assert answer.content["details"]["uid"] == made["metadata"]["uid"]


async def test_finalizers_hold_an_object(kube: Target) -> None:
    """Deleting marks it; nobody can add a finalizer then; the last one's removal ends it."""
    content = targets.prowjob("a")
    content["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    made = await targets.create(kube.prowjobs, content)
    await kube.prowjobs.delete("a", made["metadata"]["uid"])
    marked = await targets.get(kube.prowjobs, "a")
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    await kube.prowjobs.delete("a", made["metadata"]["uid"])
    assert await targets.get(kube.prowjobs, "a") == marked
    with pytest.raises(Refused) as caught:
        await kube.prowjobs.merge_patch("a", {"metadata": {"finalizers": ["example.com/one", "example.com/three"]}})
    assert caught.value.status == 422
    await kube.prowjobs.merge_patch("a", {"metadata": {"finalizers": ["example.com/two"]}})
    last = targets.decode(await kube.prowjobs.merge_patch("a", {"metadata": {"finalizers": None}}))
    assert last["metadata"]["name"] == "a"
    with pytest.raises(Missing):
        await kube.prowjobs.get("a")


async def test_a_collection_is_deleted_by_selector(kube: Target) -> None:
    """What is selected goes, the rest stays; the answer lists what went."""
    for name, team in (("a", "x"), ("b", "y"), ("c", "x")):
        await targets.create(kube.config_maps, targets.config_map(name, {"team": team}))
    answer = await kube.raw("DELETE", f"{CONFIG_MAPS}?labelSelector=team%3Dx")
    assert answer.status == 200
    assert [name for name in await targets.names(kube.config_maps) if name in "abc"] == ["b"]


async def test_a_lease_changes_hands_once(kube: Target) -> None:
    """Of two holders who saw the same lease only the first to write gets it."""
    leases = kube.collection(collection.LEASES)
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}}
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T03:04:05.123456Z"}
    seen = await targets.create(leases, {**kind, "spec": spec})
    assert seen["spec"] == spec
    taken = {"metadata": {"resourceVersion": seen["metadata"]["resourceVersion"]}, "spec": {"holderIdentity": "b"}}
    await leases.merge_patch("leader", taken)
    taken["spec"] = {"holderIdentity": "c"}
    with pytest.raises(Stale):
        await leases.merge_patch("leader", taken)
    assert (await targets.get(leases, "leader"))["spec"]["holderIdentity"] == "b"


async def test_events_are_kept_beside_objects(kube: Target) -> None:
    """An event names the object it is about, and is found by it."""
    events = kube.collection(collection.EVENTS)
    about = {"kind": "ProwJob", "name": "a", "namespace": kube.namespace, "uid": "u"}
    content = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "a.1"}, "involvedObject": about,
        "reason": "Started", "message": "it runs", "type": "Normal",
    }  # fmt: skip
    await targets.create(events, content)
    await targets.create(events, content | {"metadata": {"name": "b.1"}, "involvedObject": about | {"name": "b"}})
    path = "/api/v1/namespaces/{ns}/events?fieldSelector=involvedObject.kind%3DProwJob%2CinvolvedObject.name%3Da"
    answer = await kube.raw("GET", path)
    assert [item["message"] for item in answer.content["items"]] == ["it runs"]
