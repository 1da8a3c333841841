"""The ETag cache stays within its bytes."""

from hypothesis import given
from hypothesis import strategies as st

from prow_async.adapters.github.etags import EtagCache

LIMIT_BYTES = 10_000


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 4000)), max_size=60))
def test_never_above_the_limit(puts: list[tuple[str, int]]) -> None:
    """Whatever is put in, the sum holds and the newest that fits is there."""
    cache = EtagCache(LIMIT_BYTES)
    for key, size in puts:
        cache.put(key, {"etag": f"{size}", "date": "x"}, b"x" * size)
        assert cache.size_bytes <= LIMIT_BYTES
        kept = cache.get(key)
        assert (kept is not None) == (size + 512 <= LIMIT_BYTES // 4)
        assert kept is None or kept.headers == {"etag": f"{size}"}
    for key in "abcdefgh":
        cache.forget(key)
    assert (cache.size_bytes, len(cache)) == (0, 0)


def test_answers_without_an_etag_are_not_kept() -> None:
    """An answer without ETag also drops what was kept before."""
    cache = EtagCache(LIMIT_BYTES)
    cache.put("a", {"etag": "1"}, b"x")
    cache.put("a", {}, b"y")
    assert cache.get("a") is None
    assert cache.size_bytes == 0


def test_what_is_used_stays() -> None:
    """The least recently used goes first."""
    cache = EtagCache(LIMIT_BYTES)
    for key in "abcd":
        cache.put(key, {"etag": key}, b"x" * 1900)
    assert cache.get("a") is not None
    cache.put("e", {"etag": "e"}, b"x" * 1900)
    assert [key for key in "abcde" if cache.get(key)] == ["a", "c", "d", "e"]
