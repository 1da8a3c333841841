"""The storage reporters on real storage: a folder, an S3 server, the shape of Google's; with trouble on the way."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.actors.reporters.pods import PodReporter
from prow_async.actors.reporters.reads import Reports
from prow_async.adapters import storage
from prow_async.adapters.kube.podinfo import KubePodInfo
from prow_async.adapters.storage.threads import ThreadedStorage
from prow_async.api.config import Config, DecorationEntry, Plank
from prow_async.api.prowjob import DecorationConfig, GCSConfiguration
from prow_async.apps.engine import Engine
from prow_async.core import instants
from prow_async.ports.blobs import Blobs
from tests.actors.worlds import Town
from tests.contract import storage_servers
from tests.contract.storage_servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
RUN = "pr-logs/pull/o_r/1/unit/77"
POINTERS = ["pr-logs/directory/unit/77.txt", "pr-logs/directory/unit/latest-build.txt"]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    folder = tmp_path_factory.mktemp("storage")
    with storage_servers.serving("s3", folder) as s3, storage_servers.serving("gs", folder) as gs:
        yield {"s3": s3, "gs": gs}


def place(kind: str, servers: dict[str, Server], folder: Path) -> tuple[str, Blobs]:
    """Make a bucket; return it as configurations spell it, and opened."""
    if kind == "file":
        name = f"file://{folder}/bucket"
        return name, storage.open_bucket(name)
    name = servers[kind].fresh()
    return f"{kind}://{name}", servers[kind].open(name)


def storage_of(servers: dict[str, Server]) -> ThreadedStorage:
    def opened(bucket: str) -> Blobs:
        scheme, _, name = bucket.partition("://")
        return storage.open_bucket(bucket) if scheme == "file" else servers[scheme].open(name)

    return ThreadedStorage(opened)


def town_on(bucket: str) -> Town:
    settings = GCSConfiguration(bucket=bucket, path_strategy="explicit")
    default = DecorationEntry(config=DecorationConfig(gcs_configuration=settings))
    return Town(Config(plank=Plank(default_decoration_config_entries=(default,))))


async def until_reported(town: Town, state: str) -> None:
    with anyio.fail_after(60):
        while town.kube.job("a").status.prev_report_states != {"gcsreporter": state, "gcsk8sreporter": state}:
            await anyio.sleep(0.05)


async def live(town: Town, servers: dict[str, Server]) -> None:
    """Let one undecorated job begin and end while the two reporters look on."""
    town.kube.put(town.presubmit("a"))
    town.kube.put_pod(town.pod_of("a"))
    infos = {alias: KubePodInfo(cluster.door, alias) for alias, cluster in town.clusters.items()}
    reports = Reports(reporters=(BlobReporter, PodReporter), storage=storage_of(servers), pod_infos=infos)
    async with anyio.create_task_group() as group:
        group.start_soon(Engine(town.parts("crier", reports=reports)).run)
        now = instants.rfc3339(town.clock.now())
        town.kube.set_status("a", state="pending", build_id="77", pendingTime=now, pod_name="a")
        await until_reported(town, "pending")
        town.kube.set_status("a", state="failure", completionTime=now)
        await until_reported(town, "failure")
        group.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["file", "s3", "gs"])
async def test_a_run(servers: dict[str, Server], tmp_path: Path, kind: str) -> None:
    """Every file stands where it belongs, with what it should say."""
    bucket, blobs = place(kind, servers, tmp_path)
    await live(town_on(bucket), servers)
    run = [f"{RUN}/{name}.json" for name in ("finished", "podinfo", "prowjob", "started")]
    latest = [*POINTERS, f"{RUN.removesuffix('/77')}/latest-build.txt"]
    assert sorted(blob.path for blob in blobs.list("")) == sorted([*run, *latest])
    assert blobs.get(POINTERS[0]).decode() == f"{bucket}/{RUN}"
    finished = msgspec.json.decode(blobs.get(f"{RUN}/finished.json"))
    assert (finished["result"], finished["passed"]) == ("failure", False)
    if kind != "file":
        assert blobs.head(f"{RUN}/prowjob.json").attributes.content_type == "application/json"
        assert blobs.head(POINTERS[0]).attributes.metadata == {"x-goog-meta-link": f"{bucket}/{RUN}"}


@pytest.mark.parametrize("kind", ["s3", "gs"])
async def test_a_run_while_the_server_stumbles(servers: dict[str, Server], tmp_path: Path, kind: str) -> None:
    """Every third request gets a 503 or is cut off: all files are there in the end."""
    bucket, blobs = place(kind, servers, tmp_path)
    trouble = servers[kind].trouble
    trouble.next[:] = [None, None, 503, None, None, "reset"] * 12
    try:
        await live(town_on(bucket), servers)
    finally:
        trouble.next.clear()
    assert len([blob for blob in blobs.list("") if blob.path.startswith(RUN)]) == 4
