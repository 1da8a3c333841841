"""How the server says no, and what it says about itself."""

from typing import Any

import msgspec
import pytest

from tests.contract import kube_targets as targets
from tests.contract.kube_targets import CONFIG_MAPS, PODS, PROWJOBS, Json, Target

pytestmark = pytest.mark.anyio


async def test_a_refusal_is_a_status(kube: Target) -> None:
    """Every part of Kubernetes' Status is there, in the words clients look for."""
    answer = await kube.raw("GET", f"{PROWJOBS}/none")
    assert answer.content == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'prowjobs.prow.k8s.io "none" not found',
        "reason": "NotFound",
        "details": {"name": "none", "group": "prow.k8s.io", "kind": "prowjobs"},
        "code": 404,
    }
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/json")


async def test_the_core_group_has_no_name(kube: Target) -> None:
    """Details of built-in kinds carry no group."""
    answer = await kube.raw("GET", f"{PODS}/none")
    assert answer.content["message"] == 'pods "none" not found'
    assert answer.content["details"] == {"name": "none", "kind": "pods"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/namespaces/{ns}/nonesuch", 404),
        ("GET", "/apis/nonesuch.example.com/v1/things", 404),
        ("GET", "/apis/prow.k8s.io/v2/prowjobs", 404),
        ("GET", PROWJOBS + "/a/status", 404),
        ("POST", CONFIG_MAPS + "/a", 405),
        ("PUT", CONFIG_MAPS, 405),
    ],
)
async def test_paths_that_lead_nowhere(kube: Target, method: str, path: str, status: int) -> None:
    """404 where there is no such resource, 405 where it does not do that."""
    body = targets.prowjob("a") if method != "GET" else None
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    assert (await kube.raw(method, path, body)).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (msgspec.json.encode(targets.config_map("a")), 400),
        (msgspec.json.encode(targets.prowjob("a") | {"apiVersion": "prow.k8s.io/v2"}), 400),
        (msgspec.json.encode(targets.prowjob("a") | {"metadata": {"name": "a", "namespace": "other"}}), 400),
        (msgspec.json.encode(targets.prowjob("a") | {"metadata": {"name": "a", "resourceVersion": "1"}}), 500),
    ],
)  # fmt: skip
async def test_bodies_that_do_not_fit(kube: Target, body: bytes, status: int) -> None:
    """Broken JSON, another kind, another namespace: refused, nothing is created."""
    answer = await kube.raw("POST", PROWJOBS, body)
    assert answer.status == status
    assert answer.content["kind"] == "Status"
    assert await targets.names(kube.prowjobs) == []


async def test_a_body_of_another_type(kube: Target) -> None:
    """What is no JSON by its own word is 415."""
    assert (await kube.raw("POST", CONFIG_MAPS, b"x", "text/plain")).status == 415


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("labelSelector=a%20b", 400),
        ("labelSelector=a%20in%20(", 400),
        ("fieldSelector=spec.none%3Dx", 400),
        ("limit=x", 400),
        ("continue=x", 400),
    ],
)
async def test_queries_that_do_not_read(kube: Target, query: str, status: int) -> None:
    """400, not an empty or a whole list."""
    assert (await kube.raw("GET", f"{CONFIG_MAPS}?{query}")).status == status


async def test_discovery(kube: Target) -> None:
    """The groups, their versions and their resources are told, the ProwJob's too."""
    groups = (await kube.raw("GET", "/apis")).content
    assert groups["kind"] == "APIGroupList"
    ours = next(group for group in groups["groups"] if group["name"] == "prow.k8s.io")
    assert ours["preferredVersion"] == {"groupVersion": "prow.k8s.io/v1", "version": "v1"}
    assert (await kube.raw("GET", "/api")).content["versions"] == ["v1"]
    listed = (await kube.raw("GET", "/apis/prow.k8s.io/v1")).content
    assert listed["groupVersion"] == "prow.k8s.io/v1"
    resource = next(one for one in listed["resources"] if one["name"] == "prowjobs")
    assert (resource["kind"], resource["singularName"], resource["namespaced"]) == ("ProwJob", "prowjob", True)
    assert {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"} <= set(resource["verbs"])
    core = {one["name"]: one for one in (await kube.raw("GET", "/api/v1")).content["resources"]}
    assert core["pods"]["shortNames"] == ["po"]
    assert {"pods/status", "pods/log", "configmaps", "secrets", "namespaces", "events"} <= set(core)


async def test_the_version(kube: Target) -> None:
    """Clients decide by it what to ask for."""
    version = (await kube.raw("GET", "/version")).content
    assert (version["major"], int(version["minor"]) >= 34) == ("1", True)


async def test_access_reviews(kube: Target) -> None:
    """An administrator may do everything."""
    review: Json = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": kube.namespace}},
    }
    answer = await kube.raw("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert (answer.status, answer.content["status"]["allowed"]) == (201, True)


async def test_unicode_and_size(kube: Target) -> None:
    """Text of any script and of some size comes back as it was sent."""
    text: dict[str, Any] = {"a": 'é 試験 \U0001f600 \\ " \n \u2028', "b": "x" * 500_000}
    await targets.create(kube.config_maps, targets.config_map("a", **text))
    assert (await targets.get(kube.config_maps, "a"))["data"] == text


@pytest.mark.parametrize("depth", [5_000, 200_000])
async def test_a_body_that_nests_deeply(kube: Target, depth: int) -> None:
    """Refused, or taken where the kind keeps no such thing; never the server's end."""
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"x":' + b"[" * depth + b"]" * depth + b"}"
    assert (await kube.raw("POST", CONFIG_MAPS, body)).status in {201, 400}
    assert (await kube.raw("GET", CONFIG_MAPS)).status == 200
