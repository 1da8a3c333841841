"""Storage without blocking, on a folder and a real S3 server; and one bucket's trouble that is its own."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from prow_async.adapters import storage
from prow_async.adapters.storage import threads
from prow_async.adapters.storage.folder import FolderBlobs
from prow_async.adapters.storage.threads import ThreadedStorage
from prow_async.api.errors import Missing, Refused, Retry
from prow_async.ports import permit
from prow_async.ports.blobs import Attributes, Blobs
from tests.contract import storage_servers
from tests.contract.storage_servers import Server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with storage_servers.serving("s3", tmp_path_factory.mktemp("storage")) as server:
        yield server


def opener(server: Server) -> ThreadedStorage:
    def opened(bucket: str) -> Blobs:
        if bucket.startswith("s3://"):
            return server.open(bucket.removeprefix("s3://"))
        return storage.open_bucket(bucket)

    return ThreadedStorage(opened, lambda bucket: "secret" not in bucket)


@pytest.mark.parametrize("kind", ["file", "s3"])
async def test_objects(server: Server, tmp_path: Path, kind: str) -> None:
    """Put, put again, put new, get, with what is kept beside."""
    bucket = f"file://{tmp_path}/b" if kind == "file" else f"s3://{server.fresh()}"
    blobs = opener(server)
    with pytest.raises(Missing):
        await blobs.get(bucket, "a/x", 9)
    attributes = Attributes("application/json", metadata={"link": "y"})
    assert await blobs.put_new(bucket, "a/x", b"1", attributes)
    assert not await blobs.put_new(bucket, "a/x", b"2", attributes)
    assert await blobs.get(bucket, "a/x", 9) == b"1"
    await blobs.put(bucket, "a/x", b"3", attributes)
    assert await blobs.get(bucket, "a/x", 9) == b"3"
    await blobs.put(bucket, "a/empty", b"")
    await blobs.put(bucket, "a/long", b"0123456789")
    assert (await blobs.get(bucket, "a/empty", 9), await blobs.get(bucket, "a/long", 9)) == (b"", b"012345678")
    if kind == "s3":
        assert server.open(bucket.removeprefix("s3://")).head("a/x").attributes == attributes


async def test_a_bucket_that_hangs_holds_up_itself_alone(server: Server, tmp_path: Path) -> None:
    """1. More calls than there are threads wait for one bucket. 2. Another bucket is written to all the same."""
    blobs = opener(server)
    hung = f"s3://{server.fresh()}"
    server.trouble.always = "hang"
    try:
        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(blobs.put, hung, f"x{number}", b"x")
            await anyio.to_thread.run_sync(server.trouble.hanging.wait)
            with anyio.fail_after(30):
                await blobs.put(f"file://{tmp_path}/b", "y", b"y")
            group.cancel_scope.cancel()
    finally:
        server.trouble.always = None
        server.trouble.released.set()
    assert (tmp_path / "b" / "y").read_bytes() == b"y"


async def test_a_call_that_takes_too_long(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up for now; what it waits for is its own matter."""
    released = anyio.Event()

    class Slow:
        url = "file:///slow"

        def get(self, path: str, start: int = 0, end: int | None = None) -> bytes:
            anyio.from_thread.run(released.wait)
            return b""

    monkeypatch.setattr(threads, "LONGEST_S", 0.05)
    blobs = ThreadedStorage(lambda _: Slow())  # type: ignore[arg-type,return-value]  # no more than is asked for
    with pytest.raises(Retry, match="no answer"):
        await blobs.get("slow", "x", 9)
    released.set()


async def test_a_bucket_that_may_not_be_opened(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="named nowhere"):
        await opener(server).put(f"file://{tmp_path}/secret", "x", b"x")
    assert not (tmp_path / "secret").exists()


async def test_many_buckets(server: Server, tmp_path: Path) -> None:
    """Only so many stay open; those that were closed are opened again."""
    blobs = opener(server)
    for number in (*range(threads.KEPT + 10), 0, 5):
        await blobs.put(f"file://{tmp_path}/b{number}", "x", b"%d" % number)
    assert (tmp_path / "b0" / "x").read_bytes() == b"0"


async def test_a_write_whose_permit_went_while_it_waited_for_a_thread(tmp_path: Path) -> None:
    """1. All threads of a bucket are taken. 2. A write waits; its permit goes. 3. Nothing is written."""
    free, taken = threading.Event(), threading.Semaphore(0)

    class Slow(FolderBlobs):
        def get(self, path: str, start: int = 0, end: int | None = None) -> bytes:
            taken.release()
            free.wait(30)
            return b""

    blobs = ThreadedStorage(lambda bucket: Slow(str(tmp_path)))
    allowed = True

    def check() -> None:
        if not allowed:
            raise Retry("not yours any more")

    async def write() -> None:
        with permit.needed(check), contextlib.suppress(Retry):
            await blobs.put("file:///b", "late", b"old")

    async with anyio.create_task_group() as group:
        for _ in range(threads.AT_ONCE):
            group.start_soon(blobs.get, "file:///b", "x", 1)
        for _ in range(threads.AT_ONCE):
            await anyio.to_thread.run_sync(taken.acquire)
        group.start_soon(write)
        await anyio.wait_all_tasks_blocked()
        allowed = False
        free.set()
    assert os.listdir(tmp_path) == []
