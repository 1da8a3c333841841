"""Sets of fields and who manages them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.sandbox.kube import fieldsets
from tests.unit.sandbox_kube.asking import JOBS, MERGE, PODS, Asker, Json, job, pod

MAPS = "/api/v1/namespaces/default/configmaps"
APPLY = "application/apply-patch+yaml"

_keys = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"'])
_trees = st.recursive(
    st.just({}),
    lambda inner: st.builds(
        lambda tree, own: tree | ({fieldsets.SELF: {}} if own and tree else {}),
        st.dictionaries(_keys, inner, max_size=3),
        st.booleans(),
    ),
    max_leaves=8,
)


def members(tree: Json) -> set[str]:
    return set(fieldsets.paths(tree))


@given(_trees, _trees)
def test_set_arithmetic(left: Json, right: Json) -> None:
    """Union, difference and intersection are those of the places in the sets."""
    assert members(fieldsets.union(left, right)) == members(left) | members(right)
    assert members(fieldsets.minus(left, right)) == members(left) - members(right)
    assert members(fieldsets.common(left, right)) == members(left) & members(right)
    assert members(left) <= members(fieldsets.with_parents(left))
    assert fieldsets.check(left)


@pytest.mark.parametrize("tree", [7, [], {"x:a": {}}, {"k:{": {}}, {"f:a": 7}, {".": {"f:a": {}}}])
def test_what_is_no_set(tree: Any) -> None:
    assert not fieldsets.check(tree)


def config(name: str = "a", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def apply(asker: Asker, manager: str, body: Json, force: bool = False) -> tuple[int, Any]:
    force_ = "&force=true" if force else ""
    return asker.ask("PATCH", f"{MAPS}/a?fieldManager={manager}{force_}", body, APPLY)


def managed(content: Json) -> dict[tuple[str, str], Json]:
    return {(one["manager"], one["operation"]): one["fieldsV1"] for one in content["metadata"]["managedFields"]}


def test_an_object_nobody_named_stays_small() -> None:
    """Writers without a name leave no entry; whoever applies then meets them as before-first-apply."""
    asker = Asker()
    made = asker.do("POST", MAPS, config(x="1"))
    assert "managedFields" not in made["metadata"]
    code, answer = apply(asker, "m", config(x="2"))
    assert (code, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.x'
    )  # fmt: skip
    assert answer["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    code, content = apply(asker, "m", config(x="2"), force=True)
    assert (code, content["data"]) == (200, {"x": "2"})
    assert managed(content) == {("m", "Apply"): {"f:data": {"f:x": {}}}}


def test_several_conflicts_are_told_at_once() -> None:
    asker = Asker()
    apply(asker, "one", config(x="1", y="1"))
    apply(asker, "two", config(z="1"))
    _, answer = apply(asker, "three", config(x="2", y="2", z="2"))
    assert answer["message"] == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.x\n- .data.y\nconflicts with "two":\n- .data.z'
    )


def test_the_same_value_is_shared() -> None:
    """Who agrees becomes one of the managers; the field goes when the last of them drops it."""
    asker = Asker()
    apply(asker, "one", config(x="1", y="1"))
    assert apply(asker, "two", config(x="1"))[0] == 200
    assert apply(asker, "one", config(y="1"))[1]["data"] == {"x": "1", "y": "1"}
    assert apply(asker, "two", config())[1]["data"] == {"y": "1"}


def test_applying_the_same_twice_writes_nothing() -> None:
    asker = Asker()
    _, first = apply(asker, "one", config(x="1"))
    version = asker.world.version
    assert apply(asker, "one", config(x="1")) == (200, first)
    assert asker.world.version == version


def test_later_writers_take_fields_over() -> None:
    """An update of an object with managers is told, under the name given or the program's."""
    asker = Asker()
    apply(asker, "one", config(x="1", y="1"))
    content = asker.do("PATCH", f"{MAPS}/a?fieldManager=by-hand", {"data": {"x": "2"}}, MERGE)
    assert managed(content) == {
        ("one", "Apply"): {"f:data": {"f:y": {}}},
        ("by-hand", "Update"): {"f:data": {"f:x": {}}},
    }
    code, answer = apply(asker, "one", config(x="1", y="1"))
    assert (code, 'conflict with "by-hand" using v1: .data.x' in answer["message"]) == (409, True)


def test_a_custom_resources_status_has_its_manager() -> None:
    """Custom resources are applied too, and created where they are not there."""
    asker = Asker()
    target = f"{JOBS}/a?fieldManager=m"
    code, made = asker.ask("PATCH", target, job("a", spec={"pulls": [{"number": 1}]}), APPLY)
    assert code == 201
    assert made["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {"f:job": {}, "f:pulls": {}, "f:type": {}}
    }  # fmt: skip
    assert made["spec"]["agent"] == "kubernetes"
    _, changed = asker.ask("PATCH", target, job("a"), APPLY)
    assert "pulls" not in changed["spec"]


def test_through_the_status_door_only_the_status_is_applied() -> None:
    """And through the other one everything else."""
    asker = Asker()
    asker.do("POST", PODS, pod("a"))
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"x": "y"}}}
    body["status"] = {"conditions": [{"type": "A", "status": "True"}]}
    code, content = asker.ask("PATCH", f"{PODS}/a/status?fieldManager=m", body, APPLY)
    assert (code, content["status"]["conditions"]) == (200, [{"type": "A", "status": "True"}])
    code, content = asker.ask("PATCH", f"{PODS}/a?fieldManager=n", body, APPLY)
    assert (code, content["metadata"]["labels"]) == (200, {"x": "y"})
    assert {entry["manager"]: entry.get("subresource", "") for entry in content["metadata"]["managedFields"]} == {
        "m": "status", "n": "", "before-first-apply": ""
    }  # fmt: skip


def test_a_dropped_item_goes_unless_somebody_else_has_it() -> None:
    """Items of keyed lists: of env only the dropped one goes; what another manager has stays, with its key."""
    asker = Asker()

    def container(*names: str) -> Json:
        env = [{"name": name, "value": "1"} for name in names]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}} | {
            "spec": {"containers": [{"name": "c", "image": "i", "env": env}]}
        }

    def ask(manager: str, body: Json) -> Json:
        code, content = asker.ask("PATCH", f"{PODS}/a?fieldManager={manager}&dryRun=All", body, APPLY)
        assert code < 300, content
        found: Json = content
        return found

    asker.ask("PATCH", f"{PODS}/a?fieldManager=one", container("A", "B"), APPLY)
    asker.ask("PATCH", f"{PODS}/a?fieldManager=two", container("B"), APPLY)
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    code, answer = asker.ask("PATCH", f"{PODS}/a?fieldManager=one&dryRun=All", body, APPLY)
    # A pod's env may not change: the refusal shows that exactly A would have gone, and B not.
    assert code == 422
    assert "spec" in answer["details"]["causes"][0]["field"]
    assert ask("two", container("B"))["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "1"},
    ]


def test_an_apply_through_another_name() -> None:
    """The name in the body, the namespace and the UID must be the object's."""
    asker = Asker()
    assert apply(asker, "m", config("other"))[0] == 400
    body = config()
    body["metadata"]["namespace"] = "other"
    assert apply(asker, "m", body)[0] == 400
    body["metadata"] = {"name": "a", "uid": "x"}
    assert apply(asker, "m", body)[0] == 409


def test_managers_can_be_forgotten() -> None:
    """An empty entry, as a JSON or merge patch, resets them; anything that is none is refused."""
    asker = Asker()
    apply(asker, "one", config(x="1"))
    code, _ = asker.ask("PATCH", f"{MAPS}/a", {"metadata": {"managedFields": [{"manager": 7}]}}, MERGE)
    assert code == 422
    assert "managedFields" not in asker.merge(f"{MAPS}/a", {"metadata": {"managedFields": [{}]}})["metadata"]
