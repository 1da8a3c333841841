"""A reflector keeps its store equal to the cluster, whatever becomes of its connections."""

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from prow_async.actors.reflector import SILENCE_S, Reflector
from prow_async.actors.store import Change, Store
from prow_async.api.views import JobView, Malformed
from prow_async.core import jobview
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import Town, passes, settle, story

WATCHLIST, WATCH = "sendInitialEvents", "watch=true&allowWatchBookmarks"
BAD = {"spec": {"decoration_config": {"pod_running_timeout": "soon"}}}


class Mirror:
    """A store under a reflector, and everything it told."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.store: Store[JobView] = Store()
        self.told: list[str] = []
        self.aside: list[Malformed] = []
        self.store.subscribe(self._changed)
        self.reflector = Reflector(
            "prowjobs", town.kube.jobs, jobview.read, self.store, town.metrics, self.aside.append
        )

    def _changed(self, change: Change[JobView]) -> None:
        kind = "gone" if change.new is None else "new" if change.old is None else "changed"
        self.told.append(f"{change.name} {kind}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self.reflector.run)
            await settle()
            yield
            group.cancel_scope.cancel()

    def is_equal(self) -> bool:
        """Compare the store with the cluster, versions and all."""
        there = {job.metadata.name: job.metadata.resource_version for job in self.town.kube.all_jobs()}
        return {job.name: job.resource_version for job in self.store} == there

    def asked(self, part: str) -> int:
        return sum(part in line for line in self.town.kube.faults.asked)


def town_with(*jobs: str) -> Town:
    town = Town()
    for name in jobs:
        town.kube.put(town.prowjob(name))
    return town


@story
async def test_watchlist_then_news() -> None:
    """1. One request streams what exists: synced. 2. News come on the same stream: new, changed, gone."""
    town = town_with("a", "b")
    mirror = Mirror(town)
    async with mirror.running():
        assert mirror.store.synced
        assert mirror.told == ["a new", "b new"]
        town.kube.put(town.prowjob("c"))
        town.kube.set_status("a", state="pending")
        town.kube.delete_job("b")
        await settle()
        assert mirror.told[2:] == ["c new", "a changed", "b gone"]
        assert mirror.is_equal()
        assert len(town.kube.faults.asked) == 1
        assert mirror.reflector.healthy


@story
async def test_nothing_there() -> None:
    """An empty collection is synced too."""
    mirror = Mirror(Town())
    async with mirror.running():
        assert mirror.store.synced
        assert mirror.told == []


@pytest.mark.parametrize("status", [400, 403, 422])
@story
async def test_paged_list_where_watchlist_is_refused(status: int) -> None:
    """1. WatchList is refused. 2. A paged list instead, then a watch. 3. WatchList is not tried there again."""
    town = town_with(*(f"job-{n:04}" for n in range(1001)))
    town.kube.faults.fail("GET", WATCHLIST, Fault("answer", status=status), times=-1)
    mirror = Mirror(town)
    async with mirror.running():
        await passes(1)
        assert mirror.store.synced
        assert mirror.is_equal()
        assert mirror.asked("limit=500") == 3
        town.kube.put(town.prowjob("news"))
        town.kube.world.compact()
        await passes(500)
        town.kube.put(town.prowjob("more"))
        await settle()
        assert mirror.is_equal()
        assert mirror.asked(WATCHLIST) == 1


@story
async def test_not_there_yet() -> None:
    """1. The resource is not installed: 404, again and again. 2. Once it is, WatchList serves."""
    town = town_with("a")
    town.kube.faults.fail("GET", "/prowjobs", Fault("answer", status=404), times=3)
    mirror = Mirror(town)
    async with mirror.running():
        assert not mirror.store.synced
        await passes(60)
        assert mirror.store.synced
        assert mirror.asked("limit=") == 0


@pytest.mark.parametrize("as_status", [False, True])
@story
async def test_gone_too_old(as_status: bool) -> None:
    """1. Disconnected; objects come, change, go; history is forgotten. 2. 410, either way. 3. Listed anew, equal."""
    town = town_with("a", "b")
    mirror = Mirror(town)
    async with mirror.running():
        await cut(town)
        town.kube.put(town.prowjob("c"))
        town.kube.set_status("a", state="pending")
        town.kube.delete_job("b")
        town.kube.world.compact()
        town.kube.faults.heal()
        if as_status:
            town.kube.faults.fail("GET", WATCH, Fault("answer", status=410))
        await passes(90)
        assert mirror.is_equal()
        assert sorted(mirror.told[2:]) == ["a changed", "b gone", "c new"]
        assert mirror.asked(WATCHLIST) == 2
        assert town.metrics.total("prow_async_watch_restarts_total", kind="prowjobs") >= 1


async def cut(town: Town) -> None:
    """End the open watch in the middle of a line that nobody needs, and let no other one open."""
    town.kube.faults.fail("GET", "/prowjobs", DROP, times=-1)
    town.kube.faults.watch_line = lambda line: None
    town.kube.put(town.prowjob("noise"))
    town.kube.delete_job("noise")
    await settle()
    town.kube.faults.watch_line = None


@story
async def test_gone_while_disconnected() -> None:
    """1. The watch breaks. 2. An object goes meanwhile. 3. The next watch goes on where the last stood: it is told."""
    town = town_with("a", "b")
    mirror = Mirror(town)
    async with mirror.running():
        await cut(town)
        assert not mirror.reflector.healthy
        town.kube.delete_job("b")
        await passes(30)
        assert "b" in mirror.store.names()
        town.kube.faults.heal()
        await passes(60)
        assert mirror.is_equal()
        assert mirror.asked(WATCHLIST) == 1
        assert mirror.store.synced


@story
async def test_cut_in_the_middle_of_a_line() -> None:
    """1. The connection breaks inside an event's line. 2. The half is dropped. 3. The event comes whole later."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        town.kube.faults.watch_line = once(lambda line: None)
        town.kube.set_status("a", state="pending")
        await settle()
        assert mirror.told == ["a new"]
        await passes(2)
        assert mirror.told == ["a new", "a changed"]
        assert mirror.is_equal()


def once(then: Callable[[bytes], list[bytes] | None]) -> Callable[[bytes], list[bytes] | None]:
    left = [then]
    return lambda line: left.pop()(line) if left else [line]


@story
async def test_the_first_list_is_cut() -> None:
    """1. WatchList breaks before its end mark. 2. Not synced: there may be more. 3. Tried anew, then synced."""
    town = town_with("a", "b")
    lines = itertools.count(1)
    town.kube.faults.watch_line = lambda line: None if next(lines) == 2 else [line]
    mirror = Mirror(town)
    async with mirror.running():
        assert not mirror.store.synced
        await passes(2)
        assert mirror.store.synced
        assert mirror.told == ["a new", "b new"]


@story
async def test_silence() -> None:
    """1. The connection stands but nothing comes through, not even a bookmark. 2. It is given up and opened anew."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        town.kube.faults.watch_line = lambda line: []
        town.kube.set_status("a", state="pending")
        await passes(SILENCE_S - 1)
        assert mirror.told == ["a new"]
        town.kube.faults.watch_line = None
        await passes(3)
        assert mirror.told == ["a new", "a changed"]


@story
async def test_bookmarks_keep_a_quiet_watch() -> None:
    """A quiet hour: watches end in good order and go on; none is given up, nothing is listed again."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        await passes(3600)
        assert mirror.asked(WATCHLIST) == 1
        assert mirror.asked(WATCH) == 1 + 3600 // 420
        assert town.metrics.total("prow_async_watch_restarts_total") == 0


@story
async def test_doubled_events() -> None:
    """1. Every line comes twice. 2. Each change is told once."""
    town = town_with("a")
    town.kube.faults.watch_line = lambda line: [line, line]
    mirror = Mirror(town)
    async with mirror.running():
        town.kube.set_status("a", state="pending")
        town.kube.put(town.prowjob("b"))
        town.kube.delete_job("b")
        await settle()
        assert mirror.told == ["a new", "a changed", "b new", "b gone"]
        assert mirror.is_equal()


@story
async def test_replaced_under_the_same_name() -> None:
    """1. While disconnected an object is deleted and made anew. 2. The old one goes, the new one comes."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        await cut(town)
        town.kube.delete_job("a")
        town.kube.put(town.prowjob("a"))
        town.kube.world.compact()
        town.kube.faults.heal()
        await passes(90)
        assert mirror.told == ["a new", "a gone", "a new"]


@story
async def test_malformed() -> None:
    """1. One object does not read. 2. It is set aside, told and counted once a version; the others go on. 3. Mended."""
    town = town_with("a", "b", "c")
    town.kube.patch("b", BAD)
    mirror = Mirror(town)
    async with mirror.running():
        assert mirror.store.names() == {"a", "c"}
        assert mirror.store.synced
        assert [(bad.name, bad.uid) for bad in mirror.aside] == [("b", town.kube.job("b").metadata.uid)]
        town.kube.world.compact()
        await passes(1000)
        assert len(mirror.aside) == 1
        town.kube.patch("b", {"metadata": {"labels": {"x": "y"}}})
        await settle()
        assert len(mirror.aside) == 2
        assert town.metrics.total("prow_async_malformed_objects_total", kind="prowjobs") == 2
        town.kube.patch("b", {"spec": {"decoration_config": None}})
        await settle()
        assert mirror.is_equal()


@story
async def test_spoiled() -> None:
    """1. A known object is changed into one that does not read. 2. What was known of it is no longer true: gone."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        town.kube.patch("a", BAD)
        await settle()
        assert mirror.told == ["a new", "a gone"]
        town.kube.delete_job("a")
        town.kube.put(town.prowjob("a"))
        await settle()
        assert mirror.told == ["a new", "a gone", "a new"]


@story
async def test_not_a_watch_stream() -> None:
    """1. A proxy writes HTML into the stream. 2. It is given up; nothing is lost."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        town.kube.faults.watch_line = once(lambda line: [b"<html>\n"])
        town.kube.set_status("a", state="pending")
        await passes(2)
        assert mirror.is_equal()


@story
async def test_a_server_that_ends_each_watch_at_once() -> None:
    """1. Every watch ends as soon as it is open. 2. The waits grow: no storm of requests."""
    town = town_with("a")
    mirror = Mirror(town)
    async with mirror.running():
        town.kube.faults.watch_line = lambda line: None
        town.kube.set_status("a", state="pending")
        await passes(600)
        assert mirror.asked("watch=true") < 40
