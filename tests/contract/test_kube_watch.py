"""Watches: what happens, in order, from any point that is still remembered."""

import contextlib

import pytest

from prow_async.adapters.kube import collection
from prow_async.api.errors import Expired, Refused
from prow_async.core import watch
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import PROWJOBS, Stream, Target

pytestmark = pytest.mark.anyio


async def test_news_come_in_order(kube: Target) -> None:
    """Every write is told once, with the object as the writer was answered; a deletion carries the last state."""
    async with kube.prowjobs.watch(await targets.version_of(kube.prowjobs), False) as chunks:
        stream = Stream(chunks)
        made = await targets.create(kube.prowjobs, targets.prowjob("a"))
        changed = targets.decode(await kube.prowjobs.merge_patch("a", {"status": {"description": "d"}}))
        await kube.prowjobs.delete("a", made["metadata"]["uid"])
        assert await stream.next() == ("ADDED", made)
        assert await stream.next() == ("MODIFIED", changed)
        kind, gone = await stream.next()
    assert (kind, gone["status"]["description"]) == ("DELETED", "d")
    assert gone["metadata"]["uid"] == made["metadata"]["uid"]
    assert gone["metadata"]["resourceVersion"] != changed["metadata"]["resourceVersion"]


async def test_many_writes(kube: Target) -> None:
    """None is lost, none doubled, the order is that of the writes."""
    async with kube.config_maps.watch(await targets.version_of(kube.config_maps), False) as chunks:
        for number in range(100):
            await targets.create(kube.config_maps, targets.config_map(f"m-{number}"))
        news = await Stream(chunks).news(100)
    assert news == [("ADDED", f"m-{number}") for number in range(100)]


async def test_from_a_point_in_the_past(kube: Target) -> None:
    """What happened since is told first, each state as it was then."""
    made = await targets.create(kube.prowjobs, targets.prowjob("a"))
    await kube.prowjobs.merge_patch("a", {"status": {"description": "one"}})
    await kube.prowjobs.merge_patch("a", {"status": {"description": "two"}})
    await kube.prowjobs.delete("a", "")
    async with kube.prowjobs.watch(made["metadata"]["resourceVersion"], False) as chunks:
        stream = Stream(chunks)
        told = [await stream.next() for _ in range(3)]
    assert [kind for kind, _ in told] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert [content["status"]["description"] for _, content in told] == ["one", "two", "two"]


async def test_watch_list(kube: Target) -> None:
    """First what exists, then the mark that it was all, then news."""
    for name in ("a", "b"):
        await targets.create(kube.prowjobs, targets.prowjob(name))
    async with kube.prowjobs.watch("", True) as chunks:
        stream = Stream(chunks)
        assert sorted(await stream.news(2)) == [("ADDED", "a"), ("ADDED", "b")]
        kind, mark = await stream.next()
        assert kind == "BOOKMARK"
        assert mark["kind"] == "ProwJob"
        assert mark["metadata"]["annotations"] == {watch.INITIAL_EVENTS_END: "true"}
        assert int(mark["metadata"]["resourceVersion"]) > 0
        await targets.create(kube.prowjobs, targets.prowjob("c"))
        assert await stream.news(1) == [("ADDED", "c")]
    async with kube.prowjobs.watch(mark["metadata"]["resourceVersion"], False) as chunks:
        assert await Stream(chunks).news(1) == [("ADDED", "c")]


async def test_watch_list_of_nothing(kube: Target) -> None:
    """The mark comes at once."""
    async with kube.prowjobs.watch("", True) as chunks:
        kind, mark = await Stream(chunks).next()
    assert (kind, mark["metadata"]["annotations"][watch.INITIAL_EVENTS_END]) == ("BOOKMARK", "true")


@pytest.mark.parametrize(
    "query",
    [
        "watch=true&sendInitialEvents=true",
        "watch=true&sendInitialEvents=true&resourceVersionMatch=Exact",
        "watch=true&resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    ],
)
async def test_watch_list_asked_for_wrongly(kube: Target, query: str) -> None:
    """422, so that a client knows at once."""
    answer = await kube.raw("GET", f"{PROWJOBS}?{query}")
    assert (answer.status, answer.content["reason"]) == (422, "Invalid")


async def test_a_watch_from_nowhere(kube: Target) -> None:
    """Without a resource version, and from 0, what exists is told first."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    for version in ("", "0"):
        async with kube.prowjobs.watch(version, False) as chunks:
            assert await Stream(chunks).news(1) == [("ADDED", "a")]


async def test_a_watch_by_label(kube: Target) -> None:
    """Entering the selection is ADDED, leaving it DELETED with the state it had inside."""
    narrowed = kube.collection(collection.PROWJOBS, label_selector="team=a")
    async with narrowed.watch(await targets.version_of(kube.prowjobs), False) as chunks:
        stream = Stream(chunks)
        await targets.create(kube.prowjobs, targets.prowjob("x", {"team": "a"}))
        await targets.create(kube.prowjobs, targets.prowjob("y", {"team": "b"}))
        await kube.prowjobs.merge_patch("y", {"metadata": {"labels": {"team": "a"}}})
        await kube.prowjobs.merge_patch("y", {"status": {"description": "d"}})
        left = targets.decode(await kube.prowjobs.merge_patch("y", {"metadata": {"labels": {"team": "b"}}}))
        await kube.prowjobs.merge_patch("y", {"status": {"description": "unseen"}})
        await kube.prowjobs.delete("x", "")
        assert await stream.news(3) == [("ADDED", "x"), ("ADDED", "y"), ("MODIFIED", "y")]
        kind, content = await stream.next()
        assert (kind, content["metadata"]["labels"]) == ("DELETED", {"team": "a"})
        assert content["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
        assert await stream.news(1) == [("DELETED", "x")]


async def test_other_namespaces_are_not_told(kube: Target) -> None:
    """A watch of a namespace tells of it alone; one of all tells of all."""
    await kube.raw("POST", "/api/v1/namespaces", {"metadata": {"name": f"{kube.namespace}-b"}})
    other = collection.KubeCollection(kube.transport, "target", collection.PROWJOBS, f"{kube.namespace}-b")
    everywhere = collection.KubeCollection(kube.transport, "target", collection.PROWJOBS)
    version = await targets.version_of(everywhere)
    async with kube.prowjobs.watch(version, False) as chunks, everywhere.watch(version, False) as all_chunks:
        await targets.create(other, targets.prowjob("there"))
        await targets.create(kube.prowjobs, targets.prowjob("here"))
        assert await Stream(chunks).news(1) == [("ADDED", "here")]
        assert await Stream(all_chunks).news(2) == [("ADDED", "there"), ("ADDED", "here")]


async def test_a_forgotten_version(kube: Target) -> None:
    """A watch from before the server's memory is told so, by its status or in the stream, and never skips news."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    await kube.forget()
    try:
        async with kube.prowjobs.watch("1", False) as chunks:
            kind, status = await Stream(chunks).next()
    except Expired:
        return
    assert (kind, status["kind"], status["code"], status["reason"]) == ("ERROR", "Status", 410, "Expired")
    assert watch.StreamError(status["code"], status["reason"], status["message"]).expired


async def test_after_forgetting_a_fresh_list_works(kube: Target) -> None:
    """Lists and watches from now on are not hurt."""
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    await kube.forget()
    page = await kube.prowjobs.list_page(10)
    async with kube.prowjobs.watch(page.resource_version, False) as chunks:
        await targets.create(kube.prowjobs, targets.prowjob("b"))
        assert await Stream(chunks).news(1) == [("ADDED", "b")]


@pytest.mark.slow
async def test_a_watch_ends_when_it_was_asked_to(kube: Target) -> None:
    """After timeoutSeconds the server ends the stream in good order; until then only bookmarks break the silence."""
    short = kube.collection(collection.PROWJOBS, watch_timeout_s=lambda: 2)
    await targets.create(kube.prowjobs, targets.prowjob("a"))
    seen = []
    async with short.watch("", True) as chunks:
        stream = Stream(chunks)
        with contextlib.suppress(StopAsyncIteration):
            while True:
                seen.append(await stream.next())
    assert [kind for kind, _ in seen][:2] == ["ADDED", "BOOKMARK"]
    assert {kind for kind, _ in seen[2:]} <= {"BOOKMARK"}


async def test_a_watch_of_one_object(kube: Target) -> None:
    """metadata.name selects it, as kubectl get -w does."""
    path = f"{PROWJOBS.replace('{ns}', kube.namespace)}?watch=true&fieldSelector=metadata.name%3Da"
    async with kube.transport.send("GET", path) as reply:
        stream = Stream(reply.chunks())
        await targets.create(kube.prowjobs, targets.prowjob("b"))
        await targets.create(kube.prowjobs, targets.prowjob("a"))
        assert await stream.news(1) == [("ADDED", "a")]


async def test_a_watch_of_a_kind_that_is_not_there(kube: Target) -> None:
    """Entering it raises: no stream is opened."""
    nothing = kube.collection(collection.Kind("nonesuch.example.com", "v1", "things"))
    with pytest.raises(Refused) as caught:
        async with nothing.watch("", True):
            pass
    assert caught.value.status == 404
