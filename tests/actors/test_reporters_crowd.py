"""Many runs of one job at once: they wait for one another only where they share a pointer."""

from pathlib import Path

from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.api.prowjob import DecorationConfig
from prow_async.sandbox.faults import Fault
from tests.actors.outlets import Outlets
from tests.actors.test_reporters import GCS, advance, reported, town_with
from tests.actors.worlds import passes, story

FOLDER = "pr-logs/pull/o_r/1/hot"


@story
async def test_runs_whose_pods_uploaded_are_stored_side_by_side(tmp_path: Path) -> None:
    """1. Two hundred runs of a job end, storage takes 0.1 s a request. 2. Those and another job are soon stored."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    for method in ("GET", "PUT"):
        outlets.storage_faults.fail(method, "", Fault("delay", delay_s=0.1), times=-1)
    decorated = DecorationConfig(gcs_configuration=GCS)
    runs = [f"run-{n}" for n in range(200)]
    for n, name in enumerate(runs):
        more = {"context": name, "job": "hot", "decoration_config": decorated}
        town.kube.put(town.presubmit(name, number, sha, **more))
        outlets.storage.bucket("logs").put(f"{FOLDER}/{n}/started.json", b'{"timestamp":1}')
    town.kube.put(town.presubmit("other", number, sha, context="other", job="other", decoration_config=decorated))
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        for n, name in enumerate(runs):
            advance(town, name, "success", build_id=str(n))
        advance(town, "other", "success", build_id="500")
        await passes(10)
        assert reported(town, "other") == {"gcsreporter": "success"}
        assert [name for name in runs if not reported(town, name)] == []


@story
async def test_runs_that_never_began_share_their_pointer_in_turns(tmp_path: Path) -> None:
    """1. Ten runs end at once and nobody uploaded anything. 2. The pointer names the greatest build."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    outlets.storage_faults.fail("GET", "", Fault("delay", delay_s=0.1), times=-1)
    runs = [f"run-{n}" for n in range(10)]
    for name in runs:
        town.kube.put(town.presubmit(name, number, sha, context=name, job="hot"))
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        for n, name in enumerate(runs):
            advance(town, name, "success", build_id=str(109 - n))
        await passes(60)
        assert outlets.files()["pr-logs/directory/hot/latest-build.txt"] == b"109"
        assert [name for name in runs if not reported(town, name)] == []
