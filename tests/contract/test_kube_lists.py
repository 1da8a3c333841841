"""Lists: pages of one snapshot, selectors, tables."""

import pytest

from prow_async.adapters.kube import collection
from prow_async.api.errors import Expired, Refused
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import CONFIG_MAPS, PODS, PROWJOBS, Json, Target

pytestmark = pytest.mark.anyio
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def _five(kube: Target) -> None:
    for number in range(5):
        await targets.create(kube.prowjobs, targets.prowjob(f"job-{number}"))


async def test_pages_are_cut_from_one_snapshot(kube: Target) -> None:
    """Whatever happens between two pages, together they are the list as it was at the first."""
    await _five(kube)
    first = await kube.prowjobs.list_page(2)
    await targets.create(kube.prowjobs, targets.prowjob("job-11"))
    await kube.prowjobs.delete("job-3", "")
    await kube.prowjobs.merge_patch("job-4", {"metadata": {"labels": {"new": "yes"}}})
    second = await kube.prowjobs.list_page(2, first.continue_)
    third = await kube.prowjobs.list_page(2, second.continue_)
    items = [targets.decode(item) for page in (first, second, third) for item in page.items]
    assert [item["metadata"]["name"] for item in items] == [f"job-{number}" for number in range(5)]
    assert "new" not in items[4]["metadata"].get("labels", {})
    assert [bool(page.continue_) for page in (first, second, third)] == [True, True, False]
    assert first.resource_version == second.resource_version == third.resource_version
    assert await targets.names(kube.prowjobs, 2) == ["job-0", "job-1", "job-11", "job-2", "job-4"]


async def test_how_many_remain(kube: Target) -> None:
    """A page says how many items follow it; the last says nothing."""
    await _five(kube)
    answer = await kube.raw("GET", f"{PROWJOBS}?limit=2")
    meta = answer.content["metadata"]
    assert (answer.content["kind"], answer.content["apiVersion"]) == ("ProwJobList", "prow.k8s.io/v1")
    assert meta["remainingItemCount"] == 3
    answer = await kube.raw("GET", f"{PROWJOBS}?limit=5")
    assert "remainingItemCount" not in answer.content["metadata"]
    assert not answer.content["metadata"].get("continue")


async def test_a_watch_goes_on_from_a_list(kube: Target) -> None:
    """A watch from the list's resource version begins with the first change after it."""
    await _five(kube)
    version = await targets.version_of(kube.prowjobs)
    await targets.create(kube.prowjobs, targets.prowjob("later"))
    async with kube.prowjobs.watch(version, False) as chunks:
        assert await targets.Stream(chunks).news(1) == [("ADDED", "later")]


async def test_an_old_page_token(kube: Target) -> None:
    """When the server has forgotten the snapshot the next page is Expired, never another list's."""
    await _five(kube)
    first = await kube.prowjobs.list_page(2)
    token = await kube.old_token(first.continue_)
    with pytest.raises(Expired):
        await kube.prowjobs.list_page(2, token)


async def test_the_empty_list(kube: Target) -> None:
    """No items, but a resource version to watch from."""
    page = await kube.prowjobs.list_page(10)
    assert (page.items, page.continue_) == ([], "")
    assert int(page.resource_version) > 0


async def test_all_namespaces(kube: Target) -> None:
    """Without a namespace the list holds those of all, with theirs written in."""
    await targets.create(kube.prowjobs, targets.prowjob("here"))
    everywhere = collection.KubeCollection(kube.transport, "target", collection.PROWJOBS)
    items = [targets.decode(item)["metadata"] for item in (await everywhere.list_page(500)).items]
    assert (kube.namespace, "here") in {(item["namespace"], item["name"]) for item in items}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("a=1", ["x", "y"]),
        ("a==1", ["x", "y"]),
        ("a!=1", ["none", "z"]),
        ("a in (1,2)", ["x", "y", "z"]),
        ("a notin (1)", ["none", "z"]),
        ("b", ["y", "z"]),
        ("!b", ["none", "x"]),
        ("a=1,b", ["y"]),
        ("a=1,b=3", []),
        ("b=", ["z"]),
        ("prow.k8s.io/id in (p)", ["z"]),
    ],
)
async def test_label_selectors(kube: Target, selector: str, found: list[str]) -> None:
    """Every operator, and all of several; objects without the label count as unequal."""
    everything = {
        "x": {"a": "1"}, "y": {"a": "1", "b": "2"}, "z": {"a": "2", "b": "", "prow.k8s.io/id": "p"}, "none": {}
    }  # fmt: skip
    for name, labels in everything.items():
        await targets.create(kube.prowjobs, targets.prowjob(name, labels))
    narrowed = kube.collection(collection.PROWJOBS, label_selector=selector)
    assert await targets.names(narrowed) == sorted(found)
    assert await targets.names(narrowed, 1) == sorted(found)


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("metadata.name=a", ["a"]),
        ("metadata.name!=a", ["b", "c"]),
        ("status.phase=Running", ["b"]),
        ("status.phase!=Running", ["a", "c"]),
        ("spec.nodeName=", ["a", "c"]),
        ("spec.nodeName=node,status.phase=Pending", []),
    ],
)
async def test_field_selectors_of_pods(kube: Target, selector: str, found: list[str]) -> None:
    """The fields that schedulers, kubelets and sweepers select by."""
    for name, spec in (("a", {}), ("b", {"nodeName": "node"}), ("c", {})):
        await targets.create(kube.pods, targets.pod(name, **spec))
    await kube.pods.merge_patch_status("b", {"status": {"phase": "Running"}})
    answer = await kube.raw("GET", f"{PODS}?fieldSelector={selector.replace('=', '%3D').replace(',', '%2C')}")
    assert [item["metadata"]["name"] for item in answer.content["items"]] == found


async def test_field_selectors_of_custom_resources(kube: Target) -> None:
    """Name and namespace, nothing else."""
    await _five(kube)
    answer = await kube.raw("GET", f"{PROWJOBS}?fieldSelector=metadata.name%3Djob-1")
    assert [item["metadata"]["name"] for item in answer.content["items"]] == ["job-1"]
    assert (await kube.raw("GET", f"{PROWJOBS}?fieldSelector=status.state%3Dtriggered")).status == 400


async def test_prowjobs_as_a_table(kube: Target) -> None:
    """The columns are those of the resource's definition, dates as they stand in the object."""
    refs = {"org": "o", "repo": "r", "pulls": [{"number": n, "author": "a", "sha": "s"} for n in (7, 8)]}
    content = targets.prowjob("a", type="batch", refs=refs)
    content["status"] |= {"build_id": "123", "state": "success", "completionTime": "2026-01-02T03:05:05Z"}
    await targets.create(kube.prowjobs, content)
    await targets.create(kube.prowjobs, targets.prowjob("b"))
    for path in (PROWJOBS, f"{PROWJOBS}/a"):
        table = (await kube.raw("GET", path, accept=TABLE)).content
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        columns = [column["name"] for column in table["columnDefinitions"]]
        assert " ".join(columns) == "Name Job BuildId Type Org Repo Pulls StartTime CompletionTime State"
        times = ["2026-01-02T03:04:05Z", "2026-01-02T03:05:05Z"]
        # Of a path that leads to several values the first is shown.
        assert table["rows"][0]["cells"] == _dated(
            table, ["a", "a-job", "123", "batch", "o", "r", "7", *times, "success"]
        )
        assert table["rows"][0]["object"]["metadata"]["name"] == "a"
    answer = (await kube.raw("GET", PROWJOBS, accept=TABLE)).content
    assert answer["rows"][1]["cells"][2] is None


def _dated(table: Json, cells: list[str]) -> list[str]:
    """Return the cells as expected; columns of type date carry ages computed by the server."""
    shown: list[str] = table["rows"][0]["cells"]
    dates = {n for n, column in enumerate(table["columnDefinitions"]) if column["type"] == "date"}
    return [shown[n] if n in dates else cell for n, cell in enumerate(cells)]


async def test_pods_as_a_table(kube: Target) -> None:
    """What kubectl prints of a pod."""
    await targets.create(kube.pods, targets.pod("a", nodeName="node"))
    status = {"phase": "Running", "containerStatuses": [
        {"name": "test", "ready": True, "restartCount": 2, "image": "i", "imageID": "i",
         "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}
    ]}  # fmt: skip
    await kube.pods.merge_patch_status("a", {"status": status})
    table = (await kube.raw("GET", PODS, accept=TABLE)).content
    columns = [column["name"] for column in table["columnDefinitions"]]
    assert columns[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert [str(cell) for cell in table["rows"][0]["cells"][:4]] == ["a", "1/1", "Running", "2"]


async def test_a_refusal_is_no_table(kube: Target) -> None:
    """Who asks for a table gets a Status when there is none."""
    answer = await kube.raw("GET", f"{PROWJOBS}/none", accept=TABLE)
    assert (answer.status, answer.content["kind"]) == (404, "Status")


async def test_a_list_at_an_exact_version(kube: Target) -> None:
    """The state as it was then."""
    await targets.create(kube.config_maps, targets.config_map("a"))
    then = await targets.version_of(kube.config_maps)
    await targets.create(kube.config_maps, targets.config_map("b"))
    path = f"{CONFIG_MAPS}?resourceVersion={then}&resourceVersionMatch=Exact"
    found = [item["metadata"]["name"] for item in (await kube.raw("GET", path)).content["items"]]
    assert "a" in found
    assert "b" not in found


async def test_a_negative_limit_is_none(kube: Target) -> None:
    """Nobody gets an error for asking clumsily; the limit of Refused is a broken selector."""
    await _five(kube)
    assert len((await kube.raw("GET", f"{PROWJOBS}?limit=0")).content["items"]) == 5
    broken = kube.collection(collection.PROWJOBS, label_selector="a b")
    with pytest.raises(Refused):
        await broken.list_page(5)
