"""Creating, changing and deleting, asked as a client asks."""

from typing import Any

import pytest

from tests.unit.sandbox_kube.asking import JOBS, JSON_PATCH, MERGE, NOW_S, PODS, Asker, job, pod

REFUSALS: list[tuple[str, str, Any, str, int, str]] = [
    ("POST", PODS, pod("taken"), "", 409, "AlreadyExists"),
    ("POST", PODS, pod("Not_A_Name"), "", 422, "Invalid"),
    ("POST", PODS, pod("x" * 254), "", 422, "Invalid"),
    ("POST", PODS, pod(""), "", 422, "Invalid"),
    ("POST", PODS, pod("b", metadata={"namespace": "other"}), "", 400, "BadRequest"),
    ("POST", "/api/v1/namespaces/nope/pods", pod(), "", 404, "NotFound"),
    ("POST", PODS, pod("b", metadata={"labels": {"a": 1}}), "", 400, "BadRequest"),
    ("POST", PODS, pod("b", metadata={"labels": {"a b": "c"}}), "", 422, "Invalid"),
    ("POST", PODS, pod("b", metadata={"annotations": {"-": "c"}}), "", 422, "Invalid"),
    ("POST", PODS, pod("b", metadata={"finalizers": ["plain"]}), "", 422, "Invalid"),
    ("POST", PODS, pod("b", metadata={"resourceVersion": "5"}), "", 500, ""),
    ("POST", PODS, b'{"kind":', "", 400, "BadRequest"),
    ("POST", PODS, b"", "", 400, "BadRequest"),
    ("POST", PODS, b"\xff\xfe", "", 400, "BadRequest"),
    ("POST", PODS, b"[" * 100_000, "", 400, "BadRequest"),
    ("POST", PODS, [], "", 400, "BadRequest"),
    ("POST", PODS, job(), "", 400, "BadRequest"),
    ("POST", PODS, pod(), "text/plain", 415, "UnsupportedMediaType"),
    ("PUT", PODS, pod(), "", 405, "MethodNotAllowed"),
    ("POST", f"{PODS}/taken", pod(), "", 405, "MethodNotAllowed"),
    ("POST", "/api/v1/pods", pod(), "", 405, "MethodNotAllowed"),
    ("GET", f"{PODS}/nope", None, "", 404, "NotFound"),
    ("GET", "/api/v1/nopes", None, "", 404, "NotFound"),
    ("GET", "/api/v1/namespaces/default/nodes", None, "", 404, "NotFound"),
    ("GET", f"{PODS}/taken/nope", None, "", 404, "NotFound"),
    ("GET", f"{JOBS}/taken/status", None, "", 404, "NotFound"),
    ("PATCH", f"{PODS}/nope", {}, MERGE, 404, "NotFound"),
    ("PATCH", f"{JOBS}/taken", {}, "application/strategic-merge-patch+json", 415, "UnsupportedMediaType"),
    ("PATCH", f"{PODS}/taken", {}, "application/apply-patch+yaml", 422, "Invalid"),
    ("PATCH", f"{PODS}/taken", {}, "application/json", 415, "UnsupportedMediaType"),
    ("PATCH", f"{PODS}/taken", [], MERGE, 400, "BadRequest"),
    ("PATCH", f"{PODS}/taken", {}, JSON_PATCH, 400, "BadRequest"),
    ("PATCH", f"{PODS}/taken", [7], JSON_PATCH, 400, "BadRequest"),
    ("PATCH", f"{PODS}/taken", [{"op": "test", "path": "/kind", "value": "x"}], JSON_PATCH, 422, "Invalid"),
    ("PATCH", f"{PODS}/taken", [{"op": "replace", "path": "", "value": 3}], JSON_PATCH, 422, "Invalid"),
    ("PATCH", f"{PODS}/taken", {"metadata": {"name": "b"}}, MERGE, 400, "BadRequest"),
    ("PATCH", f"{PODS}/taken", {"metadata": None}, MERGE, 400, "BadRequest"),
    ("PATCH", f"{PODS}/taken", {"metadata": {"namespace": "b"}}, MERGE, 400, "BadRequest"),
    ("PATCH", f"{PODS}/taken", {"metadata": {"uid": "b"}}, MERGE, 422, "Invalid"),
    ("PATCH", f"{PODS}/taken", {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}, MERGE, 422, "Invalid"),
    ("PATCH", f"{PODS}/taken", {"metadata": {"resourceVersion": "1"}}, MERGE, 409, "Conflict"),
    ("PATCH", f"{PODS}/taken", {"metadata": {"labels": {"a": 1}}}, MERGE, 422, "Invalid"),
    ("PATCH", f"{PODS}/taken", {"kind": "Node"}, MERGE, 422, "Invalid"),
    ("PUT", f"{PODS}/taken", pod("b"), "", 400, "BadRequest"),
    ("PUT", f"{PODS}/nope", pod("nope"), "", 404, "NotFound"),
    ("PUT", f"{PODS}/taken", pod("taken", metadata={"resourceVersion": "1"}), "", 409, "Conflict"),
    ("PUT", f"{PODS}/taken", pod("taken", metadata={"uid": "1"}), "", 409, "Conflict"),
    ("PUT", f"{JOBS}/taken", job("taken"), "", 422, "Invalid"),
    ("DELETE", f"{PODS}/nope", None, "", 404, "NotFound"),
    ("DELETE", f"{PODS}/taken", {"preconditions": {"uid": "1"}}, "", 409, "Conflict"),
    ("DELETE", f"{PODS}/taken", {"preconditions": {"resourceVersion": "1"}}, "", 409, "Conflict"),
    ("DELETE", f"{PODS}/taken", b'{"grace', "", 400, "BadRequest"),
    ("DELETE", "/api/v1/namespaces/default", None, "", 403, "Forbidden"),
    ("POST", JOBS, job("b") | {"kind": "Pod"}, "", 422, "Invalid"),
    ("POST", JOBS, job("b") | {"apiVersion": "prow.k8s.io/v2"}, "", 400, "BadRequest"),
    ("POST", JOBS, {"metadata": {"name": "b"}}, "", 400, "BadRequest"),
    ("POST", JOBS, job("b", spec={"type": "other"}), "", 422, "Invalid"),
    ("POST", JOBS, job("b", spec={"job": None}), "", 422, "Invalid"),
    ("POST", JOBS, job("b", spec={"max_concurrency": -1}), "", 422, "Invalid"),
    ("POST", JOBS, job("b", status={"state": "success"}), "", 422, "Invalid"),
    ("POST", f"{JOBS}?fieldValidation=Strict", job("b", spec={"zz": 1}), "", 400, "BadRequest"),
]


@pytest.mark.parametrize(("method", "target", "body", "media", "code", "reason"), REFUSALS)
def test_refusals(method: str, target: str, body: Any, media: str, code: int, reason: str) -> None:
    """Every refusal is a Status with Kubernetes' code and reason, and changes nothing."""
    asker = Asker()
    asker.do("POST", PODS, pod("taken"))
    asker.do("POST", JOBS, job("taken"))
    before = asker.world.version
    found, status = asker.ask(method, target, body, media or "application/json")
    assert (found, status["kind"], status["status"], status["code"]) == (code, "Status", "Failure", code)
    assert status.get("reason", "") == reason
    assert status["message"]
    assert asker.world.version == before


def test_details_name_what_is_wrong() -> None:
    """An Invalid Status lists each field with its reason."""
    _, status = Asker().ask("POST", JOBS, job("b", spec={"type": "x", "job": 3}, status={"state": "success"}))
    assert status["details"]["name"] == "b"
    assert status["details"]["group"] == "prow.k8s.io"
    assert status["details"]["kind"] == "ProwJob"
    assert [(cause["field"], cause["reason"]) for cause in status["details"]["causes"]] == [
        ("spec.job", "FieldValueTypeInvalid"),
        ("spec.type", "FieldValueNotSupported"),
        ("<nil>", "FieldValueInvalid"),
        ("<nil>", "FieldValueInvalid"),
    ]


def test_what_the_server_adds() -> None:
    """UID, version, time and generation are the server's, whatever the asker wrote; defaults are filled in."""
    asker = Asker()
    own = {"uid": "mine", "generation": 7, "creationTimestamp": "2001-01-01T00:00:00Z", "bogus": 1}
    made = asker.do("POST", JOBS, job("a", metadata=own, spec={"zz": 1}))
    metadata = made["metadata"]
    assert metadata["uid"] != "mine"
    assert metadata["generation"] == 1
    assert metadata["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert metadata["resourceVersion"] == str(asker.world.version)
    assert "bogus" not in metadata
    assert made["spec"] == {"job": "x", "type": "periodic", "agent": "kubernetes"}


def test_unknown_fields_are_warned_about() -> None:
    """A field no schema names is dropped, and a Warning header says so."""
    answer = Asker().answer("POST", JOBS, job("a", spec={"zz": 1}))
    assert answer.headers["warning"] == '299 - "unknown field \\"spec.zz\\""'


def test_generated_names() -> None:
    """generateName makes a fresh, valid name each time; a given name wins."""
    asker = Asker()
    named = {asker.do("POST", JOBS, job("", metadata={"generateName": "g-"}))["metadata"]["name"] for _ in range(20)}
    assert len(named) == 20
    assert all(name.startswith("g-") and len(name) == 7 for name in named)
    assert asker.do("POST", JOBS, job("own", metadata={"generateName": "g-"}))["metadata"]["name"] == "own"


def test_a_write_that_changes_nothing_is_no_event() -> None:
    """A patch or update to the same state keeps the version."""
    asker = Asker()
    made = asker.do("POST", JOBS, job("a"))
    assert asker.merge(f"{JOBS}/a", {"spec": {"job": "x"}}) == made
    assert asker.do("PUT", f"{JOBS}/a", made) == made


def test_generation_counts_changes_of_content() -> None:
    """A custom resource's generation moves with its content, not with its metadata."""
    asker = Asker()
    asker.do("POST", JOBS, job("a"))
    assert asker.merge(f"{JOBS}/a", {"metadata": {"labels": {"l": "1"}}})["metadata"]["generation"] == 1
    assert asker.merge(f"{JOBS}/a", {"status": {"state": "triggered"}})["metadata"]["generation"] == 2


def test_conditional_writes() -> None:
    """A write with the current resourceVersion passes, one with an older does not."""
    asker = Asker()
    first = asker.do("POST", JOBS, job("a"))
    first["spec"]["job"] = "y"
    second = asker.do("PUT", f"{JOBS}/a", first)
    assert asker.ask("PUT", f"{JOBS}/a", first)[0] == 409
    version = {"metadata": {"resourceVersion": second["metadata"]["resourceVersion"]}, "spec": {"job": "z"}}
    assert asker.merge(f"{JOBS}/a", version)["spec"]["job"] == "z"


def test_dry_run() -> None:
    """A dry run answers as the real thing would, and stores nothing."""
    asker = Asker()
    assert asker.do("POST", f"{JOBS}?dryRun=All", job("a"))["spec"]["agent"] == "kubernetes"
    assert asker.ask("GET", f"{JOBS}/a")[0] == 404
    asker.do("POST", JOBS, job("b"))
    asker.do("PATCH", f"{JOBS}/b?dryRun=All", {"spec": {"job": "y"}}, MERGE)
    asker.do("DELETE", f"{JOBS}/b?dryRun=All")
    assert asker.do("GET", f"{JOBS}/b")["spec"]["job"] == "x"


def test_finalizers_hold_an_object() -> None:
    """A deleted object with finalizers stays, takes no new ones, and goes with the last."""
    asker = Asker()
    asker.do("POST", JOBS, job("a", metadata={"finalizers": ["x.y/z"]}))
    marked = asker.do("DELETE", f"{JOBS}/a")["metadata"]
    assert (marked["deletionTimestamp"], marked["generation"]) == ("2023-11-14T22:13:20Z", 2)
    assert asker.do("DELETE", f"{JOBS}/a")["metadata"] == marked
    assert asker.ask("PATCH", f"{JOBS}/a", {"metadata": {"finalizers": ["x.y/z", "q/r"]}}, MERGE)[0] == 422
    asker.merge(f"{JOBS}/a", {"metadata": {"labels": {"still": "here"}}})
    asker.merge(f"{JOBS}/a", {"metadata": {"finalizers": None}})
    assert asker.ask("GET", f"{JOBS}/a")[0] == 404


def test_deleting() -> None:
    """Deletion answers with a Status naming the UID; preconditions that hold let it pass."""
    asker = Asker()
    uid = asker.do("POST", JOBS, job("a"))["metadata"]["uid"]
    done = asker.do("DELETE", f"{JOBS}/a", {"preconditions": {"uid": uid}})
    assert (done["status"], done["details"]["uid"]) == ("Success", uid)
    assert asker.ask("GET", f"{JOBS}/a")[0] == 404


def test_deleting_many() -> None:
    """A collection is deleted as far as the selector reaches, in its own namespace only."""
    asker = Asker()
    asker.do("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    other = JOBS.replace("default", "other")
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        asker.do("POST", JOBS, job(name, metadata={"labels": {"app": app}}))
    asker.do("POST", other, job("a", metadata={"labels": {"app": "x"}}))
    gone = asker.do("DELETE", f"{JOBS}?labelSelector=app%3Dx")
    assert [one["metadata"]["name"] for one in gone["items"]] == ["a", "c"]
    left = [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in asker.world.objects("prowjobs")]
    assert left == [("default", "b"), ("other", "a")]


def test_pods_go_gracefully() -> None:
    """A pod on a node is marked, may be hurried, and goes with a second delete without grace, as the kubelet sends."""
    asker = Asker()
    asker.do("POST", PODS, pod("a", spec={"nodeName": "n", "terminationGracePeriodSeconds": 20}))
    marked = asker.do("DELETE", f"{PODS}/a")["metadata"]
    assert (marked["deletionGracePeriodSeconds"], marked["deletionTimestamp"]) == (20, "2023-11-14T22:13:40Z")
    assert asker.do("DELETE", f"{PODS}/a", {"gracePeriodSeconds": 30})["metadata"] == marked
    hurried = asker.do("DELETE", f"{PODS}/a", {"gracePeriodSeconds": 5})["metadata"]
    assert (hurried["deletionGracePeriodSeconds"], hurried["deletionTimestamp"]) == (5, "2023-11-14T22:13:25Z")
    watch = asker.watch(f"{PODS}?watch=1&resourceVersion={asker.world.version}")
    asker.do("DELETE", f"{PODS}/a?gracePeriodSeconds=0")
    assert asker.ask("GET", f"{PODS}/a")[0] == 404
    assert [line.split(b'"')[3] for line in watch.take()] == [b"MODIFIED", b"DELETED"]


@pytest.mark.parametrize(
    ("spec", "phase"),
    [({}, "Pending"), ({}, "Running"), ({"nodeName": "n"}, "Succeeded"), ({"nodeName": "n"}, "Failed")],
)
def test_pods_that_go_at_once(spec: dict[str, Any], phase: str) -> None:
    """A pod on no node, or one that has ended, needs no grace."""
    asker = Asker()
    asker.do("POST", PODS, pod("a", spec=spec))
    asker.merge(f"{PODS}/a/status", {"status": {"phase": phase}})
    asker.do("DELETE", f"{PODS}/a")
    assert asker.ask("GET", f"{PODS}/a")[0] == 404


def test_a_pods_status_has_its_own_door() -> None:
    """The pod's own door leaves status alone, the status door leaves spec alone."""
    asker = Asker()
    made = asker.do("POST", PODS, pod("a", status={"phase": "Running"}))
    assert made["status"] == {"phase": "Pending"}
    assert asker.merge(f"{PODS}/a", {"status": {"phase": "Failed"}})["status"] == {"phase": "Pending"}
    patched = asker.merge(f"{PODS}/a/status", {"status": {"phase": "Running"}, "spec": {"nodeName": "m"}})
    assert patched["status"] == {"phase": "Running"}
    assert "nodeName" not in patched["spec"]
    assert patched["metadata"]["generation"] == 1
    assert asker.do("GET", f"{PODS}/a/status") == patched


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ({"containers": [{"name": "c", "image": "j"}]}, 200),
        ({"activeDeadlineSeconds": 40}, 200),
        ({"tolerations": [{"key": "k", "operator": "Exists"}]}, 200),
        ({"activeDeadlineSeconds": 60}, 422),
        ({"activeDeadlineSeconds": None}, 422),
        ({"containers": [{"name": "d", "image": "i"}]}, 422),
        ({"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]}, 422),
        ({"containers": []}, 422),
        ({"nodeName": "n"}, 422),
        ({"restartPolicy": "Never"}, 422),
        ({"terminationGracePeriodSeconds": 5}, 422),
    ],
)
def test_a_pods_spec_hardly_changes(patch: dict[str, Any], code: int) -> None:
    """Images, the deadline (down only) and more tolerations; nothing else."""
    asker = Asker()
    asker.do("POST", PODS, pod("a", spec={"activeDeadlineSeconds": 50}))
    assert asker.ask("PATCH", f"{PODS}/a", {"spec": patch}, MERGE)[0] == code


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"containers": [{"image": "i"}]}, "spec.containers[0].name"),
        ({"containers": [{"name": "A", "image": "i"}]}, "spec.containers[0].name"),
        ({"containers": [{"name": "a", "image": "i"}] * 2}, "spec.containers[1].name"),
        ({"containers": [{"name": "a"}]}, "spec.containers[0].image"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
    ],
)
def test_pods_that_are_refused(spec: dict[str, Any], field: str) -> None:
    """A pod without what a kubelet needs is refused, naming the field."""
    code, status = Asker().ask("POST", PODS, pod("a", spec=spec))
    assert code == 422
    assert status["details"]["causes"][0]["field"] == field


def test_binding() -> None:
    """A pod is bound to a node once."""
    asker = Asker()
    asker.do("POST", PODS, pod("a"))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "a"}, "target": {"name": "n"}}
    assert asker.ask("POST", f"{PODS}/a/binding", binding)[0] == 201
    assert asker.do("GET", f"{PODS}/a")["spec"]["nodeName"] == "n"
    assert asker.ask("POST", f"{PODS}/a/binding", binding)[0] == 409
    assert asker.ask("POST", f"{PODS}/a/binding", binding | {"target": {}})[0] == 422


def test_leases_are_made_by_their_first_update() -> None:
    """A PUT to a lease that is not there creates it."""
    asker = Asker()
    target = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    assert asker.ask("PUT", target, lease)[0] == 201
    assert asker.ask("PUT", target, lease | {"spec": {"leaseDurationSeconds": 0}})[0] == 422
    assert asker.ask("PUT", target, lease | {"spec": {"holderIdentity": "me"}})[0] == 200


def test_namespaces_go_with_what_is_in_them() -> None:
    """A namespace is terminating until the last finalizer in it is gone; meanwhile it takes nothing new."""
    asker = Asker()
    asker.do("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    jobs = JOBS.replace("default", "n")
    asker.do("POST", jobs, job("held", metadata={"finalizers": ["x.y/z"]}))
    asker.do("POST", jobs, job("free"))
    asker.do("DELETE", "/api/v1/namespaces/n")
    assert asker.do("GET", "/api/v1/namespaces/n")["status"] == {"phase": "Terminating"}
    assert [one["metadata"]["name"] for one in asker.world.objects("prowjobs", "n")] == ["held"]
    assert asker.ask("POST", jobs, job("new"))[0] == 403
    asker.merge(f"{jobs}/held", {"metadata": {"finalizers": None}})
    assert asker.ask("GET", "/api/v1/namespaces/n")[0] == 404


def test_events_have_two_forms() -> None:
    """What is written as core/v1 reads as events.k8s.io/v1, and the other way round."""
    asker = Asker()
    core, new = (f"{root}/namespaces/default/events" for root in ("/api/v1", "/apis/events.k8s.io/v1"))
    about = {"kind": "Pod", "name": "p", "namespace": "default"}
    old_form = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": about, "message": "m"}
    asker.do("POST", core, old_form)
    seen = asker.do("GET", f"{new}/e")
    assert (seen["apiVersion"], seen["regarding"], seen["note"]) == ("events.k8s.io/v1", about, "m")
    asker.do("PATCH", f"{new}/e", {"note": "other"}, MERGE)
    assert asker.do("GET", f"{core}/e")["message"] == "other"
    found = asker.do("GET", f"{core}?fieldSelector=involvedObject.name%3Dp")
    assert [one["metadata"]["name"] for one in found["items"]] == ["e"]
    elsewhere = old_form | {"metadata": {"name": "f"}, "involvedObject": about | {"namespace": "x"}}
    assert asker.ask("POST", core, elsewhere)[0] == 422


def test_secrets() -> None:
    """stringData is stored as data; what is no base64 is refused without showing it."""
    asker = Asker()
    target = "/api/v1/namespaces/default/secrets"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    assert asker.do("POST", target, secret | {"stringData": {"a": "b"}})["data"] == {"a": "Yg=="}
    code, status = asker.ask("POST", target, secret | {"metadata": {"name": "t"}, "data": {"a": "hunter2!"}})
    assert code == 422
    assert "hunter2" not in str(status)


def test_reading_for_invariants() -> None:
    """objects() gives copies, in order, of everything or of one namespace."""
    asker = Asker()
    asker.do("POST", JOBS, job("b"))
    asker.do("POST", JOBS, job("a"))
    found = asker.world.objects("prowjobs")
    assert [one["metadata"]["name"] for one in found] == ["a", "b"]
    found[0]["spec"]["job"] = "changed"
    assert asker.do("GET", f"{JOBS}/a")["spec"]["job"] == "x"
    assert asker.world.objects("prowjobs", "other") == []
    assert asker.world.objects("nothing") == []
    assert asker.now_s == NOW_S
