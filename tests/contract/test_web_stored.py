"""Pages of what storage keeps, over real connections and a real folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from yarl import URL

from prow_async.adapters import storage
from prow_async.adapters.web import server, stored
from prow_async.api.errors import Retry
from prow_async.ports.blobs import Blobs

pytestmark = pytest.mark.anyio
RUN = "pr-logs/pull/o_r/1/unit/7"
FILES = {
    "started.json": b'{"timestamp": 1700000000, "repos": {"o/r": "main:abc,1:def"}}',
    "finished.json": b'{"timestamp": 1700000012, "passed": false, "result": "FAILURE"}',
    "build-log.txt": b"first\n<script>alert(1)</script>\nlast \xff\n",
    "artifacts/page.html": b"<script>alert(2)</script>",
    "artifacts/a b?&#%.txt": b"odd",
}


def keep(folder: Path, files: dict[str, bytes] = FILES) -> str:
    """Store a run; return its bucket."""
    for path, data in files.items():
        target = folder / RUN / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder.as_uri()


@asynccontextmanager
async def visiting(bucket: str) -> AsyncIterator[tuple[ClientSession, str]]:
    site = server.Site(server.not_found)
    stored.add(site, lambda: [bucket], storage.open_bucket)
    async with server.serving(site, "127.0.0.1", 0) as url, ClientSession() as client:
        yield client, url


def address(bucket: str, kind: str = "view", path: str = RUN) -> str:
    return f"/{kind}/{bucket.replace('://', '')}/{path}"


async def test_a_run_that_has_ended(tmp_path: Path) -> None:
    """Result, refs, times, files and the log, all escaped, and nothing that a browser would run."""
    bucket = keep(tmp_path)
    async with visiting(bucket) as (client, url), client.get(url + address(bucket)) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    for part in ("FAILURE", "12 s", "main:abc,1:def", "&lt;script&gt;alert(1)&lt;/script&gt;", "last \ufffd"):
        assert part in text
    assert "<script" not in text
    assert text.count("<li>") == len(FILES)


async def test_files_are_text_whatever_they_hold(tmp_path: Path) -> None:
    """The links of the page lead to them, odd names included; what is not there is 404."""
    bucket = keep(tmp_path)
    async with visiting(bucket) as (client, url):
        async with client.get(url + address(bucket, "stored", f"{RUN}/artifacts/page.html")) as answer:
            assert await answer.read() == FILES["artifacts/page.html"]
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        odd = "/artifacts/a%20b%3F%26%23%25.txt"
        async with client.get(url + address(bucket)) as answer:
            assert f'{address(bucket, "stored")}{odd}"' in await answer.text()
        async with client.get(URL(url + address(bucket, "stored", RUN) + odd, encoded=True)) as answer:
            assert await answer.read() == b"odd"
        async with client.get(url + address(bucket, "stored", f"{RUN}/none")) as answer:
            assert answer.status == 404


@pytest.mark.parametrize("path", ["../secret", f"{RUN}/../../../../../../secret", "%2e%2e/secret", "..%2fsecret"])
async def test_nothing_outside_the_bucket(tmp_path: Path, path: str) -> None:
    """Neither by dots nor by a bucket that the configuration does not name."""
    (tmp_path / "secret").write_text("s3cret")
    bucket = keep(tmp_path / "bucket")
    async with visiting(bucket) as (client, url):
        for kind in ("view", "stored"):
            async with client.get(URL(url + address(bucket, kind, path), encoded=True)) as answer:
                assert answer.status == 404
                assert "s3cret" not in await answer.text()
            async with client.get(f"{url}/{kind}/file{tmp_path}/secret") as answer:
                assert answer.status == 404
            async with client.post(url + address(bucket, kind)) as answer:
                assert answer.status == 405


async def test_a_run_that_goes_on_and_one_that_never_was(tmp_path: Path) -> None:
    """Started: not finished yet. Nothing stored: 404, with a page that says so. Broken records break no page."""
    bucket = keep(tmp_path, {"started.json": FILES["started.json"], "finished.json": b"{"})
    async with visiting(bucket) as (client, url):
        async with client.get(url + address(bucket)) as answer:
            assert (answer.status, "not finished" in await answer.text()) == (200, True)
        async with client.get(url + address(bucket, path=f"{RUN}1")) as answer:
            assert (answer.status, "nothing is stored yet" in await answer.text()) == (404, True)


async def test_of_a_long_log_the_end_is_shown(tmp_path: Path) -> None:
    """All of it is one link away."""
    log = b"".join(b"line %d\n" % number for number in range(100_000))
    bucket = keep(tmp_path, {"build-log.txt": log})
    async with visiting(bucket) as (client, url):
        async with client.get(url + address(bucket)) as answer:
            text = await answer.text()
            assert "line 99999\n" in text
            assert "line 5\n" not in text
            assert f"all {len(log)} bytes" in text
        async with client.get(url + address(bucket, "stored", f"{RUN}/build-log.txt")) as answer:
            assert await answer.read() == log


async def test_storage_that_is_away_is_said() -> None:
    """503 and the reason."""

    def away(bucket: str) -> Blobs:
        raise Retry("the storage is away")

    site = server.Site(server.not_found)
    stored.add(site, lambda: ["b"], away)
    async with server.serving(site, "127.0.0.1", 0) as url, ClientSession() as client:
        for kind in ("view", "stored"):
            async with client.get(f"{url}/{kind}/gs/b/x") as answer:
                assert (answer.status, "the storage is away" in await answer.text()) == (503, True)


async def test_a_link_out_of_the_bucket_is_not_followed(tmp_path: Path) -> None:
    """Whoever writes into the bucket's folder cannot show the rest of the machine."""
    (tmp_path / "secret").write_text("s3cret")
    bucket = keep(tmp_path / "bucket")
    (tmp_path / "bucket" / RUN / "link").symlink_to(tmp_path / "secret")
    async with (
        visiting(bucket) as (client, url),
        client.get(url + address(bucket, "stored", f"{RUN}/link")) as answer,
    ):
        assert "s3cret" not in await answer.text()
