"""What GitHub's refusals mean: the table, and the texts."""

import pytest

from prow_async.adapters.github import answers
from prow_async.api.errors import Missing, ProwError, Refused, Retry, Stale

NOW_S = 1000.0
LIMITED = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"}

ERRORS: list[tuple[int, dict[str, str], str, type[ProwError], float | None]] = [
    (400, {}, "Problems parsing JSON", Refused, None),
    (401, {}, "Bad credentials", Refused, None),
    (403, {}, "Must have admin rights", Refused, None),
    (403, LIMITED, "API rate limit exceeded", Retry, 31.0),
    (403, LIMITED | {"x-ratelimit-reset": "1"}, "API rate limit exceeded", Retry, 1.0),
    (403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded", Retry, 60.0),
    (403, {"retry-after": "5"}, "slow down", Retry, 6.0),
    (403, {"retry-after": "soon"}, "slow down", Retry, 60.0),
    (403, {}, "You have exceeded a secondary rate limit.", Retry, 60.0),
    (404, {}, "Not Found", Missing, None),
    (408, {}, "", Retry, None),
    (409, {}, "Conflict", Stale, None),
    (410, {}, "Gone", Refused, None),
    (422, {}, "Validation Failed", Refused, None),
    (429, {"retry-after": "7"}, "", Retry, 8.0),
    (429, {}, "", Retry, 60.0),
    (451, {}, "", Refused, None),
    (500, {}, "", Retry, None),
    (502, {"retry-after": "1"}, "", Retry, 2.0),
    (599, {}, "", Retry, None),
    (302, {}, "", Refused, None),
]


@pytest.mark.parametrize(("status", "headers", "text", "kind", "after_s"), ERRORS)
def test_each_status_names_the_next_move(
    status: int, headers: dict[str, str], text: str, kind: type[ProwError], after_s: float | None
) -> None:
    """The error's class and wait follow from status, headers and text; the text names request and message."""
    error = answers.error_for(answers.Answered("POST", "/repos/o/r/statuses/1", status, headers, text), NOW_S)
    assert type(error) is kind
    assert str(error).startswith(f"GitHub answered POST /repos/o/r/statuses/1 with {status}")
    assert text in str(error)
    if isinstance(error, Retry):
        assert (error.after_s, error.status) == (after_s, status)
    if isinstance(error, Refused):
        assert error.status == status


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b"<html>", ""),
        (b"[]", ""),
        (b'{"message": "Not Found"}', "Not Found"),
        (b'{"message": "No", "errors": "why"}', "No: why"),
        (b'{"message": "No", "errors": ["a", {"message": "b"}, {"field": "f", "code": "c"}]}', "No: a; b; f c"),
        (b'{"message": "' + b"x" * 5000 + b'"}', "x" * answers.TEXT_LIMIT),
        (b'{"message": "\xff"}', ""),
    ],
)
def test_texts(body: bytes, text: str) -> None:
    """Message and field errors are taken from any body, cut, and never an exception."""
    assert answers.text_of(body) == text
