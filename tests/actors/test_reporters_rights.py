"""Storage that takes what crier writes, and does not let it look."""

from pathlib import Path

from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.sandbox.faults import Fault
from tests.actors.outlets import Outlets
from tests.actors.test_reporters import RUN, advance, reported, town_with
from tests.actors.worlds import passes, settle, story


@story
async def test_we_may_write_and_not_read(tmp_path: Path) -> None:
    """1. Every read is refused. 2. What can be written without looking is; what the pod left stays; no pointer is."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    outlets.storage_faults.fail("GET", "", Fault("answer", status=403), times=-1)
    outlets.storage.bucket("logs").put(f"{RUN}/77/finished.json", b"{}")
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        advance(town, "a", "pending")
        await settle()
        advance(town, "a", "success")
        await passes(60)
        assert set(outlets.files()) == {f"{RUN}/77/{name}.json" for name in ("started", "finished", "prowjob")}
        assert outlets.files()[f"{RUN}/77/finished.json"] == b"{}"
        assert reported(town, "a") == {"gcsreporter": "success"}
        assert town.kube.event_texts() == []


@story
async def test_we_may_do_nothing(tmp_path: Path) -> None:
    """Reads and writes are refused: somebody has to mend that, and an event says so."""
    town = town_with()
    outlets = Outlets(town, tmp_path)
    number, sha = town.open_pull()
    for method in ("GET", "PUT"):
        outlets.storage_faults.fail(method, "", Fault("answer", status=403), times=-1)
    town.kube.put(town.presubmit("a", number, sha))
    async with town.engine("crier", reports=outlets.reports(BlobReporter)):
        advance(town, "a", "success", build_id="77")
        await passes(1800)
        (event,) = town.kube.event_texts()
        assert event.startswith("Warning ReportRefused: gcsreporter cannot report state success")
        assert reported(town, "a") == {}
