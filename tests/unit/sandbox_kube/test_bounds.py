"""Limits: what is kept, how long, and what hostile input may cost."""

import msgspec
import pytest

from prow_async.sandbox.kube import exchange, store, watches, world
from tests.unit.sandbox_kube.asking import MERGE, NOW_S, PODS, Asker, CountedIds, names, pod

MAPS = "/api/v1/namespaces/default/configmaps"
EVENTS = "/api/v1/namespaces/default/events"
APPLY = "application/apply-patch+yaml"


def event(name: str) -> dict[str, object]:
    about = {"kind": "Pod", "name": "a", "namespace": "default"}
    return {"metadata": {"name": name}, "involvedObject": about, "reason": "R", "message": "m"}


def test_events_go_after_an_hour() -> None:
    """An hour after the last write of each; watchers are told."""
    asker = Asker()
    for name in ("a", "b"):
        asker.do("POST", EVENTS, event(name))
    asker.now_s += 1800
    asker.merge(f"{EVENTS}/b", {"count": 2})
    watch = asker.watch(f"{EVENTS}?watch=1&resourceVersion={asker.world.version}")
    asker.now_s += 1801
    assert [item["metadata"]["name"] for item in asker.do("GET", EVENTS)["items"]] == ["b"]
    assert names(watch) == [("DELETED", "a")]
    asker.now_s += 1800
    assert asker.do("GET", EVENTS)["items"] == []


def test_a_full_server() -> None:
    """What does not fit is refused and leaves no trace; what makes room, and what takes less, is done."""
    small = world.World(CountedIds(), max_bytes=40_000)

    def ask(method: str, path: str, body: object = None, media: str = "application/json") -> int:
        raw = b"" if body is None else msgspec.json.encode(body)
        outcome = small.handle(exchange.Request.parse(method, path, {"content-type": media}, raw), NOW_S)
        assert isinstance(outcome, exchange.Answer)
        return outcome.code

    made = 0
    while ask("POST", MAPS, {"metadata": {"name": f"m{made}"}, "data": {"k": "x" * 2000}}) == 201:
        made += 1
    assert 5 < made < 20
    version = small.version
    assert ask("POST", MAPS, {"metadata": {"name": "more"}, "data": {"k": "x" * 2000}}) == 507
    assert ask("PATCH", f"{MAPS}/m0", {"data": {"k": "x" * 9000}}, MERGE) == 507
    assert ask("GET", f"{MAPS}/more") == 404
    assert small.version == version
    assert ask("PATCH", f"{MAPS}/m0", {"data": {"k": "x"}}, MERGE) == 200
    assert ask("DELETE", f"{MAPS}/m1", {"propagationPolicy": "Foreground"}) == 200
    assert ask("POST", MAPS, {"metadata": {"name": "more"}, "data": {"k": "x" * 2000}}) == 201


def test_the_memory_of_changes_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch from before it is told so: 410."""
    monkeypatch.setattr(store, "HISTORY_BYTES", 10_000)
    asker = Asker()
    first = asker.do("POST", MAPS, {"metadata": {"name": "a"}})["metadata"]["resourceVersion"]
    for number in range(20):
        asker.merge(f"{MAPS}/a", {"data": {"k": "x" * 1000, "n": str(number)}})
    (line,) = asker.watch(f"{MAPS}?watch=1&resourceVersion={first}").take()
    assert msgspec.json.decode(line)["object"]["code"] == 410


def test_a_watcher_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """By bytes as by number: its watch is closed, and nothing is kept for it."""
    monkeypatch.setattr(watches, "MAX_BEHIND_BYTES", 10_000)
    asker = Asker()
    asker.do("POST", MAPS, {"metadata": {"name": "a"}})
    watch = asker.watch(f"{MAPS}?watch=1")
    for number in range(20):
        asker.merge(f"{MAPS}/a", {"data": {"k": "x" * 1000, "n": str(number)}})
    assert watch.closed
    assert watch.take() == []
    assert asker.world.open_watches == 0


BOMB = b"kind: ConfigMap\napiVersion: v1\na: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%b]\n" % (letter, letter, b",".join([b"*%c" % (letter - 1)] * 10)) for letter in b"bcdefghi"
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        b"kind: ConfigMap\napiVersion: v1\ndata: &a {x: *a}\n",
        b"a: b: c",
        b"- 1",
        b"[" * 10_000,
        b"\xff",
        b"x" * 300_000,
        b"kind: Pod\napiVersion: v1\n",
        b"kind: ConfigMap\napiVersion: v1\nmetadata: 7\n",
        b"kind: ConfigMap\napiVersion: v1\nmetadata: {name: other}\n",
        b"kind: ConfigMap\napiVersion: v1\nmetadata: {managedFields: [{manager: x}]}\n",
    ],
)
def test_hostile_applies(body: bytes) -> None:
    """Aliases that explode, deep nesting, other kinds: 400, and nothing is made."""
    asker = Asker()
    code, answer = asker.ask("PATCH", f"{MAPS}/a?fieldManager=m", body, APPLY)
    assert (code, answer["kind"]) == (400, "Status")
    assert asker.ask("GET", f"{MAPS}/a")[0] == 404


def test_more_managed_fields_than_allowed() -> None:
    asker = Asker()
    many = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "a"},
        "data": {str(number): "" for number in range(210_000)},
    }
    assert asker.ask("PATCH", f"{MAPS}/a?fieldManager=m", many, APPLY)[0] == 413


@pytest.mark.parametrize("query", ["dryRun=Some", f"fieldManager={'x' * 129}"])
def test_options_that_do_not_exist(query: str) -> None:
    asker = Asker()
    asker.do("POST", PODS, pod("a"))
    assert asker.ask("POST", f"{PODS}?{query}", pod("b"))[0] == 422
    assert asker.ask("PATCH", f"{PODS}/a?{query}", {}, MERGE)[0] == 422
