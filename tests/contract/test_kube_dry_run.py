"""Writes that only say what they would do, and writes that are strict about fields."""

import pytest

from tests.contract import kube_targets as targets
from tests.contract.kube_targets import CONFIG_MAPS, PODS, PROWJOBS, Json, Target

pytestmark = pytest.mark.anyio
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.mark.parametrize("kind", ["configmaps", "prowjobs"])
async def test_no_write_is_done(kube: Target, kind: str) -> None:
    """Every verb answers as if it had been, and the object and its version stay as they are."""
    path, make = (CONFIG_MAPS, targets.config_map) if kind == "configmaps" else (PROWJOBS, targets.prowjob)
    made = (await kube.raw("POST", path, make("a"))).content
    answer = await kube.raw("POST", f"{path}?dryRun=All", make("b"))
    assert (answer.status, answer.content["metadata"]["name"]) == (201, "b")
    assert answer.content["metadata"]["uid"]
    assert (await kube.raw("POST", f"{path}?dryRun=All", make("a"))).status == 409
    new = {**made, "metadata": {**made["metadata"], "labels": {"x": "1"}}}
    answer = await kube.raw("PUT", f"{path}/a?dryRun=All", new)
    assert (answer.status, answer.content["metadata"]["labels"]) == (200, {"x": "1"})
    answer = await kube.raw("PATCH", f"{path}/a?dryRun=All", {"metadata": {"labels": {"x": "2"}}}, MERGE)
    assert (answer.status, answer.content["metadata"]["labels"]) == (200, {"x": "2"})
    applied = {key: made[key] for key in ("apiVersion", "kind")} | {"metadata": {"labels": {"x": "3"}}}
    answer = await kube.raw("PATCH", f"{path}/a?dryRun=All&fieldManager=m&force=true", applied, APPLY)
    assert (answer.status, answer.content["metadata"]["labels"]) == (200, {"x": "3"})
    assert (await kube.raw("DELETE", f"{path}/a?dryRun=All")).status == 200
    assert (await kube.raw("DELETE", f"{path}/a", {"dryRun": ["All"]})).status == 200
    assert (await kube.raw("DELETE", f"{path}?dryRun=All")).status == 200
    assert (await kube.raw("GET", f"{path}/a")).content == made
    assert (await kube.raw("GET", f"{path}/b")).status == 404


async def test_a_dry_run_of_another_kind(kube: Target) -> None:
    """All is the only one there is."""
    await targets.create(kube.pods, targets.pod("a"))
    for method, path, body in (("POST", PODS, targets.pod("b")), ("DELETE", f"{PODS}/a", None)):
        answer = await kube.raw(method, f"{path}?dryRun=Some", body)
        assert (answer.status, answer.content["reason"]) == (422, "Invalid")


@pytest.mark.parametrize("kind", ["pods", "prowjobs"])
async def test_unknown_fields(kube: Target, kind: str) -> None:
    """Strict refuses with the path; Warn drops the field and says so in a header; Ignore is silent."""
    path, content = (PODS, targets.pod("a")) if kind == "pods" else (PROWJOBS, targets.prowjob("a"))
    content["spec"]["bogus"] = 1
    content["metadata"]["bogus"] = 2
    answer = await kube.raw("POST", f"{path}?fieldValidation=Strict", content)
    assert (answer.status, answer.content["reason"]) == (400, "BadRequest")
    for field in ("spec.bogus", "metadata.bogus"):
        assert f'unknown field "{field}"' in answer.content["message"]
    answer = await kube.raw("POST", f"{path}?fieldValidation=Warn", content)
    assert answer.status == 201
    assert 'unknown field \\"spec.bogus\\"' in answer.headers["warning"]
    assert answer.headers["warning"].startswith("299 - ")
    assert "bogus" not in answer.content["spec"]
    patch = {"spec": {"bogus": 1}, "metadata": {"labels": {"x": "y"}}}
    answer = await kube.raw("PATCH", f"{path}/a?fieldValidation=Strict", patch, MERGE)
    assert answer.status in {400, 422}
    answer = await kube.raw("PATCH", f"{path}/a?fieldValidation=Ignore", patch, MERGE)
    assert (answer.status, "warning" in answer.headers) == (200, False)


LABELS: list[tuple[Json, Json | None]] = [
    ({"c": "3"}, {"a": "1", "b": "2", "c": "3"}),
    ({"a": None}, {"b": "2"}),
    ({"$patch": "replace", "c": "3"}, {"c": "3"}),
    ({"$patch": "delete"}, None),
    ({"$retainKeys": ["b", "c"], "c": "3"}, {"b": "2", "c": "3"}),
]


@pytest.mark.parametrize(("labels", "after"), LABELS)
async def test_strategic_directives_of_maps(kube: Target, labels: Json, after: Json | None) -> None:
    """Merge, remove a key, replace, delete, keep only some."""
    await targets.create(kube.config_maps, targets.config_map("a", {"a": "1", "b": "2"}))
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": labels}}, STRATEGIC)
    assert (answer.status, answer.content["metadata"].get("labels")) == (200, after)


FINALIZERS: list[tuple[Json, list[str]]] = [
    ({"finalizers": ["x.y/c"]}, ["x.y/c", "x.y/a", "x.y/b"]),
    ({"finalizers": ["x.y/b"]}, ["x.y/a", "x.y/b"]),
    ({"finalizers": ["x.y/b", "x.y/d", "x.y/a"]}, ["x.y/b", "x.y/d", "x.y/a"]),
    ({"$deleteFromPrimitiveList/finalizers": ["x.y/a"]}, ["x.y/b"]),
    ({"$setElementOrder/finalizers": ["x.y/b", "x.y/a"]}, ["x.y/b", "x.y/a"]),
    (
        {"$setElementOrder/finalizers": ["x.y/c", "x.y/b"], "finalizers": ["x.y/c"],
         "$deleteFromPrimitiveList/finalizers": ["x.y/a"]},
        ["x.y/c", "x.y/b"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("patch", "after"), FINALIZERS)
async def test_strategic_patches_of_sets(kube: Target, patch: Json, after: list[str]) -> None:
    """Lists that are sets are joined; values are taken out and put in order by directives."""
    content = targets.config_map("a")
    content["metadata"]["finalizers"] = ["x.y/a", "x.y/b"]
    await targets.create(kube.config_maps, content)
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a", {"metadata": patch}, STRATEGIC)
    assert (answer.status, answer.content["metadata"]["finalizers"]) == (200, after)


CONDITIONS: list[tuple[Json, list[str] | None]] = [
    ({"conditions": [{"type": "B", "status": "False"}]}, ["A=True", "B=False"]),
    ({"conditions": [{"type": "C", "status": "True"}]}, ["C=True", "A=True", "B=True"]),
    ({"conditions": [{"type": "A", "$patch": "delete"}]}, ["B=True"]),
    ({"conditions": [{"$patch": "replace"}, {"type": "D", "status": "True"}]}, ["D=True"]),
    ({"conditions": [{"status": "True"}]}, None),
    ({"conditions": [7]}, None),
]


@pytest.mark.parametrize(("patch", "after"), CONDITIONS)
async def test_strategic_patches_of_keyed_lists(kube: Target, patch: Json, after: list[str] | None) -> None:
    """Items are found by their key: changed, added, deleted, or all replaced; an item without its key is refused."""
    await targets.create(kube.pods, targets.pod("a"))
    first = {"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}}
    assert (await kube.raw("PATCH", f"{PODS}/a/status", first, MERGE)).status == 200
    answer = await kube.raw("PATCH", f"{PODS}/a/status", {"status": patch}, STRATEGIC)
    if after is None:
        assert answer.status >= 400
        return
    found = [f"{one['type']}={one['status']}" for one in answer.content["status"]["conditions"]]
    assert (answer.status, found) == (200, after)


async def test_an_unknown_directive(kube: Target) -> None:
    """Refused as a whole."""
    made = await targets.create(kube.config_maps, targets.config_map("a", {"a": "1"}))
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"$patch": "turn"}}}, STRATEGIC)
    assert answer.status >= 400
    assert await targets.get(kube.config_maps, "a") == made


async def test_an_apply_needs_a_name(kube: Target) -> None:
    """Who applies must say who that is, and may not say who manages what."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a", body, APPLY)
    assert (answer.status, answer.content["details"]["causes"][0]["field"]) == (422, "fieldManager")
    body = {**body, "metadata": {"name": "a", "managedFields": [{"manager": "m"}]}}
    assert (await kube.raw("PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", body, APPLY)).status == 400
    text = b"kind: ConfigMap\napiVersion: v1\n"
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", text, APPLY)
    assert answer.status == 400, answer.content
    answer = await kube.raw("PATCH", f"{CONFIG_MAPS}/a?fieldManager=m", text + b"metadata: {name: a}", APPLY)
    assert (answer.status, answer.content["metadata"]["name"]) == (201, "a")


async def test_generated_names_and_collections(kube: Target) -> None:
    """A collection is deleted by label and by field."""
    for name in ("a", "b", "c"):
        await targets.create(kube.config_maps, targets.config_map(name, {"team": "x" if name != "c" else "y"}))
    query = "labelSelector=team%3Dx&fieldSelector=metadata.name%21%3Da"
    assert (await kube.raw("DELETE", f"{CONFIG_MAPS}?{query}")).status == 200
    assert [name for name in await targets.names(kube.config_maps) if len(name) == 1] == ["a", "c"]
