"""Whatever is asked, the world answers: no exception leaves it, and nothing half done stays."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prow_async.sandbox.kube import exchange
from tests.unit.sandbox_kube.asking import (
    CRDS,
    JOBS,
    JSON_PATCH,
    MERGE,
    NOW_S,
    PODS,
    TABLE,
    Asker,
    Json,
    definition,
    job,
    pod,
)

STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
_fields = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "status", "data", "involvedObject", "target", "op"]
)
_metadata = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "generateName",
            "namespace",
            "uid",
            "labels",
            "annotations",
            "finalizers",
            "ownerReferences",
            "managedFields",
        ]
    ),
    st.sampled_from(["a", "", "a-", None, [], ["x/y"], {}, {"a": "b"}, {"a": None}, 7, [{}], [{"uid": 1}]]),
    max_size=4,
)
_objects = st.dictionaries(_fields, _values, max_size=4) | st.builds(
    lambda meta, spec: {"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": meta, "spec": spec},
    _metadata,
    _values,
)
_pods = st.builds(
    lambda meta, spec, state: {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": state},
    _metadata,
    st.dictionaries(st.sampled_from(["containers", "initContainers", "nodeName", "tolerations"]), _values) | _values,
    _values,
)
_targets = st.sampled_from(
    [
        PODS,
        f"{PODS}/a",
        f"{PODS}/a/status",
        f"{PODS}/a/log",
        f"{PODS}/a/binding",
        JOBS,
        f"{JOBS}/a",
        f"{CRDS}/prowjobs.prow.k8s.io",
        "/api/v1/namespaces/default/events",
        "/apis/events.k8s.io/v1/namespaces/default/events",
        "/api/v1/namespaces/default/configmaps",
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces",
        "/apis/coordination.k8s.io/v1/namespaces/default/leases/a",
        "/api/v1/namespaces/%2e%2e/pods/%00",
        "//",
        "/apis",
        "*",
        "",
    ]
)
_queries = st.dictionaries(
    st.sampled_from(
        [
            "watch",
            "limit",
            "continue",
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
            "dryRun",
            "fieldManager",
            "fieldValidation",
            "force",
            "propagationPolicy",
        ]
    ),
    st.sampled_from(["", "1", "true", "a", "All", "99", "-1", "a=b", "metadata.name=a", "😀", "Strict", "Orphan"]),
    max_size=3,
)
_media = st.sampled_from(["application/json", MERGE, JSON_PATCH, STRATEGIC, APPLY, PROTOBUF, "", "text/plain;;"])
_methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO"])


@settings(max_examples=400)
@given(_methods, _targets, _queries, _media, _objects | _pods | _values | st.lists(_objects, max_size=2))
def test_any_request_gets_an_answer(method: str, path: str, query: dict[str, str], media: str, body: Any) -> None:
    """Statuses stay below 500 (but for the two that Kubernetes itself gives), and what is stored still reads."""
    asker = Asker()
    asker.do("POST", PODS, pod("a"))
    asker.do("POST", JOBS, job("a"))
    raw = msgspec.json.encode(body) if abs_fits(body) else b"{}"
    headers = {"content-type": media}
    outcome = asker.world.handle(exchange.Request(method, path, query, headers, raw), NOW_S)
    if isinstance(outcome, exchange.Answer):
        assert outcome.code < 500 or (outcome.code == 500 and b"resourceVersion" in outcome.body) or outcome.code == 504
    for plural in ("pods", "prowjobs", "events", "configmaps", "secrets", "namespaces", "leases"):
        asker.world.objects(plural)
    assert asker.answer("GET", PODS, headers={"accept": TABLE}).code == 200


_directives = st.dictionaries(
    st.sampled_from(["$patch", "$retainKeys", "name", "$deleteFromPrimitiveList/finalizers", "image", "finalizers"]),
    st.sampled_from(["delete", "replace", "merge", "a", None, ["a"], [], {}, 7, True]),
    max_size=3,
)


@settings(max_examples=300)
@given(st.sampled_from([STRATEGIC, APPLY]), _directives, st.lists(_directives | _values, max_size=3), _metadata)
def test_patches_with_odd_parts(media: str, odd: Json, items: list[Any], meta: Json) -> None:
    """Directives and items anywhere: the pod is changed in a way that reads, or not at all."""
    asker = Asker()
    asker.do("POST", PODS, pod("a"))
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": items, "volumes": [odd], **odd}}
    for query in ("fieldManager=one", "fieldManager=two&force=1", "fieldManager=one&fieldValidation=Strict"):
        code, _ = asker.ask("PATCH", f"{PODS}/a?{query}", body, media)
        assert code < 500
    for item in asker.do("GET", PODS)["items"]:
        managed = item["metadata"].get("managedFields", [])
        assert all(entry["operation"] in {"Apply", "Update"} for entry in managed)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_protobuf(raw: bytes) -> None:
    """Bytes that are none, or of kinds not known here, are refused."""
    asker = Asker()
    named = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12" + bytes([len(raw)])
    for body in (raw, b"k8s\0" + raw, named + raw):
        code, _ = asker.ask("POST", "/api/v1/namespaces/default/configmaps", body, PROTOBUF)
        assert code in {201, 400, 409, 415, 422}


_KINDS: list[tuple[str, str, str, list[str]]] = [
    (PODS, "v1", "Pod", ["spec", "status"]),
    (CRDS, "apiextensions.k8s.io/v1", "CustomResourceDefinition", ["spec", "status"]),
    ("/api/v1/namespaces/default/events", "v1", "Event", ["involvedObject", "source", "count", "message"]),
    ("/api/v1/namespaces/default/secrets", "v1", "Secret", ["data", "stringData", "type"]),
    ("/api/v1/namespaces/default/configmaps", "v1", "ConfigMap", ["data", "binaryData"]),
    ("/api/v1/namespaces", "v1", "Namespace", ["spec", "status"]),
    ("/api/v1/nodes", "v1", "Node", ["spec", "status"]),
    ("/apis/coordination.k8s.io/v1/namespaces/default/leases", "coordination.k8s.io/v1", "Lease", ["spec"]),
]
_names = st.sampled_from(
    [
        "containers", "name", "image", "state", "waiting", "reason", "terminated", "env", "phase", "nodeName",
        "terminationGracePeriodSeconds", "spec", "names", "plural", "kind", "group", "scope", "versions",
        "served", "storage", "schema", "openAPIV3Schema", "properties", "required", "enum", "type", "default",
        "items", "additionalPrinterColumns", "jsonPath", "holderIdentity", "leaseDurationSeconds",
        "containerStatuses", "conditions", "a",
    ]
)  # fmt: skip
_leaves = st.sampled_from(["a", "object", "array", "string", "Pending", True, 5, -5, 10**18, 1.5, [], {}, None])
_wild = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=16,
)


@settings(max_examples=200)
@given(st.sampled_from(_KINDS), st.data())
def test_odd_values_in_known_places(kind: tuple[str, str, str, list[str]], data: st.DataObject) -> None:
    """Wrong types in the fields the server looks into are refused, or kept and listed, shown, changed and deleted."""
    asker = Asker()
    target, api_version, word, fields = kind
    content = {"apiVersion": api_version, "kind": word, "metadata": {"name": "a"}}
    content |= data.draw(st.dictionaries(st.sampled_from(fields), _wild, min_size=1))
    made = asker.answer("POST", target, content)
    assert made.code in {201, 400, 422}
    if made.code != 201:
        asker.do("POST", PODS, pod("a"))
    for door in ("", "/status"):
        patched = asker.answer("PATCH", f"{target}/a{door}", data.draw(_wild), {"content-type": MERGE})
        assert patched.code in {200, 400, 404, 422}
    assert asker.answer("GET", target, headers={"accept": TABLE}).code == 200
    options = {"gracePeriodSeconds": data.draw(st.sampled_from([None, 0, -1, 10**17]))}
    assert asker.answer("DELETE", f"{target}/a", options).code in {200, 404}


def test_a_grace_period_beyond_time() -> None:
    """A pod asked to end after the end of time is given the longest time there is."""
    asker = Asker()
    asker.do("POST", PODS, pod("a", spec={"nodeName": "n", "terminationGracePeriodSeconds": 10**18}))
    assert asker.do("DELETE", f"{PODS}/a")["metadata"]["deletionGracePeriodSeconds"] == 2**31 - 1


SCHEMAS: list[Any] = [
    {"required": 5},
    {"required": [5]},
    {"enum": 5},
    {"format": 5},
    {"pattern": 5},
    {"default": float("1e300")},
    {"properties": {"spec": None}},
    {"x-kubernetes-embedded-resource": True},
]


@pytest.mark.parametrize("part", SCHEMAS)
def test_odd_schemas(part: Any) -> None:
    """A schema with a keyword of a wrong type is refused, never met later."""
    asker = Asker()
    root = {"type": "object", "properties": {"spec": {"type": "object"} | part}}
    changed = definition(schema={"openAPIV3Schema": root})["spec"]
    code, _ = asker.ask("PATCH", f"{CRDS}/prowjobs.prow.k8s.io", {"spec": changed}, MERGE)
    assert code in {200, 422}
    assert asker.answer("POST", JOBS, job("a")).code in {201, 422}


def abs_fits(body: Any) -> bool:
    """Tell whether JSON numbers in `body` can be written."""
    try:
        msgspec.json.encode(body)
    except OverflowError:
        return False
    return True


@pytest.mark.parametrize(
    "body",
    [
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\\ud800"}}',
        b'{"apiVersion":"prow.k8s.io/v1","kind":"ProwJob","metadata":{"name":"b"},"spec":'
        b'{"job":"x","type":"periodic","max_concurrency":123456789012345678901234567890}}',
        b'{"apiVersion":"prow.k8s.io/v1","kind":"ProwJob","metadata":{"name":"b"},"spec":'
        b'{"job":"x","type":"periodic","max_concurrency":1e999}}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"\x00",
    ],
)
def test_bodies_at_the_edge(body: bytes) -> None:
    """Broken text, numbers beyond every type and deep nesting are refused or stored, never half stored."""
    asker = Asker()
    for target in (PODS, JOBS):
        assert asker.answer("POST", target, body).code in {201, 400, 422}
        assert asker.answer("GET", target).code == 200


def test_deep_patches() -> None:
    """A patch nested deeper than the interpreter's stack is refused."""
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    for depth in (300, 600, 900, 3_000):
        patch = b'{"spec":' + b'{"pod_spec":' * depth + b"1" + b"}" * depth + b"}"
        assert asker.answer("PATCH", f"{JOBS}/a", patch, {"content-type": MERGE}).code in {200, 400, 422}
    assert asker.answer("GET", JOBS).code == 200


def test_a_definition_without_a_shape_for_its_kind_is_harmless() -> None:
    """Printer columns that lead nowhere, or to odd values, leave the cell empty."""
    asker = Asker()
    columns = [
        {"name": "A", "type": "integer", "jsonPath": ".spec.job"},
        {"name": "B", "type": "date", "jsonPath": ".spec.job"},
        {"name": "C", "type": "string", "jsonPath": ".nope.nope"},
        {"name": "D", "type": "date", "jsonPath": ".spec"},
    ]
    asker.merge(f"{CRDS}/prowjobs.prow.k8s.io", {"spec": definition(additionalPrinterColumns=columns)["spec"]})
    asker.do("POST", JOBS, job("a"))
    _, table = asker.ask("GET", JOBS, accept=TABLE)
    assert table["rows"][0]["cells"] == ["a", None, "<invalid>", None, None]
