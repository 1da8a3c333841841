"""What we may do in build clusters, and the file that says how they stand."""

import anyio
import msgspec

from prow_async.actors.access import EVERY_S, Access
from prow_async.api.config import Config, Plank
from prow_async.api.errors import Retry
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import Town, passes, story

REVIEWS = "/selfsubjectaccessreviews"
FILE = Config(plank=Plank(build_cluster_status_file="gs://b/status.json"))


class Files:
    """What was written where."""

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, str]]] = []
        self.trouble = False

    async def tell(self, place: str, body: bytes) -> None:
        if self.trouble:
            raise Retry("storage is away")
        self.written.append((place, msgspec.json.decode(body, type=dict[str, str])))


@story
async def test_how_clusters_stand_is_written_every_minute() -> None:
    """1. One is well, one fails, one was never listed. 2. The file says so. 3. They heal: it says that too."""
    town, files = Town(FILE, aliases=("default", "east", "west")), Files()
    town.clusters["east"].faults.fail("POST", REVIEWS, Fault("answer", status=500), times=-1)
    town.clusters["west"].faults.fail("GET", "/pods", DROP, times=-1)
    async with town.engine("plank") as engine:
        access = Access(engine.clusters, town.config, files.tell)
        await passes(15)
        await access.look()
        assert files.written == [
            ("gs://b/status.json", {"default": "Reachable", "east": "Error", "west": "No-Manager"}),
        ]
        for cluster in town.clusters.values():
            cluster.faults.heal()
        await passes(60)
        await access.look()
        assert set(files.written[-1][1].values()) == {"Reachable"}


@story
async def test_without_a_file_nobody_well_is_asked_again() -> None:
    """1. Each cluster is asked six questions. 2. An hour later: no more, but of the one that did not answer."""
    town, files = Town(aliases=("default", "east")), Files()
    town.clusters["east"].faults.fail("POST", REVIEWS, Fault("answer", status=500), times=1)
    async with town.engine("plank") as engine:
        access = Access(engine.clusters, town.config, files.tell)

        async with anyio.create_task_group() as group:
            group.start_soon(access.run)
            await passes(3600)
            group.cancel_scope.cancel()
        asked = {name: [a for a in c.faults.asked if REVIEWS in a] for name, c in town.clusters.items()}
        assert len(asked["default"]) == 6
        assert len(asked["east"]) == 7
    assert files.written == []


@story
async def test_storage_that_is_away_costs_one_line() -> None:
    town, files = Town(FILE), Files()
    files.trouble = True
    async with town.engine("plank") as engine:
        access = Access(engine.clusters, town.config, files.tell)

        async with anyio.create_task_group() as group:
            group.start_soon(access.run)
            await passes(EVERY_S / 2)
            files.trouble = False
            await passes(EVERY_S)
            group.cancel_scope.cancel()
    assert len(files.written) == 1
