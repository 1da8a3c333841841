"""The ETag cache stays within its bytes, in memory and on disk, and apart for everybody who asks."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.adapters.github import etag_disk
from prow_async.adapters.github.etags import EtagCache, Kept, Key
from prow_async.api.errors import CannotStart
from tests import virtual
from tests.unit.sandbox_github.sample import FixedClock

LIMIT_BYTES = 10_000
CLOCK = FixedClock()


def key(path: str, view: str = "me", accept: str = "json") -> Key:
    return Key(view, accept, path)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 4000)), max_size=60))
def test_never_above_the_limit(puts: list[tuple[str, int]]) -> None:
    """Whatever is put in, the sum holds and the newest that fits is there."""

    async def body() -> None:
        cache = EtagCache(LIMIT_BYTES, CLOCK)
        for path, size in puts:
            await cache.put(key(path), {"etag": f"{size}", "date": "x"}, b"x" * size)
            assert cache.size_bytes <= LIMIT_BYTES
            kept = await cache.get(key(path))
            assert (kept is not None) == (size + 512 <= LIMIT_BYTES // 4)
            assert kept is None or kept.headers == {"etag": f"{size}"}
        for path in "abcdefgh":
            await cache.forget(key(path))
        assert (cache.size_bytes, len(cache)) == (0, 0)

    virtual.run(body)


def test_answers_without_an_etag_are_not_kept() -> None:
    """An answer without ETag also drops what was kept before."""

    async def body() -> None:
        cache = EtagCache(LIMIT_BYTES, CLOCK)
        assert await cache.put(key("a"), {"etag": "1"}, b"x")
        assert not await cache.put(key("a"), {}, b"y")
        assert await cache.get(key("a")) is None
        assert cache.size_bytes == 0

    virtual.run(body)


def test_what_is_used_stays() -> None:
    """The least recently used goes first."""

    async def body() -> list[str]:
        cache = EtagCache(LIMIT_BYTES, CLOCK)
        for path in "abcd":
            await cache.put(key(path), {"etag": path}, b"x" * 1900)
        assert await cache.get(key("a")) is not None
        await cache.put(key("e"), {"etag": "e"}, b"x" * 1900)
        return [path for path in "abcde" if await cache.get(key(path))]

    assert virtual.run(body) == ["a", "c", "d", "e"]


@pytest.mark.anyio
async def test_the_disk_outlives_the_process(tmp_path: Path) -> None:
    """What was put is found by the next process, for the same asker and kind of answer alone."""
    headers = {"etag": 'W/"1"', "link": "<x>", "date": "no"}
    async with etag_disk.opened(tmp_path / "cache", 1 << 20, CLOCK) as shelf:
        await EtagCache(LIMIT_BYTES, CLOCK, shelf).put(key("/a"), headers, b"body" * 100)
    async with etag_disk.opened(tmp_path / "cache", 1 << 20, CLOCK) as shelf:
        cache = EtagCache(LIMIT_BYTES, CLOCK, shelf)
        for other in (key("/a", view="another"), key("/a", accept="diff"), key("/b")):
            assert await cache.get(other) is None
        found = await cache.get(key("/a"))
        kept = {"etag": 'W/"1"', "link": "<x>"}
        assert found == Kept('W/"1"', kept, b"body" * 100, CLOCK.now_s)
        await cache.forget(key("/a"))
        assert await shelf.get(key("/a")) is None
        assert shelf.size_bytes == 0
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    assert (tmp_path / "cache" / etag_disk.FILE).stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_the_disk_stays_within_its_bytes(tmp_path: Path) -> None:
    """The answers used longest ago go; the file does not grow for ever."""
    clock = FixedClock()
    async with etag_disk.opened(tmp_path, 40_000, clock) as shelf:
        for number in range(300):
            clock.now_s += 1
            await shelf.put(key(f"/{number}"), Kept("e", {}, bytes([number % 251]) * 100, clock.now_s))
            assert shelf.size_bytes <= 40_000
            assert await shelf.get(key("/0")) is not None or number == 0
        assert await shelf.get(key("/5")) is None
        assert await shelf.get(key("/299")) is not None
    assert (tmp_path / etag_disk.FILE).stat().st_size < 400_000


@pytest.mark.anyio
@pytest.mark.parametrize("damage", ["garbage", "other format", "broken row"])
async def test_a_damaged_cache_is_begun_anew(tmp_path: Path, damage: str) -> None:
    """It is a cache: nothing stops, nothing wrong is found, and the next answers are kept."""
    async with etag_disk.opened(tmp_path, 1 << 20, CLOCK) as shelf:
        await shelf.put(key("/a"), Kept("e", {}, b"x"))
    file = tmp_path / etag_disk.FILE
    if damage == "garbage":
        file.write_bytes(b"no database at all" * 1000)
    else:
        db = sqlite3.connect(file)
        change = "PRAGMA user_version = 99" if damage == "other format" else "UPDATE answers SET body = x'00'"
        db.execute(change)
        db.commit()
        db.close()
    async with etag_disk.opened(tmp_path, 1 << 20, CLOCK) as shelf:
        assert await shelf.get(key("/a")) is None
        await shelf.put(key("/b"), Kept("e", {}, b"y"))
        assert await shelf.get(key("/b")) is not None
        assert seen_by_others(tmp_path) == []


def seen_by_others(folder: Path) -> list[str]:
    return [found.name for found in folder.iterdir() if found.stat().st_mode & 0o077]


@pytest.mark.anyio
async def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match="--github-cache-dir"):
        async with etag_disk.opened(tmp_path / "file" / "x", 1, CLOCK):
            pass
