"""A run's files on their way into storage: what goes where, with what beside it, whatever the tests left behind."""

import gzip
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from prow_async.adapters import storage
from prow_async.api.errors import Refused, Retry
from prow_async.api.jobspec import JobSpec
from prow_async.api.podoptions import GCSUploadOptions
from prow_async.api.prowjob import Pull, Refs
from prow_async.podutils import artifacts, logs, upload
from prow_async.podutils.upload import Item
from prow_async.ports.blobs import Attributes, Blobs
from tests.contract import storage_servers
from tests.contract.storage_servers import Server

PRESUBMIT = JobSpec("presubmit", "unit", "17", "pj", Refs("o", "r", base_ref="main", pulls=(Pull(number=5, sha="x"),)))
PERIODIC = JobSpec("periodic", "nightly", "3", "pj")
RUN = "pr-logs/pull/o_r/5/unit/17"
TEXT = "text/plain; charset=utf-8"


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The folder that a job's tests filled."""
    folder = tmp_path / "artifacts"
    (folder / "deep/er").mkdir(parents=True)
    return folder


def options(bucket: str, *items: object, **more: object) -> GCSUploadOptions:
    known = GCSUploadOptions(
        items=tuple(str(item) for item in items), bucket=bucket, path_strategy="explicit", dry_run=False
    )
    return msgspec.structs.replace(known, **more)


def cloud_options(server: Server, bucket: str, *items: object, **more: object) -> GCSUploadOptions:
    file = str(server.credentials)
    name = f"{server.scheme}://{bucket}"
    return options(name, *items, gcs_credentials_file=file, s3_credentials_file=file, **more)


def content(bucket: Blobs) -> dict[str, bytes]:
    return {blob.path: bucket.get(blob.path) for blob in bucket.list("")}


def test_a_presubmits_places(tmp_path: Path, made: Path) -> None:
    (made / "junit.xml").write_text("<x/>")
    (made / "deep/er/log").write_text("log")
    (tmp_path / "single.txt").write_text("single")
    bucket = f"file://{tmp_path}/bucket"
    chosen = options(bucket, made, tmp_path / "single.txt", path_prefix="pre")
    upload.run(PRESUBMIT, chosen, [Item("started.json", b"{}"), Item("logs/b", lambda: io.BytesIO(b"b"))])
    assert content(storage.open_bucket(bucket)) == {
        f"pre/{RUN}/artifacts/junit.xml": b"<x/>",
        f"pre/{RUN}/artifacts/deep/er/log": b"log",
        f"pre/{RUN}/single.txt": b"single",
        f"pre/{RUN}/started.json": b"{}",
        f"pre/{RUN}/logs/b": b"b",
        "pr-logs/directory/unit/17.txt": f"{bucket}/pre/{RUN}".encode(),
        "pr-logs/directory/unit/latest-build.txt": b"17",
        "pr-logs/pull/o_r/5/unit/latest-build.txt": b"17",
    }


def test_a_sub_folder_and_a_periodic(tmp_path: Path) -> None:
    bucket = f"file://{tmp_path}/bucket"
    upload.run(PERIODIC, options(bucket, sub_dir="sub/dir"), [Item("x", b"y")])
    assert content(storage.open_bucket(bucket)) == {
        "logs/nightly/3/sub/dir/x": b"y",
        "logs/nightly/latest-build.txt": b"3",
    }


def test_a_local_folder_holds_the_run_alone(tmp_path: Path, made: Path) -> None:
    (made / "dump.txt.gz").write_bytes(gzip.compress(b"x"))
    upload.run(PRESUBMIT, options("", made, local_output_dir=str(tmp_path / "out")), [Item("build-log.txt", b"log")])
    found = content(storage.open_bucket(f"file://{tmp_path}/out"))
    assert sorted(found) == ["artifacts/dump.txt.gz", "build-log.txt"]
    assert gzip.decompress(found["artifacts/dump.txt.gz"]) == b"x"


def test_a_dry_run_touches_nothing(tmp_path: Path, made: Path) -> None:
    (made / "x").write_text("x")
    out = io.BytesIO()
    dry = options(f"file://{tmp_path}/bucket", made, dry_run=True, gcs_credentials_file="/nope")
    upload.run(PRESUBMIT, dry, [Item("y", lambda: pytest.fail("opened"))], logs.Log("test", out))
    assert not (tmp_path / "bucket").exists()
    told = [msgspec.json.decode(line) for line in out.getvalue().splitlines()]
    would = {line["dest"] for line in told if line["msg"] == "Would upload"}
    assert {f"{RUN}/artifacts/x", f"{RUN}/y", "pr-logs/directory/unit/17.txt"} < would


def test_what_is_kept_beside_the_content(server: Server, made: Path) -> None:
    long = b"line\n" * 1000
    files = {
        "junit.xml": b"<x/>",
        "report.html.gz": gzip.compress(b"<html>"),
        "dump.gz": gzip.compress(b"dump"),
        "odd.weird": b"\0\1",
        "notes.md": long,
        "short.md": b"short",
        "packed.md": gzip.compress(os.urandom(5000)),
        "own.log": b"x",
        "a#b.txt": b"x",
        "new\nline": b"x",
    }
    for name, data in files.items():
        (made / name).write_bytes(data)
    name = server.fresh()
    chosen = cloud_options(server, name, made, media_types={"log": "text/plain"}, compress_file_types=("md", "txt"))
    cached = Attributes(cache_control="no-cache", metadata={"k": "v"})
    upload.run(PRESUBMIT, chosen, [Item("build-log.txt", long), Item("x", b"{}", cached)])
    bucket = server.open(name)
    found = {blob.path.removeprefix(f"{RUN}/artifacts/"): bucket.head(blob.path).attributes for blob in bucket.list("")}
    assert found == {
        "junit.xml": Attributes("text/xml; charset=utf-8"),
        "report.html": Attributes("text/html; charset=utf-8", "gzip"),
        "dump": Attributes("application/gzip"),
        "odd.weird": Attributes("application/octet-stream"),
        "notes.md": Attributes(TEXT, "gzip"),
        "short.md": Attributes(TEXT),
        "packed.md": Attributes("application/x-gzip"),
        "own.log": Attributes(TEXT),
        "a%23b.txt": Attributes(TEXT),
        "new%0Aline": Attributes(TEXT),
        f"{RUN}/build-log.txt": Attributes(TEXT, "gzip"),
        f"{RUN}/x": Attributes(TEXT, "", "no-cache", {"k": "v"}),
        "pr-logs/directory/unit/17.txt": Attributes(
            TEXT, metadata={"x-goog-meta-link": f"{server.scheme}://{name}/{RUN}"}
        ),
        "pr-logs/directory/unit/latest-build.txt": Attributes(TEXT),
        "pr-logs/pull/o_r/5/unit/latest-build.txt": Attributes(TEXT),
    }
    assert gzip.decompress(bucket.get(f"{RUN}/artifacts/notes.md")) == long
    assert gzip.decompress(bucket.get(f"{RUN}/build-log.txt")) == long
    assert bucket.get(f"{RUN}/artifacts/packed.md") == files["packed.md"]


def test_a_run_of_a_job_with_an_odd_name(server: Server) -> None:
    name = server.fresh()
    odd = msgspec.structs.replace(PRESUBMIT, job="prüfung 1")
    upload.run(odd, cloud_options(server, name), [Item("x", b"x")])
    alias = server.open(name).head("pr-logs/directory/prüfung 1/17.txt")
    link = f"{server.scheme}://{name}/pr-logs/pull/o_r/5/pr%C3%BCfung 1/17"
    assert alias.attributes.metadata == {"x-goog-meta-link": link}


def test_pointers_are_written_last(server: Server, made: Path) -> None:
    for number in range(20):
        (made / str(number)).write_text("x")
    name = server.fresh()
    upload.run(PRESUBMIT, cloud_options(server, name, made), [Item("finished.json", b"{}")])
    written = [path.removeprefix(f"/{name}/") for method, path in server.trouble.seen if method == "PUT"]
    assert all(path.startswith(f"{RUN}/artifacts/") for path in written[:20])
    assert written[20] == f"{RUN}/finished.json"
    assert sorted(written[21:]) == [
        "pr-logs/directory/unit/17.txt",
        "pr-logs/directory/unit/latest-build.txt",
        "pr-logs/pull/o_r/5/unit/latest-build.txt",
    ]


def test_a_server_that_comes_back_in_time(server: Server) -> None:
    name = server.fresh()
    server.trouble.next = [503] * 4
    pauses: list[float] = []
    upload.run(PERIODIC, cloud_options(server, name), [Item("x", lambda: io.BytesIO(b"whole"))], pause=pauses.append)
    assert server.open(name).get("logs/nightly/3/x") == b"whole"
    assert pauses == [1.0]


def test_a_server_that_refuses_is_not_asked_again(server: Server) -> None:
    name = server.fresh()
    server.trouble.always = 403
    try:
        with pytest.raises(Refused, match=r"2 uploads failed: logs/nightly/3/x in .*: 403") as caught:
            upload.run(PERIODIC, cloud_options(server, name), [Item("x", b"x")], pause=lambda _: pytest.fail("waited"))
    finally:
        server.trouble.always = None
    assert len(server.trouble.seen) == 2
    assert storage_servers.SECRET_KEY not in str(caught.value)


def test_one_that_fails_keeps_nothing_else_back(tmp_path: Path, made: Path) -> None:
    bucket = f"file://{tmp_path}/bucket"
    (made / "x").write_text("x")

    def broken() -> io.BytesIO:
        raise FileNotFoundError(2, "No such file", "gone")

    with pytest.raises(Refused, match=r"1 uploads failed: logs/nightly/3/gone: cannot read"):
        upload.run(PERIODIC, options(bucket, made), [Item("gone", broken), Item("there", b"y")])
    assert sorted(content(storage.open_bucket(bucket))) == [
        "logs/nightly/3/artifacts/x",
        "logs/nightly/3/there",
        "logs/nightly/latest-build.txt",
    ]


def test_a_full_disk_is_retry(small_disk: Path) -> None:
    pauses: list[float] = []
    items = [Item("big", b"x" * (2 << 20)), Item("small", b"x")]
    with pytest.raises(Retry, match=r"1 uploads failed: big .*No space left"):
        upload.run(PERIODIC, options("", local_output_dir=str(small_disk)), items, pause=pauses.append)
    assert pauses == [1, 4, 9]
    assert [path.name for path in small_disk.iterdir()] == ["small"]


def test_room_made_in_time(small_disk: Path) -> None:
    (small_disk / "in the way").write_bytes(b"x" * (900 << 10))
    upload.run(
        PERIODIC,
        options("", local_output_dir=str(small_disk)),
        [Item("x", b"x" * (500 << 10))],
        pause=lambda _: (small_disk / "in the way").unlink(),
    )
    assert (small_disk / "x").stat().st_size == 500 << 10


def test_jobs_without_a_place(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no place in storage"):
        upload.run(JobSpec("presubmit", "j", "1"), options(f"file://{tmp_path}/b"), [Item("x", b"")])


def quiet() -> tuple[logs.Log, io.BytesIO]:
    out = io.BytesIO()
    return logs.Log("test", out), out


def test_nothing_outside_the_folder_is_read(tmp_path: Path, made: Path) -> None:
    """Links out, rings of links, pipes, sockets, devices: warned of, passed over, never opened."""
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t")
    (tmp_path / "artifacts-other").mkdir()
    (tmp_path / "artifacts-other/x").write_text("s3cr3t")
    (made / "good").write_text("good")
    (made / "inner").symlink_to("good")
    (made / "out").symlink_to(secret)
    (made / "beside").symlink_to(tmp_path / "artifacts-other/x")
    (made / "folder").symlink_to(tmp_path)
    (made / "ring").symlink_to("ring")
    (made / "dangling").symlink_to("nowhere")
    os.mkfifo(made / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(made / "deep/socket"))
        log, out = quiet()
        upload.run(PERIODIC, options(f"file://{tmp_path}/bucket", made), [], log)
    found = content(storage.open_bucket(f"file://{tmp_path}/bucket/logs/nightly/3"))
    assert found == {"artifacts/good": b"good", "artifacts/inner": b"good"}
    warned = [line for line in out.getvalue().splitlines() if b'"warning"' in line]
    assert len(warned) == 7


def test_an_item_that_is_a_link_or_missing(tmp_path: Path, made: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "folder").symlink_to(made)
    log, out = quiet()
    items = (tmp_path / "link", tmp_path / "folder", tmp_path / "nope", "bad\0name")
    upload.run(PERIODIC, options(f"file://{tmp_path}/bucket", *items), [], log)
    assert sorted(content(storage.open_bucket(f"file://{tmp_path}/bucket"))) == ["logs/nightly/latest-build.txt"]
    assert out.getvalue().count(b'"warning"') == 4


def test_a_file_turned_into_a_link_after_it_was_found(tmp_path: Path, made: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t")
    (made / "x").write_text("x")
    (made / "deep/er/y").write_text("y")
    found = {one.name: one for one in artifacts.gather(str(made), quiet()[0])}
    (made / "x").unlink()
    (made / "x").symlink_to(tmp_path / "secret")
    (made / "deep/er/y").unlink()
    (made / "deep/er").rmdir()
    (tmp_path / "y").write_text("s3cr3t")
    (made / "deep/er").symlink_to(tmp_path)
    for one in found.values():
        with pytest.raises(Refused, match="it is not read"):
            artifacts.open_file(one)
    (made / "x").unlink()
    os.mkfifo(made / "x")
    with pytest.raises(Refused, match="it is not read"):
        artifacts.open_file(found["artifacts/x"])
    (made / "x").unlink()
    with pytest.raises(Refused, match="No such file"):
        artifacts.open_file(found["artifacts/x"])


def _read(file: artifacts.Bounded, _: Path) -> bytes:
    return b"".join(iter(lambda: file.read(30), b""))


def _copied(file: artifacts.Bounded, target: Path, how: int = 0) -> bytes:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | how)
    file.copy_to(descriptor)
    os.close(descriptor)
    return target.read_bytes()


def _appended(file: artifacts.Bounded, target: Path) -> bytes:
    """Write to a file of a kind that Linux cannot copy to within the kernel."""
    return _copied(file, target, os.O_APPEND)


@pytest.mark.parametrize("content_of", [_read, _copied, _appended])
def test_files_that_change_while_they_are_read(
    tmp_path: Path, made: Path, content_of: Callable[[artifacts.Bounded, Path], bytes]
) -> None:
    """One that grows ends where it ended when it was opened; one that shrinks ends earlier."""
    for name in ("grows", "shrinks"):
        (made / name).write_bytes(b"x" * 100)
    grows, shrinks = artifacts.gather(str(made), quiet()[0])
    with_more, with_less = artifacts.open_file(grows), artifacts.open_file(shrinks)
    with (made / "grows").open("ab") as more:
        more.write(b"y" * 1000)
    os.truncate(made / "shrinks", 10)
    assert content_of(with_more, tmp_path / "more") == b"x" * 100
    assert content_of(with_less, tmp_path / "less") == b"x" * 10
    with_more.close()
    with_less.close()


def test_names_in_no_encoding_and_depths(tmp_path: Path, made: Path) -> None:
    with open(os.fsencode(made) + b"/\xff\xfe.txt", "wb") as odd:
        odd.write(b"odd")
    deep = made
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "end").write_text("end")
    upload.run(PERIODIC, options(f"file://{tmp_path}/bucket", made), [], quiet()[0])
    found = content(storage.open_bucket(f"file://{tmp_path}/bucket/logs/nightly/3/artifacts"))
    assert found == {"\ufffd\ufffd.txt": b"odd", "d/" * 300 + "end": b"end"}


def test_two_files_of_one_name(server: Server, made: Path) -> None:
    """Without its ending a packed file may be called as another one: the first is kept, the second told of."""
    (made / "log.xml").write_text("plain")
    (made / "log.xml.gz").write_bytes(gzip.compress(b"packed"))
    name = server.fresh()
    log, out = quiet()
    upload.run(PERIODIC, cloud_options(server, name, made), [], log)
    assert server.open(name).get("logs/nightly/3/artifacts/log.xml") == b"plain"
    assert b"duplicate" in out.getvalue()
