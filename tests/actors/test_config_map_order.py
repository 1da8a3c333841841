"""Two merges that touch one ConfigMap: the newer one wins, whichever hook writes last and whatever happens between."""

from pathlib import Path

import anyio
import msgspec
import pytest

from prow_async.adapters.kube.collection import CONFIG_MAPS, KubeCollection
from prow_async.api.actions import Decision, UpdateConfigMap
from prow_async.api.errors import Retry
from prow_async.sandbox.faults import Fault
from tests.actors import inbox as inboxes
from tests.actors.script import DROP
from tests.actors.test_executor import executor
from tests.actors.test_router import deliver, hook, nothing, plugin, town_with
from tests.actors.worlds import JOBS, Cluster, Town, passes, story

SECOND = "2026-01-01T00:00:00Z"
OLDER = f"{SECOND} 000000010"
NEWER = f"{SECOND} 000000011"


def update(order: str, **data: str) -> UpdateConfigMap:
    texts = {"VERSION": order, "shared": order, **data}
    return UpdateConfigMap(cluster="default", namespace=JOBS, name="m", data=texts, order=order, why="a merge")


def stands(town: Town) -> dict[str, str]:
    return dict(town.kube.ask("GET", CONFIG_MAPS.path(JOBS, "m"))["data"])


WANTED = {"VERSION": NEWER, "shared": NEWER, "a": "older's own", "b": "newer's own"}
OLD, NEW = update(OLDER, a="older's own"), update(NEWER, b="newer's own")


@pytest.mark.parametrize("first", [OLD, NEW])
@story
async def test_one_after_the_other(first: UpdateConfigMap) -> None:
    town = Town()
    for one in (first, NEW if first is OLD else OLD):
        await executor(town).perform(one, "x")
    assert stands(town) == WANTED


@pytest.mark.parametrize("slow", [OLD, NEW])
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("request_", ["read", "write"])
@story
async def test_two_hooks_at_once(slow: UpdateConfigMap, exists: bool, request_: str) -> None:
    """One hook's read, or write, hangs for ten seconds while the other one works from beginning to end."""
    town = Town()
    if exists:
        await executor(town).perform(update("2025", c="before"), "x")
    method = "GET" if request_ == "read" else "PATCH" if exists else "POST"
    town.kube.faults.fail(method, "/configmaps", Fault("delay", delay_s=10))
    async with anyio.create_task_group() as group:
        group.start_soon(executor(town).perform, slow, "x")
        await anyio.sleep(1)
        group.start_soon(executor(town).perform, NEW if slow is OLD else OLD, "y")
    assert stands(town) == WANTED | ({"c": "before"} if exists else {})


@story
async def test_a_recorded_update_that_is_continued_after_a_crash() -> None:
    """The older one's write was lost with its hook; days later its record is taken up again."""
    town = Town()
    await executor(town).perform(update("2025"), "x")
    town.kube.faults.fail("PATCH", "/configmaps", DROP, times=99)
    with pytest.raises(Retry):
        await executor(town).perform(OLD, "x")
    town.kube.faults.heal()
    await executor(town).perform(NEW, "y")
    await executor(town).resume(OLD, "x", 0.0)
    assert stands(town) == WANTED


@story
async def test_nothing_is_written_where_nothing_is_left_to_do() -> None:
    town = Town()
    await executor(town).perform(NEW, "x")
    town.kube.faults.renew()
    await executor(town).perform(update(OLDER), "x")
    assert town.kube.faults.writes() == []


@story
async def test_somebody_who_never_stops_writing_is_told_of() -> None:
    town = Town()
    await executor(town).perform(OLD, "x")
    town.kube.faults.fail("PATCH", "/configmaps", Fault("answer", status=409), times=9999)
    with pytest.raises(Retry, match="was changed by others"):
        await executor(town).perform(NEW, "x")


@story
async def test_a_cluster_that_is_away_holds_up_its_own_alone(tmp_path: Path) -> None:
    """1. The first of two clusters does not answer; the other's ConfigMap is written. 2. It answers again: its too.

    One that takes requests and never answers is asked for one of its ConfigMaps at a time: all together would take the
    plugin's time, and the delivery be given up.
    """
    town = town_with(plugins=("p",))
    town.open_pull()
    far = town.clusters["far"] = Cluster("far", town.ids, town.clock)
    many = tuple(msgspec.structs.replace(OLD, cluster="far", name=f"m{number}") for number in range(300))
    both = (*many, OLD)

    def maps(alias: str, namespace: str) -> KubeCollection:
        return town.clusters[alias].collection(CONFIG_MAPS, namespace)

    far.faults.fail("GET", "/configmaps", Fault("drop", delay_s=59), times=99999)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", nothing, lambda number: Decision(both, "both")), config_maps=maps):
            await passes(60)
            assert stands(town)["shared"] == OLDER
            await passes(1500)
            assert far.world.objects("configmaps", JOBS) == []
            far.faults.heal()
            await passes(3600)
            assert len(far.world.objects("configmaps", JOBS)) == len(many)
            assert await inbox.fate(guid) == "p: both"
