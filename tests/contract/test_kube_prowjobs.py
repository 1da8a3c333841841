"""The ProwJob resource: what its definition lets through and what not."""

from typing import Any

import msgspec
import pytest

from prow_async.api import prowjob
from prow_async.api.errors import Refused
from prow_async.core import jobview, objects
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import PROWJOBS, Json, Target

pytestmark = pytest.mark.anyio

START = "2026-01-02T03:04:05Z"
END = "2026-01-02T03:05:05Z"


def _full() -> prowjob.ProwJob:
    """Return a ProwJob with every field set, and none to its zero value."""
    refs = _filled(prowjob.Refs)
    spec = msgspec.structs.replace(
        _filled(prowjob.ProwJobSpec),
        type="batch",
        refs=refs,
        extra_refs=(refs,),
        pod_spec={"containers": [{"name": "a", "resources": {"limits": {"cpu": 1}}}], "anything": {"at": ["all"]}},
    )
    status = msgspec.structs.replace(
        _filled(prowjob.ProwJobStatus),
        start_time=START,
        pending_time=START,
        completion_time=END,
        state="success",
        prev_report_states={"github-reporter": "pending"},
    )
    return prowjob.ProwJob(metadata=prowjob.ObjectMeta(name="full"), spec=spec, status=status)


def _filled(kind: type[Any]) -> Any:
    """Build a Struct with a value other than zero in every field."""
    return kind(**{field.name: _value(field.type, field.name) for field in msgspec.structs.fields(kind)})


def _value(kind: Any, name: str) -> Any:
    shape = msgspec.inspect.type_info(kind)
    options = shape.types if isinstance(shape, msgspec.inspect.UnionType) else (shape,)
    for option in options:
        match option:
            case msgspec.inspect.StructType(cls=cls):
                return _filled(cls)
            case msgspec.inspect.VarTupleType(item_type=item):
                return (_value(_plain(item), name),)
            case msgspec.inspect.DictType(value_type=msgspec.inspect.StrType()):
                return {"key": "value"}
            case msgspec.inspect.DictType():
                return {"some": {"thing": ["of", "any", {"shape": 1}]}}
            case msgspec.inspect.LiteralType(values=values):
                return values[-1]
            case msgspec.inspect.StrType():
                return "1Gi" if name == "default_memory_request" else f"{name}-value"
            case msgspec.inspect.BoolType():
                return True
            case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
                return 7
            case _:
                continue
    raise AssertionError(f"no value for {name}: {kind}")


def _plain(item: msgspec.inspect.Type) -> Any:
    match item:
        case msgspec.inspect.StructType(cls=cls):
            return cls
        case msgspec.inspect.IntType():
            return int
        case msgspec.inspect.DictType():
            return prowjob.Json
        case _:
            return str


async def test_no_field_is_lost(kube: Target) -> None:
    """Every field we know comes back as it was sent: the definition prunes none of them."""
    sent = _full()
    stored = await kube.prowjobs.create(msgspec.json.encode(sent))
    back = msgspec.json.decode(stored, type=prowjob.ProwJob)
    assert (back.spec, back.status) == (sent.spec, sent.status)
    assert targets.decode(stored)["spec"] == targets.decode(msgspec.json.encode(sent.spec))


async def test_unknown_fields_are_dropped(kube: Target) -> None:
    """Outside of pod specs and their like, whatever the definition does not name is left out."""
    content = targets.prowjob("a", none_such="x", pod_spec={"none_such": "x"})
    content["spec"]["refs"] = {"org": "o", "repo": "r", "none_such": 1}
    content["none_such"] = {}
    made = await targets.create(kube.prowjobs, content)
    assert "none_such" not in made
    assert "none_such" not in made["spec"]
    assert made["spec"]["refs"] == {"org": "o", "repo": "r"}
    assert made["spec"]["pod_spec"] == {"none_such": "x"}


async def test_what_upstream_writes(kube: Target) -> None:
    """A start time that is null, as Go writes one that was never set, is taken and kept."""
    content = targets.prowjob("a")
    content["status"]["startTime"] = None
    made = await targets.create(kube.prowjobs, content)
    assert made["status"] == {"startTime": None, "state": "triggered"}
    assert msgspec.convert(made, prowjob.ProwJob).status.start_time is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spec": {"type": "sometimes", "job": "j"}}, "spec.type"),
        ({"spec": {"type": "periodic"}}, "spec.job"),
        ({"spec": {"job": "j"}}, "spec.type"),
        ({"spec": {"type": "periodic", "job": 7}}, "spec.job"),
        ({"spec": {"type": "periodic", "job": "j", "max_concurrency": -1}}, "spec.max_concurrency"),
        ({"spec": {"type": "periodic", "job": "j", "report": "yes"}}, "spec.report"),
        ({"spec": {"type": "periodic", "job": "j", "pod_spec": []}}, "spec.pod_spec"),
        ({"spec": {"type": "presubmit", "job": "j", "refs": {"org": "o"}}}, "spec.refs.repo"),
        (
            {"spec": {"type": "presubmit", "job": "j", "refs": {"org": "o", "repo": "r", "pulls": [{"number": 1}]}}},
            "spec.refs.pulls[0].author",
        ),
        ({"spec": {"type": "periodic", "job": "j", "extra_refs": [{"repo": "r"}]}}, "spec.extra_refs[0].org"),
        ({"status": {"state": "waiting"}}, "status.state"),
        ({"status": {"description": "d"}}, "status.state"),
        ({"status": {"state": "pending", "startTime": "yesterday"}}, "status.startTime"),
        ({"status": {"state": "success"}}, "status"),
        ({"status": {"state": "failure"}}, "status"),
        ({"status": {"state": "error"}}, "status"),
    ],
)  # fmt: skip
async def test_what_is_refused(kube: Target, change: Json, field: str) -> None:
    """422 Invalid, with the field in the text; nothing is created."""
    with pytest.raises(Refused) as caught:
        await targets.create(kube.prowjobs, targets.prowjob("a") | change)
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")
    assert field in caught.value.why
    assert await targets.names(kube.prowjobs) == []


@pytest.mark.parametrize(
    "status",
    [
        {"state": "aborted"},
        {"state": "aborted", "completionTime": END},
        {"state": "success", "completionTime": END},
        {"state": "failure", "completionTime": END},
        {"state": "error", "completionTime": END},
        {"state": "pending", "pendingTime": START},
        {"state": "pending", "completionTime": END},
        {"state": "scheduling"},
    ],
)
async def test_what_is_accepted(kube: Target, status: Json) -> None:
    """A result needs its time; an aborted run may wait for it."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    changed = targets.decode(await kube.prowjobs.merge_patch("a", {"status": status}))
    assert changed["status"] == {"startTime": START, "state": "triggered"} | status


async def test_a_result_without_its_time_changes_nothing(kube: Target) -> None:
    """The rule holds for patches as well, and taking the time away again is refused too."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a"))
    with pytest.raises(Refused):
        await kube.prowjobs.merge_patch("a", {"status": {"state": "success"}})
    assert await targets.get(kube.prowjobs, "a") == made
    await kube.prowjobs.merge_patch("a", {"status": {"state": "success", "completionTime": END}})
    with pytest.raises(Refused):
        await kube.prowjobs.merge_patch("a", {"status": {"completionTime": None}})


async def test_there_is_no_status_subresource(kube: Target) -> None:
    """The status is written with the object; the path of its own is not there."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    with pytest.raises(Refused) as caught:
        await kube.prowjobs.merge_patch_status("a", {"status": {"state": "pending"}})
    assert caught.value.status == 404
    stored = await targets.get(kube.prowjobs, "a")
    stored["status"]["state"] = "pending"
    answer = await kube.raw("PUT", f"{PROWJOBS}/a", stored)
    assert (answer.status, answer.content["status"]["state"]) == (200, "pending")


async def test_a_prowjob_without_a_status(kube: Target) -> None:
    """A person may create one with a spec alone."""
    content = targets.prowjob("a")
    del content["status"]
    assert "status" not in await targets.create(kube.prowjobs, content)


async def test_the_definition_is_established(kube: Target) -> None:
    """The server accepts it without a complaint, as one of an approved group."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/prowjobs.prow.k8s.io"
    conditions = (await kube.raw("GET", path)).content["status"]["conditions"]
    told = {condition["type"]: condition["status"] for condition in conditions}
    assert (told["Established"], told["NamesAccepted"]) == ("True", "True")
    assert told.get("KubernetesAPIApprovalPolicyConformant", "True") == "True"
    assert "NonStructuralSchema" not in told


async def test_one_that_nobody_can_read_hides_no_other(kube: Target) -> None:
    """An API server takes more levels than we can follow: the object is named, and read as broken. Ours refuses it."""
    deep = msgspec.json.encode(targets.prowjob("deep", pod_spec={"deep": "?"}))
    deep = deep.replace(b'"?"', b'{"a":' * 3000 + b"[1]" + b"}" * 3000)
    await targets.create(kube.prowjobs, targets.prowjob("plain"))
    if kube.name != "real":
        with pytest.raises(Refused, match="nested too deeply"):
            await kube.prowjobs.create(deep)
        return
    await kube.prowjobs.create(deep)
    page = await kube.prowjobs.list_page(500)
    assert [targets.decode(item)["metadata"]["name"] for item in page.items] == ["deep", "plain"]
    for raw in (page.items[0], await kube.prowjobs.get("deep")):
        with pytest.raises(objects.Unreadable):
            jobview.read(raw)
        assert (objects.malformed(raw, "").name, objects.malformed(raw, objects.TOO_DEEP).why) == (
            "deep",
            objects.TOO_DEEP,
        )
    assert objects.malformed(page.items[0], "another reason").why == objects.TOO_DEEP
    assert jobview.read(page.items[1]).name == "plain"
    async with kube.prowjobs.watch("", initial=True) as chunks:
        assert sorted(await targets.Stream(chunks).news(2)) == [("ADDED", "deep"), ("ADDED", "plain")]
