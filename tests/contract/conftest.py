"""What contracts are tried on: Kubernetes as the embedded world through both doors and as the real kube-apiserver,
storage as servers and as a disk without much room.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from prow_async.adapters.kube import session
from prow_async.adapters.kube.credentials import Source
from prow_async.sandbox.kube import direct, http, kubeconfig
from prow_async.sandbox.kube.world import World
from tests import realkube
from tests.contract.kube_targets import FinishedLogs, RandomIds, Target
from tests.realkube import pytest_collection_modifyitems, pytest_terminal_summary, real_kube

if TYPE_CHECKING:
    from tests.contract import storage_servers

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary", "real_kube"]

DIRECT, HTTP, REAL = "embedded-direct", "embedded-http", "real"
TOKEN = "a-token"
NAMESPACE = "default"


class WallClock:
    def now(self) -> float:
        return time.time()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    from tests.contract import storage_servers  # boto3 and a server of S3 take a second

    with storage_servers.small_disk(tmp_path / "disk"):
        yield tmp_path / "disk"


@pytest.fixture(scope="module", params=["s3", "gs"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["storage_servers.Server"]:
    from tests.contract import storage_servers

    with storage_servers.serving(request.param, tmp_path_factory.mktemp("storage")) as server:
        yield server


@pytest.fixture(params=[DIRECT, HTTP, pytest.param(REAL, marks=realkube.REAL)])
async def kube(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Target]:
    """An API server to test, with a namespace of the test's own."""
    if request.param == REAL:
        opened = _real(request.getfixturevalue("real_kube"))
    elif request.param == HTTP:
        opened = _embedded_http(tmp_path)
    else:
        opened = _embedded_direct()
    async with opened as target:
        yield target


@pytest.fixture(params=[HTTP, pytest.param(REAL, marks=realkube.REAL)])
async def served_kube(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Target]:
    """The same, only those with a socket and a kubeconfig."""
    real = request.param == REAL
    async with _real(request.getfixturevalue("real_kube")) if real else _embedded_http(tmp_path) as target:
        yield target


def _world() -> World:
    world = World(RandomIds())
    world.install(yaml.safe_load(realkube.CRD.read_text()), time.time())
    return world


@contextlib.asynccontextmanager
async def _embedded_direct() -> AsyncIterator[Target]:
    world = _world()

    async def forget() -> None:
        world.compact()

    transport = direct.DirectTransport(world, WallClock(), log_source=FinishedLogs())
    yield Target(DIRECT, transport, NAMESPACE, forget)


@contextlib.asynccontextmanager
async def _embedded_http(folder: Path) -> AsyncIterator[Target]:
    world = _world()

    async def forget() -> None:
        world.compact()

    async with http.serve(world, WallClock(), TOKEN, log_source=FinishedLogs()) as address:
        file = folder / "kubeconfig"
        kubeconfig.write(file, kubeconfig.render(address, TOKEN))
        async with session.connect(Source("embedded", (str(file),)), "contract") as transport:
            yield Target(HTTP, transport, NAMESPACE, forget, file)


@contextlib.asynccontextmanager
async def _real(server: realkube.Server) -> AsyncIterator[Target]:
    async def forget() -> None:
        server.compact()

    async with session.connect(Source("real", (str(server.kubeconfig),)), "contract") as transport:
        yield Target(REAL, transport, server.namespace(), forget, server.kubeconfig)
