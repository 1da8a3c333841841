"""What tot is asked, and what counts as its answer."""

import pytest

from prow_async.core import tot


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://tot", "http://tot/vend/a%20job"),
        ("http://tot:8888/", "http://tot:8888/vend/a%20job"),
        ("https://tot/ci/", "https://tot/ci/vend/a%20job"),
        ("http://tot/ci?key=1", "http://tot/ci/vend/a%20job?key=1"),
    ],
)
def test_where_it_is_asked(url: str, asked: str) -> None:
    assert tot.problem(url) == ""
    assert tot.vend_url(url, "a job") == asked


@pytest.mark.parametrize("url", ["tot", "ftp://tot", "http://", "http://tot:x", "http://[", "/vend"])
def test_what_is_no_address(url: str) -> None:
    assert "is no address of tot" in tot.problem(url)


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b"17", "17"),
        (200, b" 17\n", "17"),
        (200, b"", None),
        (200, b"-1", None),
        (200, b"1.5", None),
        (200, "\u0661".encode(), None),
        (200, b"1" * 64, None),
        (201, b"17", None),
        (500, b"17", None),
    ],
)
def test_only_a_number_is_an_answer(status: int, body: bytes, found: str | None) -> None:
    assert tot.build_id(status, body) == found
