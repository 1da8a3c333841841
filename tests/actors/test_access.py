"""What we may do in build clusters, and the file that says how they stand."""

from pathlib import Path

import msgspec

from prow_async.actors.reporters.reads import Reports
from prow_async.api.config import Config, Plank
from prow_async.api.errors import Missing
from prow_async.sandbox.faults import Fault
from tests.actors.outlets import Outlets
from tests.actors.script import DROP
from tests.actors.worlds import Town, passes, story

REVIEWS = "/selfsubjectaccessreviews"


def configured(place: str = "") -> Config:
    return Config(plank=Plank(build_cluster_status_file=place))


def written(outlets: Outlets) -> dict[str, str] | None:
    try:
        body = outlets.storage.bucket("gs://b").get("ci/status.json")
    except Missing:
        return None
    return msgspec.json.decode(body, type=dict[str, str])


@story
async def test_how_clusters_stand_is_written_every_minute(tmp_path: Path) -> None:
    """1. One is well, one fails, one was never listed. 2. The file says so. 3. They heal: it says that too."""
    town = Town(configured("gs://b/ci/status.json"), aliases=("default", "east", "west"))
    outlets = Outlets(town, tmp_path)
    town.clusters["east"].faults.fail("POST", REVIEWS, Fault("answer", status=500), times=-1)
    town.clusters["west"].faults.fail("GET", "/pods", DROP, times=-1)
    async with town.engine("plank", looks_at_access=True, reports=Reports(storage=outlets.storage)):
        await passes(15)
        assert written(outlets) == {"default": "Reachable", "east": "Error", "west": "No-Manager"}
        for cluster in town.clusters.values():
            cluster.faults.heal()
        await passes(130)
        assert written(outlets) == {"default": "Reachable", "east": "Reachable", "west": "Reachable"}


@story
async def test_without_a_file_nobody_well_is_asked_again(tmp_path: Path) -> None:
    """1. Each cluster is asked six questions. 2. An hour later: no more, but of the one that did not answer."""
    town = Town(configured(), aliases=("default", "east"))
    town.clusters["east"].faults.fail("POST", REVIEWS, Fault("answer", status=500), times=1)
    async with town.engine("plank", looks_at_access=True, reports=Reports()):
        await passes(3600)
        asked = {name: sum(REVIEWS in line for line in c.faults.asked) for name, c in town.clusters.items()}
        assert asked == {"default": 6, "east": 7}


@story
async def test_storage_that_is_away_is_tried_again(tmp_path: Path) -> None:
    town = Town(configured("b/ci/status.json"))
    outlets = Outlets(town, tmp_path)
    outlets.storage_faults.fail("PUT", "status.json", DROP, times=4)
    async with town.engine("plank", looks_at_access=True, reports=Reports(storage=outlets.storage)):
        await passes(50)
        assert written(outlets) is None
        await passes(60)
        assert written(outlets) == {"default": "Reachable"}


@story
async def test_a_place_that_names_no_object_stops_nothing(tmp_path: Path) -> None:
    town = Town(configured("gs://only-a-bucket"))
    town.kube.put(town.prowjob("a"))
    async with town.engine("plank", looks_at_access=True, reports=Reports()):
        await passes(130)
        assert town.kube.job("a").status.state == "pending"
        assert town.metrics.total("prow_async_actor_restarts_total") == 0
