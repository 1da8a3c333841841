"""One suite for every kind of storage: a folder, a real S3 server, the shape of Google's."""

import io
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prow_async.adapters import storage
from prow_async.api.errors import Missing, Refused
from prow_async.ports.blobs import Attributes, Blob, Blobs, Folder
from tests.contract import storage_servers

BIG = 17 * 1024 * 1024 + 3


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, storage_servers.Server]]:
    folder = tmp_path_factory.mktemp("storage")
    with storage_servers.serving("s3", folder) as s3, storage_servers.serving("gs", folder) as gs:
        yield {"s3": s3, "gs": gs}


@pytest.fixture(params=["s3", "gs"])
def server(request: pytest.FixtureRequest, servers: dict[str, storage_servers.Server]) -> storage_servers.Server:
    return servers[request.param]


@pytest.fixture(params=["file", "s3", "gs"])
def bucket(request: pytest.FixtureRequest, servers: dict[str, storage_servers.Server], tmp_path: Path) -> Blobs:
    if request.param == "file":
        return storage.open_bucket(f"file://{tmp_path}/bucket")
    server = servers[request.param]
    return server.open(server.fresh())


def paths(blobs: Iterator[Blob]) -> list[str]:
    return sorted(blob.path for blob in blobs)


class Trickle(io.RawIOBase):
    """Gives what it has in small and uneven pieces, as a pipe does."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0
        self._piece = 1

    def read(self, size: int = -1, /) -> bytes:
        self._piece = self._piece * 3 % 65521 + 1
        taken = self._content[self._at : self._at + min(size if size >= 0 else self._piece, self._piece)]
        self._at += len(taken)
        return taken


class Broken(io.RawIOBase):
    """A source that fails after a while."""

    def __init__(self, good_bytes: int) -> None:
        self._left = good_bytes

    def read(self, size: int = -1, /) -> bytes:
        if self._left <= 0:
            raise Refused("the disk under the source broke")
        taken = min(self._left, size if size >= 0 else self._left)
        self._left -= taken
        return b"x" * taken


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5], ids=["empty", "one", "binary"])
def test_what_is_put_is_got(bucket: Blobs, content: bytes) -> None:
    bucket.put("a/b.bin", content)
    bucket.put("a/c.bin", io.BytesIO(content))
    for path in ("a/b.bin", "a/c.bin"):
        assert bucket.get(path) == content
        assert b"".join(bucket.stream(path)) == content
        assert bucket.head(path).size_bytes == len(content)
        assert bucket.head(path).modified_s > 1_600_000_000


def test_a_second_put_replaces(bucket: Blobs) -> None:
    bucket.put("x", b"long, long ago")
    bucket.put("x", b"now")
    assert bucket.get("x") == b"now"
    assert [blob.size_bytes for blob in bucket.list("")] == [3]


def test_put_new_writes_once(bucket: Blobs) -> None:
    """The first wins, and nothing is left of the second; once deleted, the place is free again."""
    assert bucket.put_new("a/x", b"first")
    assert not bucket.put_new("a/x", b"second, and longer")
    assert bucket.get("a/x") == b"first"
    assert paths(bucket.list("")) == ["a/x"]
    bucket.delete(["a/x"])
    assert bucket.put_new("a/x", b"third")
    assert bucket.get("a/x") == b"third"


def test_put_new_by_many_at_once(bucket: Blobs) -> None:
    """Exactly one of several writers wins, and it is the winner's content that stands."""
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: bucket.put_new("x", b"%d" % n), range(8)))
    assert won.count(True) == 1
    assert bucket.get("x") == b"%d" % won.index(True)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, None, b"0123456789"),
        (3, None, b"3456789"),
        (3, 5, b"34"),
        (8, 99, b"89"),
        (10, None, b""),
        (50, 60, b""),
        (4, 4, b""),
        (7, 2, b""),
    ],
)
def test_ranges(bucket: Blobs, start: int, end: int | None, expected: bytes) -> None:
    bucket.put("digits", b"0123456789")
    assert bucket.get("digits", start, end) == expected


def test_streams_start_where_asked(bucket: Blobs) -> None:
    bucket.put("digits", b"0123456789")
    assert b"".join(bucket.stream("digits", 4)) == b"456789"
    assert b"".join(bucket.stream("digits", 10)) == b""


def test_big_objects_come_and_go_in_pieces(bucket: Blobs) -> None:
    content = os.urandom(1024) * (BIG // 1024) + b"end"
    bucket.put("big", Trickle(content))
    pieces = list(bucket.stream("big"))
    assert b"".join(pieces) == content
    assert len(pieces) > 1
    assert bucket.get("big", len(content) - 3) == b"end"


def test_a_source_that_breaks_leaves_nothing(bucket: Blobs) -> None:
    """Not a half object, and no other error in place of the source's own."""
    bucket.put("kept", b"before")
    for size_bytes in (10, BIG):
        with pytest.raises(Refused, match="the disk under the source broke"):
            bucket.put("kept", Broken(size_bytes))
        with pytest.raises(Refused, match="the disk under the source broke"):
            bucket.put("new/one", Broken(size_bytes))
    assert bucket.get("kept") == b"before"
    assert paths(bucket.list("")) == ["kept"]
    assert bucket.folder("") == Folder((), tuple(bucket.list("")))


def test_attributes_are_kept_in_clouds(bucket: Blobs) -> None:
    told = Attributes("text/plain; charset=utf-8", "gzip", "no-store", {"x-goog-meta-link": "gs://b/logs/j/1"})
    for path, content in (("small", b"x"), ("large", b"x" * BIG)):
        bucket.put(path, content if path == "small" else io.BytesIO(content), told)
        assert bucket.head(path).attributes == (Attributes() if bucket.url.startswith("file:") else told)
        assert bucket.get(path, 0, 1) == b"x"


def test_missing_things(bucket: Blobs) -> None:
    bucket.put("a/b", b"")
    for path in ("nope", "a", "a/b/c", "a/nope"):
        with pytest.raises(Missing):
            bucket.get(path)
        with pytest.raises(Missing):
            bucket.get(path, 1, 1)
        with pytest.raises(Missing):
            bucket.head(path)
        with pytest.raises(Missing):
            list(bucket.stream(path))
    assert list(bucket.list("nope")) == []
    assert bucket.folder("nope") == Folder((), ())


def test_listing(bucket: Blobs) -> None:
    everything = ["logs/j/1/a.txt", "logs/j/1/deep/er/b.txt", "logs/j/2/c.txt", "logs/job/1", "top"]
    for path in everything:
        bucket.put(path, path.encode())
    assert paths(bucket.list("")) == everything
    assert paths(bucket.list("logs/j")) == everything[:3]
    assert paths(bucket.list("logs/j/")) == everything[:3]
    assert {blob.path: blob.size_bytes for blob in bucket.list("")} == {path: len(path) for path in everything}
    top = bucket.folder("")
    assert (top.folders, [blob.path for blob in top.blobs]) == (("logs/",), ["top"])
    below = bucket.folder("logs/j/1/")
    assert (below.folders, [blob.path for blob in below.blobs]) == (("deep/",), ["logs/j/1/a.txt"])
    assert bucket.folder("logs/j").folders == ("1/", "2/")


def test_listing_more_than_a_page(bucket: Blobs) -> None:
    many = [f"many/{number:04}" for number in range(1100)]
    for path in many:
        bucket.put(path, b"")
    assert paths(bucket.list("many")) == many
    assert [blob.path for blob in bucket.folder("many").blobs] == many


def test_deleting(bucket: Blobs) -> None:
    for path in ("a/1", "a/2", "b/1"):
        bucket.put(path, b"x")
    bucket.delete([])
    bucket.delete(["a/1", "nope", "a/nope", "a/2", "a"])
    assert paths(bucket.list("")) == ["b/1"]
    assert bucket.folder("").folders == ("b/",)


@pytest.mark.parametrize(
    "path",
    ["a b/c#d?e%20+&=.txt", "ünï/日本/🦀.txt", "a:b*|<>\"'\\~^`{}[]$!", "-", ".hidden", "...", "%2e%2e/x", "é" * 100],
)
def test_odd_names(bucket: Blobs, path: str) -> None:
    bucket.put(path, path.encode())
    assert bucket.get(path) == path.encode()
    assert paths(bucket.list("")) == [path]
    bucket.delete([path])
    assert paths(bucket.list("")) == []


@pytest.mark.parametrize(
    "path",
    [
        *"/.\x7f\udcff",
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "a\0b",
        "a\nb",
        "x" * 1025,
        "a/" * 600 + "b",
    ],
)
def test_names_that_are_refused(bucket: Blobs, path: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    calls = [lambda: bucket.put(path, b"x"), lambda: bucket.get(path), lambda: bucket.head(path)]
    for call in [*calls, lambda: list(bucket.stream(path)), lambda: bucket.delete([path])]:
        with pytest.raises(Refused) as caught:
            call()
        assert not isinstance(caught.value, Missing)
        assert len(str(caught.value)) < 1500
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "attributes",
    [
        Attributes("text/plain\r\nX-Evil: 1"),
        Attributes("text/plän"),
        Attributes(cache_control="\0"),
        Attributes(content_encoding=" "),
        Attributes(metadata={"k": "ü"}),
        Attributes(metadata={"k\n": "v"}),
        Attributes(metadata={"": "v"}),
        Attributes(metadata={"a b": "v"}),
    ],
)
def test_attributes_that_are_no_headers(bucket: Blobs, attributes: Attributes) -> None:
    with pytest.raises(Refused, match="cannot be"):
        bucket.put("x", b"x", attributes)
    assert list(bucket.list("")) == []


def test_a_bucket_may_be_a_folder_of_a_bucket(server: storage_servers.Server) -> None:
    name = server.fresh()
    inner = server.open(f"{name}/deep/er")
    inner.put("a/b", b"x")
    assert inner.url == f"{server.scheme}://{name}/deep/er"
    assert paths(inner.list("")) == ["a/b"]
    assert paths(inner.list("a")) == ["a/b"]
    assert [blob.path for blob in inner.folder("a").blobs] == ["a/b"]
    assert "deep/er/a/b" in paths(server.open(name).list("deep"))


def test_what_other_tools_leave(server: storage_servers.Server) -> None:
    """Marks of folders are no objects in them; a name that cannot be read is said, and does not hide the others."""
    name = server.fresh()
    bucket = server.open(name)
    server.put_foreign(name, "dir/", "dir/x", "/lead", "bad//x", "good/x")
    assert paths(bucket.list("dir")) == ["dir/x"]
    assert [blob.path for blob in bucket.folder("dir").blobs] == ["dir/x"]
    assert bucket.folder("").folders == ("bad/", "dir/", "good/")
    assert paths(bucket.list("good")) == ["good/x"]
    with pytest.raises(Refused, match="a name there has empty elements"):
        list(bucket.list(""))


def test_a_bucket_that_is_not_there(server: storage_servers.Server) -> None:
    nowhere = server.open("no-such-bucket")
    for call in (lambda: nowhere.put("x", b""), lambda: nowhere.get("x"), lambda: list(nowhere.list(""))):
        with pytest.raises(Missing, match="no-such-bucket"):
            call()


@pytest.mark.parametrize("seed", range(12))
def test_all_kinds_tell_the_same_story(seed: int, servers: dict[str, storage_servers.Server], tmp_path: Path) -> None:
    """One life of random writes, deletions and looks: every answer of every kind is that of a plain dictionary."""
    chance = random.Random(seed)
    s3, gs = servers["s3"], servers["gs"]
    kinds = [storage.open_bucket(f"file://{tmp_path}/bucket"), s3.open(s3.fresh()), gs.open(gs.fresh())]
    model: dict[str, bytes] = {}
    for _ in range(30):
        above = chance.choice(["", "a", "a/b", "a/bb", "c d", "c d/é"])
        path = f"{above}/{chance.choice(['1.txt', '2.txt', '#3'])}".removeprefix("/")
        if chance.random() < 0.6:
            model[path] = chance.randbytes(chance.choice([0, 1, 300]))
            for bucket in kinds:
                bucket.put(path, model[path])
        else:
            model.pop(path, None)
            for bucket in kinds:
                bucket.delete([path])
        start, end = chance.randrange(310), chance.choice([None, chance.randrange(310)])
        for bucket in kinds:
            look(bucket, above, model)
            assert read(bucket, path, start, end) == (model[path][start:end] if path in model else None)


def look(bucket: Blobs, above: str, model: dict[str, bytes]) -> None:
    """Compare a listing and a level with what was written."""
    below = {name: len(data) for name, data in model.items() if not above or name.startswith(f"{above}/")}
    assert {blob.path: blob.size_bytes for blob in bucket.list(above)} == below
    rests = [name[len(above) + 1 if above else 0 :] for name in below]
    level = bucket.folder(above)
    assert level.folders == tuple(sorted({f"{rest.partition('/')[0]}/" for rest in rests if "/" in rest}))
    names = [blob.path.rpartition("/")[2] for blob in level.blobs]
    assert sorted(names) == sorted(rest for rest in rests if "/" not in rest)


def read(bucket: Blobs, path: str, start: int, end: int | None) -> bytes | None:
    try:
        return bucket.get(path, start, end)
    except Missing:
        return None
