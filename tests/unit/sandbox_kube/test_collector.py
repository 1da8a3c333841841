"""Cascading deletes: what becomes of objects whose owners go."""

from typing import Any

import pytest

from tests.unit.sandbox_kube.asking import JOBS, PODS, Asker, Json, job, pod

MAPS = "/api/v1/namespaces/default/configmaps"


def owned(name: str, *owners: Json, block: bool = False, **meta: Any) -> Json:
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references} | meta,
    }


def names(asker: Asker, target: str = MAPS) -> list[str]:
    return [item["metadata"]["name"] for item in asker.do("GET", target)["items"]]


def test_in_the_background() -> None:
    """Dependents go with their owner, and theirs with them, across kinds."""
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    below = asker.do("POST", MAPS, owned("below", owner))
    asker.do("POST", MAPS, owned("beneath", below))
    asker.do("POST", MAPS, owned("stays"))
    answer = asker.do("DELETE", f"{JOBS}/owner", {"propagationPolicy": "Background"})
    assert answer["status"] == "Success"
    assert names(asker) == ["stays"]


def test_in_the_foreground() -> None:
    """The owner waits for those that block it; of those with finalizers it waits until these are gone."""
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    asker.do("POST", MAPS, owned("held", owner, block=True, finalizers=["example.com/a"]))
    asker.do("POST", MAPS, owned("free", owner, block=True))
    answer = asker.do("DELETE", f"{JOBS}/owner", {"propagationPolicy": "Foreground"})
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert names(asker) == ["held"]
    assert names(asker, JOBS) == ["owner"]
    assert asker.do("GET", f"{MAPS}/held")["metadata"]["deletionTimestamp"]
    asker.merge(f"{MAPS}/held", {"metadata": {"finalizers": None}})
    assert (names(asker), names(asker, JOBS)) == ([], [])


def test_what_does_not_block_is_not_waited_for() -> None:
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    asker.do("POST", MAPS, owned("held", owner, finalizers=["example.com/a"]))
    asker.do("DELETE", f"{JOBS}/owner", {"propagationPolicy": "Foreground"})
    assert names(asker, JOBS) == []
    assert asker.do("GET", f"{MAPS}/held")["metadata"]["deletionTimestamp"]


def test_the_foreground_goes_down_the_chain() -> None:
    """A dependent with dependents of its own waits for these; then all go."""
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    middle = asker.do("POST", MAPS, owned("middle", owner, block=True))
    asker.do("POST", MAPS, owned("last", middle, block=True, finalizers=["example.com/a"]))
    asker.do("DELETE", f"{JOBS}/owner", {"propagationPolicy": "Foreground"})
    assert (names(asker), names(asker, JOBS)) == (["last", "middle"], ["owner"])
    asker.merge(f"{MAPS}/last", {"metadata": {"finalizers": None}})
    assert (names(asker), names(asker, JOBS)) == ([], [])


@pytest.mark.parametrize("policy", ["Foreground", "Background"])
def test_owners_in_a_circle(policy: str) -> None:
    """Each owns the other: they go together, and neither waits for the other for ever."""
    asker = Asker()
    first = asker.do("POST", JOBS, job("first"))
    second = asker.do("POST", MAPS, owned("second", first, block=True))
    references = owned("x", second, block=True)["metadata"]["ownerReferences"]
    asker.merge(f"{JOBS}/first", {"metadata": {"ownerReferences": references}})
    asker.do("DELETE", f"{JOBS}/first", {"propagationPolicy": policy})
    assert (names(asker), names(asker, JOBS)) == ([], [])


@pytest.mark.parametrize("body", [{"propagationPolicy": "Orphan"}, {"orphanDependents": True}])
def test_orphans(body: Json) -> None:
    """They lose the reference and stay; references to others are kept."""
    asker = Asker()
    owner, other = (asker.do("POST", JOBS, job(name)) for name in ("owner", "other"))
    asker.do("POST", MAPS, owned("one", owner))
    asker.do("POST", MAPS, owned("two", owner, other))
    asker.do("DELETE", f"{JOBS}/owner", body)
    assert names(asker, JOBS) == ["other"]
    assert "ownerReferences" not in asker.do("GET", f"{MAPS}/one")["metadata"]
    (left,) = asker.do("GET", f"{MAPS}/two")["metadata"]["ownerReferences"]
    assert left["name"] == "other"


def test_one_of_two_owners_is_enough() -> None:
    """The reference to the one that is gone goes; with the last owner the dependent goes."""
    asker = Asker()
    first, second = (asker.do("POST", JOBS, job(name)) for name in ("first", "second"))
    asker.do("POST", MAPS, owned("below", first, second))
    asker.do("DELETE", f"{JOBS}/first")
    (left,) = asker.do("GET", f"{MAPS}/below")["metadata"]["ownerReferences"]
    assert left["name"] == "second"
    asker.do("DELETE", f"{JOBS}/second")
    assert names(asker) == []


def test_owners_that_never_were() -> None:
    """A reference to another UID is to nobody; one to a kind not served here is believed."""
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    wrong = {**owner, "metadata": {"name": "owner", "uid": "other"}}
    elsewhere = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "uid": "u"}}
    asker.do("POST", MAPS, owned("wrong", wrong))
    asker.do("POST", MAPS, owned("elsewhere", elsewhere))
    assert names(asker) == ["elsewhere"]


def test_pods_get_their_grace_period() -> None:
    """A pod on a node is marked, not removed."""
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    meta = owned("x", owner)["metadata"]
    asker.do("POST", PODS, pod("p", metadata=meta | {"name": "p"}, spec={"nodeName": "n"}))
    asker.do("DELETE", f"{JOBS}/owner")
    assert asker.do("GET", f"{PODS}/p")["metadata"]["deletionGracePeriodSeconds"] == 30


def test_many_dependents() -> None:
    """Thousands go in one go."""
    asker = Asker()
    owner = asker.do("POST", JOBS, job("owner"))
    for number in range(2000):
        asker.do("POST", MAPS, owned(f"m{number}", owner, block=True))
    asker.do("DELETE", f"{JOBS}/owner", {"propagationPolicy": "Foreground"})
    assert (names(asker), names(asker, JOBS)) == ([], [])


@pytest.mark.parametrize(
    "reference", [{"apiVersion": "v1", "kind": "Pod", "name": "x"}, {"uid": 7, "apiVersion": "v1", "kind": "Pod"}]
)
def test_references_that_say_too_little(reference: Json) -> None:
    code, answer = Asker().ask("POST", MAPS, {"metadata": {"name": "a", "ownerReferences": [reference]}})
    assert code == 422
    assert any("metadata.ownerReferences[0]" in cause["field"] for cause in answer["details"]["causes"])


def test_a_policy_that_does_not_exist() -> None:
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    for body in ({"propagationPolicy": "Sideways"}, {"propagationPolicy": "Orphan", "orphanDependents": True}):
        assert asker.ask("DELETE", f"{JOBS}/a", body)[0] == 422
    assert names(asker, JOBS) == ["a"]
