"""Custom resources that somebody defines: pruned, filled in, checked, shown and applied as their schema says."""

import anyio
import pytest

from tests.contract.kube_targets import STEP_S, Json, Target

pytestmark = pytest.mark.anyio
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
APPLY = "application/apply-patch+yaml"

SPEC: Json = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
            },
        },
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "whole": {
            "type": "object", "x-kubernetes-map-type": "atomic",
            "additionalProperties": {"type": "string"},
        },
    },
}  # fmt: skip


def definition(group: str) -> Json:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
        ],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "spec": SPEC,
                    "status": {"type": "object", "properties": {"done": {"type": "boolean"}}},
                },
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [version],
        },
    }


class Widgets:
    """A kind of the test's own on a server."""

    def __init__(self, kube: Target) -> None:
        self.kube = kube
        self.group = f"{kube.namespace}.example.com"
        self.path = f"/apis/{self.group}/v1/namespaces/{{ns}}/widgets"

    async def define(self) -> None:
        """Define it and wait until it is served."""
        assert (await self.kube.raw("POST", CRDS, definition(self.group))).status == 201
        with anyio.fail_after(STEP_S):
            while not (await self._is_established() and (await self.kube.raw("GET", self.path)).status == 200):
                await anyio.sleep(0.05)

    async def _is_established(self) -> bool:
        content = (await self.kube.raw("GET", f"{CRDS}/widgets.{self.group}")).content
        conditions = content.get("status", {}).get("conditions") or []
        return {"type": "Established", "status": "True"} in [
            {key: one[key] for key in ("type", "status")} for one in conditions
        ]

    def make(self, **spec: object) -> Json:
        return {"apiVersion": f"{self.group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec}


@pytest.fixture
async def widgets(kube: Target) -> Widgets:
    found = Widgets(kube)
    await found.define()
    return found


async def test_pruned_and_filled_in(widgets: Widgets) -> None:
    """Unknown fields go, defaults come, also in the items of lists; what is free is kept."""
    spec = {"size": 3, "bogus": 1, "free": {"any": [1]}, "parts": [{"name": "x", "odd": 2}]}
    made = await widgets.kube.raw("POST", widgets.path, widgets.make(**spec))
    assert made.status == 201
    assert made.content["spec"] == {
        "size": 3, "color": "red", "free": {"any": [1]}, "parts": [{"name": "x", "count": 1}]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.size"),
        ({"size": 0}, "spec.size"),
        ({"size": 10}, "spec.size"),
        ({"size": "3"}, "spec.size"),
        ({"size": 3, "color": "green"}, "spec.color"),
        ({"size": 3, "parts": [{"count": 1}]}, "spec.parts[0].name"),
        ({"size": 3, "parts": [{"name": "x"}, {"name": "x"}]}, "spec.parts[1]"),
        ({"size": 3, "tags": ["x", "y", "x"]}, "spec.tags[2]"),
    ],
)
async def test_checked(widgets: Widgets, spec: Json, field: str) -> None:
    """422 with the field, and nothing is made."""
    answer = await widgets.kube.raw("POST", widgets.path, widgets.make(**spec))
    assert (answer.status, answer.content["reason"]) == (422, "Invalid")
    assert field in [cause["field"] for cause in answer.content["details"]["causes"]]
    assert (await widgets.kube.raw("GET", widgets.path)).content["items"] == []


async def test_its_columns(widgets: Widgets) -> None:
    """Those of the definition, after the name."""
    await widgets.kube.raw("POST", widgets.path, widgets.make(size=3))
    table = (await widgets.kube.raw("GET", widgets.path, accept=TABLE)).content
    heads = [(head["name"], head["priority"]) for head in table["columnDefinitions"]]
    assert heads == [("Name", 0), ("Size", 0), ("Color", 1)]
    assert table["rows"][0]["cells"] == ["a", 3, "red"]


async def test_its_status(widgets: Widgets) -> None:
    """Written through its own door only, and without a new generation."""
    made = widgets.make(size=3) | {"status": {"done": True}}
    assert "status" not in (await widgets.kube.raw("POST", widgets.path, made)).content
    merge = "application/merge-patch+json"
    patch = {"status": {"done": True}, "spec": {"size": 4}}
    changed = (await widgets.kube.raw("PATCH", f"{widgets.path}/a/status", patch, merge)).content
    assert (changed["status"], changed["spec"]["size"], changed["metadata"]["generation"]) == ({"done": True}, 3, 1)
    changed = (await widgets.kube.raw("PATCH", f"{widgets.path}/a", patch | {"status": None}, merge)).content
    assert (changed["status"], changed["spec"]["size"], changed["metadata"]["generation"]) == ({"done": True}, 4, 2)


async def test_applied_by_its_lists(widgets: Widgets) -> None:
    """Keyed lists and sets are shared item by item; atomic maps are taken whole."""

    async def apply(manager: str, **spec: object) -> Json:
        answer = await widgets.kube.raw(
            "PATCH", f"{widgets.path}/a?fieldManager={manager}", widgets.make(**spec), APPLY
        )
        assert answer.status in {200, 201, 409}, answer.content
        found: Json = answer.content
        return found

    await apply("one", size=3, parts=[{"name": "x", "count": 2}], tags=["t"], whole={"k": "1"})
    both = await apply("two", parts=[{"name": "y", "count": 5}], tags=["u"])
    assert both["spec"]["parts"] == [{"name": "x", "count": 2}, {"name": "y", "count": 5}]
    assert both["spec"]["tags"] == ["t", "u"]
    refused = await apply("two", whole={"l": "2"})
    assert refused["message"].endswith('conflict with "one": .spec.whole')
    refused = await apply("two", parts=[{"name": "x", "count": 3}])
    assert refused["message"].endswith('conflict with "one": .spec.parts[name="x"].count')
    left = await apply("one", size=3, whole={"l": "2"})
    assert (left["spec"]["parts"], left["spec"]["tags"]) == ([{"name": "y", "count": 5}], ["u"])
    assert left["spec"]["whole"] == {"l": "2"}


async def test_gone_with_itsdefinition(widgets: Widgets) -> None:
    """Deleting the definition deletes what it defines."""
    await widgets.kube.raw("POST", widgets.path, widgets.make(size=3))
    assert (await widgets.kube.raw("DELETE", f"{CRDS}/widgets.{widgets.group}")).status == 200
    with anyio.fail_after(STEP_S):
        while (await widgets.kube.raw("GET", widgets.path)).status != 404:
            await anyio.sleep(0.05)
