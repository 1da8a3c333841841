"""Lists, pages, watches, tables, discovery, definitions: asked as a client asks."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prow_async.api import errors
from prow_async.sandbox.kube import exchange, world
from tests.unit.sandbox_kube.asking import (
    CRDS,
    JOBS,
    MERGE,
    NOW_S,
    PODS,
    TABLE,
    Asker,
    CountedIds,
    definition,
    job,
    names,
    pod,
    told,
)


def listed(content: Any) -> list[str]:
    return [one["metadata"]["name"] for one in content["items"]]


def test_lists() -> None:
    """A list is in order of namespace and name, and carries the version it is true for."""
    asker = Asker()
    asker.do("POST", "/api/v1/namespaces", {"metadata": {"name": "aa"}})
    for name in ("b", "a", "c"):
        asker.do("POST", JOBS, job(name))
    asker.do("POST", JOBS.replace("default", "aa"), job("z"))
    found = asker.do("GET", "/apis/prow.k8s.io/v1/prowjobs")
    assert listed(found) == ["z", "a", "b", "c"]
    assert (found["kind"], found["apiVersion"]) == ("ProwJobList", "prow.k8s.io/v1")
    assert found["metadata"] == {"resourceVersion": str(asker.world.version)}
    assert listed(asker.do("GET", JOBS)) == ["a", "b", "c"]
    assert listed(asker.do("GET", "/api/v1/namespaces/nope/pods")) == []


def test_field_and_label_selectors() -> None:
    """Selectors narrow a list."""
    asker = Asker()
    asker.do("POST", PODS, pod("a", metadata={"labels": {"app": "x"}}, spec={"nodeName": "n"}))
    asker.do("POST", PODS, pod("b", metadata={"labels": {"app": "y"}}))
    assert listed(asker.do("GET", f"{PODS}?labelSelector=app+in+(x)")) == ["a"]
    assert listed(asker.do("GET", f"{PODS}?fieldSelector=spec.nodeName%3Dn,status.phase%3DPending")) == ["a"]
    assert listed(asker.do("GET", f"{PODS}?fieldSelector=metadata.name%21%3Da")) == ["b"]
    assert asker.ask("GET", f"{PODS}?fieldSelector=spec.nope%3D1")[0] == 400
    assert asker.ask("GET", f"{PODS}?labelSelector=a%3D%3D%3Db")[0] == 400


def test_pages_show_one_snapshot() -> None:
    """Later pages show what the first saw: not what was made since, but what was deleted or changed since."""
    asker = Asker()
    for name in "abcdef":
        asker.do("POST", JOBS, job(name))
    first = asker.do("GET", f"{JOBS}?limit=2")
    assert (listed(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 4)
    asker.do("DELETE", f"{JOBS}/c")
    asker.do("POST", JOBS, job("ca"))
    asker.merge(f"{JOBS}/d", {"spec": {"job": "changed"}})
    second = asker.do("GET", f"{JOBS}?limit=2&continue={first['metadata']['continue']}")
    assert listed(second) == ["c", "d"]
    assert second["items"][1]["spec"]["job"] == "x"
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    third = asker.do("GET", f"{JOBS}?limit=2&continue={second['metadata']['continue']}")
    assert listed(third) == ["e", "f"]
    assert "continue" not in third["metadata"]


def test_old_pages_expire_but_can_be_gone_on_with() -> None:
    """After compaction a token gets 410 with a token that goes on without the snapshot."""
    asker = Asker()
    for name in "abcd":
        asker.do("POST", JOBS, job(name))
    token = asker.do("GET", f"{JOBS}?limit=2")["metadata"]["continue"]
    asker.do("DELETE", f"{JOBS}/c")
    asker.world.compact()
    code, status = asker.ask("GET", f"{JOBS}?limit=2&continue={token}")
    assert (code, status["reason"]) == (410, "Expired")
    loose = status["metadata"]["continue"]
    asker.do("POST", JOBS, job("e"))
    asker.do("POST", JOBS, job("f"))
    page = asker.do("GET", f"{JOBS}?limit=2&continue={loose}")
    assert listed(page) == ["d", "e"]
    assert listed(asker.do("GET", f"{JOBS}?continue={page['metadata']['continue']}")) == ["f"]


def _token(content: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=x", 400),
        ("limit=-1", 200),
        ("continue=abc", 400),
        ("continue=!!!", 400),
        ("continue=" + _token({"rv": "x", "start": "a"}), 400),
        ("continue=" + _token({"rv": -2, "start": "a"}), 400),
        ("continue=" + _token({"rv": 10**9, "start": "a"}), 504),
        ("resourceVersion=x", 400),
        ("resourceVersion=0", 200),
        ("resourceVersion=1", 200),
        ("resourceVersion=99999", 504),
        ("resourceVersion=1&continue=" + _token({"rv": 1, "start": "a"}), 400),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422),
        ("resourceVersionMatch=Other&resourceVersion=1", 422),
        ("resourceVersionMatch=NotOlderThan&resourceVersion=1", 200),
        ("sendInitialEvents=true", 422),
        ("watch=1&sendInitialEvents=true", 422),
        ("watch=1&resourceVersionMatch=NotOlderThan", 422),
        ("watch=1&timeoutSeconds=x", 400),
        ("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=99999", 504),
    ],
)
def test_list_options(query: str, code: int) -> None:
    """Options that make no sense are refused as the real server refuses them."""
    assert Asker().answer("GET", f"{JOBS}?{query}").code == code


def test_exact_lists() -> None:
    """A list can be asked for as of an older version, until that is forgotten."""
    asker = Asker()
    version = asker.do("POST", JOBS, job("a"))["metadata"]["resourceVersion"]
    asker.do("POST", JOBS, job("b"))
    target = f"{JOBS}?resourceVersion={version}&resourceVersionMatch=Exact"
    assert listed(asker.do("GET", target)) == ["a"]
    asker.world.compact()
    assert asker.ask("GET", target)[0] == 410


def test_a_watch_tells_what_exists_then_what_changes() -> None:
    """Without a resourceVersion a watch starts with what is there."""
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    watch = asker.watch(f"{JOBS}?watch=true")
    asker.do("POST", JOBS, job("b"))
    asker.merge(f"{JOBS}/a", {"spec": {"job": "y"}})
    asker.do("DELETE", f"{JOBS}/b")
    assert names(watch) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]


def test_a_watch_goes_on_from_a_version() -> None:
    """Changes after the version are told, once each; a deletion carries its own, newer version."""
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    version = asker.world.version
    asker.do("POST", JOBS, job("b"))
    watch = asker.watch(f"{JOBS}?watch=1&resourceVersion={version}")
    asker.do("DELETE", f"{JOBS}/a")
    events = told(watch)
    assert [(kind, one["metadata"]["name"]) for kind, one in events] == [("ADDED", "b"), ("DELETED", "a")]
    assert events[1][1]["metadata"]["resourceVersion"] == str(asker.world.version)


def test_a_watch_of_a_selection() -> None:
    """What enters a selection is ADDED, what leaves it is DELETED as it was, under the version of the change."""
    asker = Asker()
    watch = asker.watch(f"{JOBS}?watch=1&labelSelector=app%3Dx&resourceVersion={asker.world.version}")
    asker.do("POST", JOBS, job("a"))
    asker.merge(f"{JOBS}/a", {"metadata": {"labels": {"app": "x"}}})
    asker.merge(f"{JOBS}/a", {"spec": {"job": "y"}})
    asker.merge(f"{JOBS}/a", {"metadata": {"labels": {"app": "z"}}, "spec": {"job": "w"}})
    left = asker.world.version
    asker.do("DELETE", f"{JOBS}/a")
    events = told(watch)
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
    last = events[-1][1]
    assert (last["spec"]["job"], last["metadata"]["labels"]) == ("y", {"app": "x"})
    assert last["metadata"]["resourceVersion"] == str(left)


def test_a_watch_of_one_namespace() -> None:
    """A watch in a namespace hears nothing of others."""
    asker = Asker()
    asker.do("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    watch = asker.watch(f"{JOBS}?watch=1&resourceVersion={asker.world.version}")
    asker.do("POST", JOBS.replace("default", "other"), job("a"))
    asker.do("POST", JOBS, job("b"))
    assert names(watch) == [("ADDED", "b")]


def test_watch_list() -> None:
    """A WatchList streams what exists, then the marked bookmark, then news; without bookmarks allowed, no mark."""
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    marked = asker.watch(f"{JOBS}?{query}&allowWatchBookmarks=true")
    bare = asker.watch(f"{JOBS}?{query}")
    at = str(asker.world.version)
    asker.do("POST", JOBS, job("b"))
    events = told(marked)
    assert [kind for kind, _ in events] == ["ADDED", "BOOKMARK", "ADDED"]
    mark = events[1][1]
    assert mark["metadata"] == {"resourceVersion": at, "annotations": {"k8s.io/initial-events-end": "true"}}
    assert mark["kind"] == "ProwJob"
    assert names(bare) == [("ADDED", "a"), ("ADDED", "b")]


@pytest.mark.parametrize("how", ["compaction", "history"])
def test_a_watch_from_too_far_back(how: str) -> None:
    """History is bounded: an older start gets 410 Expired in the stream, which then ends."""
    asker = Asker(history_limit=3)
    asker.do("POST", JOBS, job("a"))
    start = asker.world.version
    for number in range(4 if how == "history" else 1):
        asker.merge(f"{JOBS}/a", {"spec": {"job": f"j{number}"}})
    if how == "compaction":
        asker.world.compact()
    watch = asker.watch(f"{JOBS}?watch=1&resourceVersion={start}")
    ((kind, status),) = told(watch)
    assert (kind, status["code"], status["reason"], watch.closed) == ("ERROR", 410, "Expired", True)
    assert not asker.watch(f"{JOBS}?watch=1&resourceVersion={asker.world.version}").closed


def test_an_open_watch_outlives_compaction() -> None:
    """Compaction ends no watch that is open."""
    asker = Asker()
    watch = asker.watch(f"{JOBS}?watch=1&resourceVersion={asker.world.version}")
    asker.world.compact()
    asker.do("POST", JOBS, job("a"))
    assert names(watch) == [("ADDED", "a")]


def test_watchers_share_bytes_and_leave() -> None:
    """Two plain watches get the very same line; a closed one gets nothing more."""
    asker = Asker()
    first, second = (asker.watch(f"{JOBS}?watch=1&resourceVersion={asker.world.version}") for _ in range(2))
    asker.do("POST", JOBS, job("a"))
    assert first.take()[0] is second.take()[0]
    first.close()
    asker.do("POST", JOBS, job("b"))
    assert first.take() == []
    assert names(second) == [("ADDED", "b")]


def test_tables() -> None:
    """A table has the definition's columns; of several values the first is shown; dates are ages."""
    asker = Asker()
    spec = {"pulls": [{"number": 7}, {"number": 8}]}
    asker.do("POST", JOBS, job("a", spec=spec, status={"state": "triggered", "startTime": "2023-11-14T22:12:20Z"}))
    asker.do("POST", JOBS, job("b", status={"state": "triggered", "startTime": None}))
    _, table = asker.ask("GET", JOBS, accept=f"{TABLE},application/json")
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Job", "Pulls", "StartTime"]
    assert [row["cells"] for row in table["rows"]] == [["a", "x", "7", "60s"], ["b", "x", None, None]]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    _, bare = asker.ask("GET", f"{JOBS}/a?includeObject=None", accept=TABLE)
    assert [(row["cells"][0], row["object"]) for row in bare["rows"]] == [("a", None)]
    _, whole = asker.ask("GET", f"{JOBS}/a?includeObject=Object", accept=TABLE)
    assert whole["rows"][0]["object"]["spec"]["job"] == "x"


def test_a_table_of_pods() -> None:
    """Pods show kubectl's own columns."""
    asker = Asker()
    asker.do("POST", PODS, pod("a"))
    asker.now_s = NOW_S + 300
    _, table = asker.ask("GET", PODS, accept=TABLE)
    assert [column["name"] for column in table["columnDefinitions"][:5]] == [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
    ]
    assert table["rows"][0]["cells"][:5] == ["a", "0/1", "Pending", "0", "5m"]


@pytest.mark.parametrize("plural", ["configmaps", "secrets", "namespaces", "nodes", "events", "serviceaccounts"])
def test_a_table_of_everything(plural: str) -> None:
    """Every kind answers a table request with as many cells as columns."""
    asker = Asker()
    kind = {"configmaps": "ConfigMap", "secrets": "Secret", "nodes": "Node", "serviceaccounts": "ServiceAccount"}
    target = f"/api/v1/namespaces/default/{plural}"
    if plural in {"namespaces", "nodes"}:
        target = f"/api/v1/{plural}"
    content = {"apiVersion": "v1", "kind": kind.get(plural, plural[:-1].title()), "metadata": {"name": "a"}}
    if plural == "events":
        content["involvedObject"] = {"kind": "Pod", "name": "p", "namespace": "default"}
    asker.do("POST", target, content)
    _, table = asker.ask("GET", target, accept=TABLE)
    assert {len(row["cells"]) for row in table["rows"]} == {len(table["columnDefinitions"])}


def test_a_watched_table() -> None:
    """Each event is a table of one row; only the first has the column heads."""
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    watch = asker.watch(f"{JOBS}?watch=1", accept=TABLE)
    asker.merge(f"{JOBS}/a", {"spec": {"job": "y"}})
    (kind, first), (then, second) = told(watch)
    assert (kind, then) == ("ADDED", "MODIFIED")
    assert len(first["columnDefinitions"]) == 4
    assert second["columnDefinitions"] is None
    assert second["rows"][0]["cells"][:2] == ["a", "y"]
    watch.bookmark(asker.world.version)
    assert told(watch)[0][1]["metadata"] == {"resourceVersion": str(asker.world.version)}


def test_what_is_not_acceptable() -> None:
    """Only JSON is spoken."""
    assert Asker().ask("GET", JOBS, accept="text/html")[0] == 406


def test_discovery() -> None:
    """Clients find groups, versions and resources; custom ones from the moment they are defined."""
    asker = Asker()
    assert asker.do("GET", "/version")["minor"] == "34"
    assert asker.do("GET", "/api")["versions"] == ["v1"]
    groups = [one["name"] for one in asker.do("GET", "/apis")["groups"]]
    assert {"prow.k8s.io", "coordination.k8s.io", "events.k8s.io", "apiextensions.k8s.io"} <= set(groups)
    assert asker.do("GET", "/apis/prow.k8s.io")["preferredVersion"]["version"] == "v1"
    core = {one["name"]: one for one in asker.do("GET", "/api/v1")["resources"]}
    assert {"pods", "pods/status", "pods/log", "configmaps", "secrets", "namespaces", "events"} <= set(core)
    assert core["pods"]["shortNames"] == ["po"]
    (own,) = asker.do("GET", "/apis/prow.k8s.io/v1")["resources"]
    assert (own["name"], own["kind"], own["namespaced"]) == ("prowjobs", "ProwJob", True)
    assert "apis/prow.k8s.io/v1" in asker.do("GET", "/openapi/v3")["paths"]
    assert asker.do("GET", "/openapi/v2")["paths"] == {}
    for path in ("/healthz", "/livez", "/readyz"):
        assert asker.answer("GET", path).body == b"ok"
    for path in ("/nope", "/apis/nope/v1", "/apis/nope/v1/things", "/openapi/v4"):
        assert asker.answer("GET", path).code == 404


def test_access_reviews() -> None:
    """Whoever got in may do everything, also when asking in protobuf."""
    asker = Asker()
    target = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": {"verb": "get"}}}
    assert asker.do("POST", target, asked)["status"] == {"allowed": True}
    named = b"\x0a\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview"
    body = b"k8s\0\x0a" + bytes([len(named)]) + named
    code, answer = asker.ask("POST", target, body, "application/vnd.kubernetes.protobuf")
    assert (code, answer["status"]) == (201, {"allowed": True})


def test_a_resource_is_served_from_its_definition_on() -> None:
    """Before the definition 404; after it served; after its deletion gone with all objects and watches."""
    small = world.World(CountedIds())
    asker = Asker()
    before = small.handle(exchange.Request.parse("GET", JOBS), NOW_S)
    assert isinstance(before, exchange.Answer)
    assert before.code == 404
    asker.do("POST", JOBS, job("a"))
    watch = asker.watch(f"{JOBS}?watch=1&resourceVersion={asker.world.version}")
    established = asker.do("GET", f"{CRDS}/prowjobs.prow.k8s.io")["status"]["conditions"]
    assert ("Established", "True") in {(one["type"], one["status"]) for one in established}
    asker.do("DELETE", f"{CRDS}/prowjobs.prow.k8s.io")
    assert names(watch) == [("DELETED", "a")]
    assert watch.closed
    assert asker.answer("GET", JOBS).code == 404
    asker.world.install(definition(), NOW_S)
    assert listed(asker.do("GET", JOBS)) == []


def test_a_changed_definition_counts_at_once() -> None:
    """A new schema holds from the next write on."""
    asker = Asker()
    changed = definition()
    version = changed["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["required"] = ["job", "type", "agent", "extra"]
    asker.merge(f"{CRDS}/prowjobs.prow.k8s.io", {"spec": changed["spec"]})
    assert asker.ask("POST", JOBS, job("a"))[0] == 422


def test_a_status_subresource() -> None:
    """With a status subresource, status has its own door and does not count as content."""
    asker = Asker()
    changed = definition(subresources={"status": {}})
    asker.merge(f"{CRDS}/prowjobs.prow.k8s.io", {"spec": changed["spec"]})
    made = asker.do("POST", JOBS, job("a", status={"state": "triggered"}))
    assert "status" not in made
    patch = {"status": {"state": "triggered"}, "metadata": {"labels": {"l": "1"}}}
    seen = asker.do("PATCH", f"{JOBS}/a/status", patch, MERGE)
    assert (seen["status"], seen["metadata"]["generation"]) == ({"state": "triggered"}, 1)
    assert "labels" not in seen["metadata"]


def test_two_served_versions() -> None:
    """A version that is not stored shows the same objects under its own apiVersion."""
    asker = Asker()
    changed = definition()["spec"]
    changed["versions"].append(changed["versions"][0] | {"name": "v2", "storage": False})
    asker.merge(f"{CRDS}/prowjobs.prow.k8s.io", {"spec": changed})
    other = JOBS.replace("/v1/", "/v2/")
    assert asker.do("POST", other, job("a") | {"apiVersion": "prow.k8s.io/v2"})["apiVersion"] == "prow.k8s.io/v2"
    assert asker.do("GET", f"{JOBS}/a")["apiVersion"] == "prow.k8s.io/v1"
    assert [one["apiVersion"] for one in asker.do("GET", other)["items"]] == ["prow.k8s.io/v2"]
    watch = asker.watch(f"{other}?watch=1")
    assert [one["apiVersion"] for _, one in told(watch)] == ["prow.k8s.io/v2"]


def _broken(**spec: Any) -> Any:
    content = definition()
    return content | {"spec": content["spec"] | spec}


@pytest.mark.parametrize(
    "content",
    [
        definition() | {"metadata": {"name": "prowjobs.prow.k8s.io"}},
        definition() | {"metadata": definition()["metadata"] | {"name": "other"}},
        definition() | {"spec": None},
        _broken(scope="Everywhere"),
        _broken(group="x"),
        _broken(names={"plural": "Prow Jobs", "kind": "ProwJob"}),
        _broken(versions=[]),
        _broken(versions="v1"),
        definition(schema=None),
        definition(schema={"openAPIV3Schema": {"type": "array"}}),
        definition(schema={"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "text"}}}}),
        definition(additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": "nope"}]),
    ],
)
def test_definitions_that_are_refused(content: Any) -> None:
    """A definition that cannot be served is refused with a text, by the API and by install()."""
    small = world.World(CountedIds())
    with pytest.raises(errors.CannotStart, match="refused"):
        small.install(content, NOW_S)
    assert small.objects("customresourcedefinitions") == []


_steps = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "page", "compact", "watch"]), st.sampled_from("abcde")),
    max_size=30,
)


def _catch_up(held: dict[str, str], watch: Any) -> dict[str, str]:
    """Apply what a watch tells to what a list showed."""
    for kind, content in told(watch):
        name = content["metadata"]["name"]
        held.pop(name, None)
        if kind != "DELETED":
            held[name] = content["spec"]["job"]
    return held


def _rest(asker: Asker, token: str, limit: int) -> list[str] | None:
    """Read the pages from a token on; None when it has expired."""
    seen: list[str] = []
    while token:
        code, page = asker.ask("GET", f"{JOBS}?limit={limit}&continue={token}")
        if code == 410:
            return None
        seen.extend(listed(page))
        token = page["metadata"].get("continue", "")
    return seen


@settings(max_examples=60)
@given(_steps, st.integers(1, 3))
def test_lists_watches_and_pages_agree(steps: list[tuple[str, str]], limit: int) -> None:
    """Whatever happens in between: pages add up to the list of their version, and list + watch is the present."""
    asker = Asker(history_limit=12)
    views: list[tuple[dict[str, str], Any]] = []
    tokens: list[tuple[str, list[str], list[str]]] = []
    for step, name in steps:
        if step == "put" and asker.ask("POST", JOBS, job(name))[0] == 409:
            asker.merge(f"{JOBS}/{name}", {"spec": {"job": f"v{asker.world.version}"}})
        elif step == "delete":
            asker.ask("DELETE", f"{JOBS}/{name}")
        elif step == "page":
            page = asker.do("GET", f"{JOBS}?limit={limit}")
            tokens.append((page["metadata"].get("continue", ""), listed(page), listed(asker.do("GET", JOBS))))
        elif step == "compact":
            asker.world.compact()
        elif step == "watch":
            now = asker.do("GET", JOBS)
            held = {one["metadata"]["name"]: one["spec"]["job"] for one in now["items"]}
            version = now["metadata"]["resourceVersion"]
            views.append((held, asker.watch(f"{JOBS}?watch=1&resourceVersion={version}")))
    present = {one["metadata"]["name"]: one["spec"]["job"] for one in asker.world.objects("prowjobs")}
    assert all(_catch_up(held, watch) == present for held, watch in views)
    for token, first, whole in tokens:
        rest = _rest(asker, token, limit)
        assert rest is None or first + rest == whole
