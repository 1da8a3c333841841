"""What storage does when things go wrong: on the way, at the door, on the disk."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from prow_async.adapters import storage
from prow_async.adapters.storage import cloud, names
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.ports.blobs import Blobs
from tests.contract import storage_servers
from tests.contract.storage_servers import ACCESS_KEY, SECRET_KEY, Server

BIG = 17 * 1024 * 1024


@pytest.fixture
def bucket(server: Server) -> Iterator[Blobs]:
    blobs = server.open(server.fresh())
    blobs.put("there", b"0123456789")
    server.trouble.seen.clear()
    yield blobs
    server.trouble.next.clear()
    server.trouble.always = None


def calls(bucket: Blobs) -> list[Callable[[], object]]:
    return [
        lambda: bucket.put("new", b"x"),
        lambda: bucket.put("new", io.BytesIO(b"x" * BIG)),
        lambda: bucket.put_new("new", b"x"),
        lambda: bucket.get("there"),
        lambda: list(bucket.stream("there")),
        lambda: bucket.head("there"),
        lambda: list(bucket.list("")),
        lambda: bucket.folder(""),
        lambda: bucket.delete(["there"]),
    ]


def test_the_servers_bad_moments_are_lived_through(server: Server, bucket: Blobs) -> None:
    """Up to as many failures in a row as there are retries, whatever request they hit."""
    for what in (500, 503, 502, "reset"):
        for path in ("a", "b/c"):
            server.trouble.next = [what, what]
            bucket.put(path, b"x")
            server.trouble.next = [what, what]
            assert bucket.get(path) == b"x"
            server.trouble.next = [what]
            assert bucket.head(path).size_bytes == 1
    assert not server.trouble.next


def test_a_failure_at_any_request_of_a_big_upload(server: Server, bucket: Blobs) -> None:
    """One failure at each request in turn: the object is whole in the end, every time."""
    content = os.urandom(1024) * (BIG // 1024)
    bucket.put("big", io.BytesIO(content))
    count = len(server.trouble.seen)
    assert count >= 5
    for turn in range(count):
        server.trouble.next = [None] * turn + [503]
        bucket.put(f"big-{turn}", io.BytesIO(content))
        assert bucket.get(f"big-{turn}") == content


def test_a_server_that_stays_down_is_retry(server: Server, bucket: Blobs) -> None:
    for what in (500, 503, 429, "reset"):
        for call in calls(bucket):
            server.trouble.always = what
            with pytest.raises(Retry) as caught:
                call()
            no_secrets(caught.value)
    server.trouble.always = None
    assert bucket.get("there") == b"0123456789"


def test_a_server_that_does_not_answer_is_retry(server: Server, bucket: Blobs) -> None:
    """However long it hangs, the call ends."""
    hasty = msgspec.structs.replace(storage_servers.QUICK, timeout_s=0.2, retries=1)
    impatient = server.open(bucket.url.partition("://")[2], hasty)
    server.trouble.always = "hang"
    for call in calls(impatient):
        with pytest.raises(Retry, match="no answer in time"):
            call()


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_server_that_says_no_is_refused_at_once(server: Server, bucket: Blobs, status: int) -> None:
    """No second request follows, but that which gives up an upload in parts."""
    server.trouble.always = status
    for call in calls(bucket):
        server.trouble.seen.clear()
        with pytest.raises(Refused) as caught:
            call()
        assert not isinstance(caught.value, Missing)
        assert caught.value.status == status
        assert len([method for method, _ in server.trouble.seen if method != "DELETE"]) <= 1
        no_secrets(caught.value)


def no_secrets(error: BaseException | None) -> None:
    """Neither the error nor what it came from shows what the server wrote, nor our keys."""
    while error is not None:
        for secret in (ACCESS_KEY, SECRET_KEY, "Signature"):
            assert secret not in f"{error} {error!r}"
        error = error.__cause__


def test_nobody_there(tmp_path: Path) -> None:
    file = tmp_path / "s3.json"
    file.write_text('{"region": "r", "endpoint": "http://127.0.0.1:1", "access_key": "a", "secret_key": "b"}')
    bucket = cloud.open_bucket(names.parse("s3://bucket"), str(file), storage_servers.QUICK)
    with pytest.raises(Retry, match="no connection"):
        bucket.put("x", b"x")


@pytest.mark.parametrize("endpoint", ["http://", "ftp://x", "http://a b", "http://u:s3cr3t@x", "http://x:port", "//x"])
def test_an_endpoint_that_is_none(tmp_path: Path, endpoint: str) -> None:
    file = tmp_path / "s3.json"
    file.write_text(f'{{"endpoint": "{endpoint}", "access_key": "a", "secret_key": "b"}}')
    with pytest.raises(Refused, match="endpoint in the S3 credentials is no address") as caught:
        storage.open_bucket("s3://bucket", s3_credentials_file=str(file))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"region": 7}', '{"access_key": ["s3cr3t"]}', '{"type": "external_account", "k": "s3cr3t"}'],
)
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_credentials_that_do_not_read(tmp_path: Path, scheme: str, text: str) -> None:
    file = tmp_path / "credentials.json"
    file.write_text(text)
    if scheme == "s3" and "external" in text:
        return  # unknown keys are passed over, as Go does
    with pytest.raises(Refused) as caught:
        storage.open_bucket(f"{scheme}://bucket", str(file), str(file))
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__!r}"
    for path in (str(tmp_path / "nope"), str(tmp_path)):
        with pytest.raises(Refused, match="cannot read the credentials file"):
            storage.open_bucket(f"{scheme}://bucket", path, path)


@pytest.mark.parametrize(
    "bucket",
    [
        "",
        "gs://",
        "s3:///x",
        "file://",
        "file://relative",
        "file:///a/../etc",
        "azblob://x",
        "a b",
        "-x",
        "x\n",
        "gs://u:p@h/x",
    ],
)
def test_what_is_no_bucket(bucket: str) -> None:
    with pytest.raises(Refused, match="is no bucket"):
        storage.open_bucket(bucket)


class TestFolder:
    def test_a_link_in_the_way_is_not_followed(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_text("s3cr3t")
        bucket = storage.open_bucket(f"file://{tmp_path}/bucket")
        bucket.put("real/x", b"x")
        (tmp_path / "bucket/link").symlink_to(outside)
        (tmp_path / "bucket/file").symlink_to(outside / "secret")
        for call in (
            lambda: bucket.get("link/secret"),
            lambda: bucket.get("file"),
            lambda: bucket.put("link/new", b"x"),
            lambda: bucket.delete(["link/secret"]),
            lambda: bucket.head("file"),
        ):
            with pytest.raises(Refused):
                call()
        assert [blob.path for blob in bucket.list("")] == ["real/x"]
        bucket.put("file", b"own")
        assert (outside / "secret").read_text() == "s3cr3t"
        assert sorted(outside.iterdir()) == [outside / "secret"]

    def test_what_is_no_file_is_no_object(self, tmp_path: Path) -> None:
        bucket = storage.open_bucket(f"file://{tmp_path}")
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "empty").mkdir()
        for path in ("pipe", "empty"):
            with pytest.raises(Missing):
                bucket.get(path)
        assert list(bucket.list("")) == []

    def test_an_object_and_a_folder_of_one_name(self, tmp_path: Path) -> None:
        bucket = storage.open_bucket(f"file://{tmp_path}")
        bucket.put("a/b", b"x")
        for path in ("a", "a/b/c"):
            with pytest.raises(Refused) as caught:
                bucket.put(path, b"y")
            assert not isinstance(caught.value, Missing)
        assert [blob.path for blob in bucket.list("")] == ["a/b"]

    def test_folders_come_and_go_under_many_hands(self, tmp_path: Path) -> None:
        """Whoever deletes the last object of a folder takes the folder away, while others are about to write there."""
        bucket = storage.open_bucket(f"file://{tmp_path}/bucket")
        lost: list[ProwError] = []

        def work(name: str) -> None:
            for number in range(300):
                try:
                    bucket.put(f"a/b/{name}", str(number).encode())
                    assert bucket.get(f"a/b/{name}") == str(number).encode()
                    bucket.delete([f"a/b/{name}"])
                except ProwError as error:
                    lost.append(error)

        workers = [threading.Thread(target=work, args=(name,)) for name in "wxyz"]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert lost == []
        assert list((tmp_path / "bucket").iterdir()) == []

    def test_a_writer_that_is_killed_leaves_what_was(self, tmp_path: Path) -> None:
        bucket = storage.open_bucket(f"file://{tmp_path}/bucket")
        bucket.put("a/kept", b"before")
        script = """
import sys
from prow_async.adapters import storage

class Source:
    def read(self, size=-1):
        print("read", flush=True)
        return sys.stdin.buffer.read(1 << 20)

storage.open_bucket(sys.argv[1]).put(sys.argv[2], Source())
"""
        for path in ("a/kept", "b/new"):
            writer = subprocess.Popen(
                [sys.executable, "-c", script, bucket.url, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write(b"x" * (1 << 20))
            writer.stdin.flush()
            assert [writer.stdout.readline() for _ in range(2)] == [b"read\n"] * 2  # so the first megabyte is written
            writer.kill()
            writer.communicate()
        assert bucket.get("a/kept") == b"before"
        assert [blob.path for blob in bucket.list("")] == ["a/kept"]
        with pytest.raises(Missing):
            bucket.get("b/new")
        bucket.put("b/new", b"after")
        assert bucket.get("b/new") == b"after"

    def test_a_name_too_long_for_the_disk(self, tmp_path: Path) -> None:
        bucket = storage.open_bucket(f"file://{tmp_path}")
        with pytest.raises(Refused, match="too long"):
            bucket.put("x" * 300, b"y")
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_is_retry_and_leaves_what_was(self, small_disk: Path) -> None:
        bucket = storage.open_bucket(f"file://{small_disk}")
        bucket.put("kept", b"before")
        for path in ("kept", "deep/new"):
            with pytest.raises(Retry, match="No space left"):
                bucket.put(path, io.BytesIO(b"x" * (2 << 20)))
        assert bucket.get("kept") == b"before"
        assert [path.name for path in small_disk.iterdir()] == ["kept"]
        bucket.put("kept", b"after")
        assert bucket.get("kept") == b"after"

    def test_a_disk_that_is_read_only_is_refused(self, small_disk: Path) -> None:
        bucket = storage.open_bucket(f"file://{small_disk}")
        bucket.put("x", b"x")
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        for call in (lambda: bucket.put("y", b"y"), lambda: bucket.delete(["x"])):
            with pytest.raises(ProwError) as caught:
                call()
            assert type(caught.value) is Refused
        assert bucket.get("x") == b"x"
