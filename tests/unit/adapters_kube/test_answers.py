"""Kubernetes' refusals, as errors named by the next move."""

import json

import pytest

from prow_async.adapters.kube import answers
from prow_async.api.errors import Exists, Expired, Missing, ProwError, Refused, Retry, Stale


def _status(reason: str, **details: int) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": "told so", "details": details}).encode()


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", Refused),
        (401, "Unauthorized", Refused),
        (403, "Forbidden", Refused),
        (404, "NotFound", Missing),
        (408, "Timeout", Retry),
        (409, "AlreadyExists", Exists),
        (409, "Conflict", Stale),
        (410, "Expired", Expired),
        (415, "UnsupportedMediaType", Refused),
        (422, "Invalid", Refused),
        (429, "TooManyRequests", Retry),
        (500, "InternalError", Retry),
        (503, "ServiceUnavailable", Retry),
        (504, "Timeout", Retry),
    ],
)
def test_each_status_has_its_next_move(status: int, reason: str, kind: type[ProwError]) -> None:
    """The error's class says what to do; its text says what was tried and what the server told."""
    error = answers.error(status, {}, _status(reason), "POST /x in cluster a")
    assert type(error) is kind
    assert str(error) == f"POST /x in cluster a: {status} told so"


@pytest.mark.parametrize(
    ("headers", "body", "after_s"),
    [
        ({"retry-after": "7"}, _status("TooManyRequests"), 7.0),
        ({}, _status("TooManyRequests", retryAfterSeconds=3), 3.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, _status("TooManyRequests"), None),
        ({}, _status("TooManyRequests"), None),
    ],
)
def test_the_wait_the_server_asks_for(headers: dict[str, str], body: bytes, after_s: float | None) -> None:
    """Retry-After in seconds goes before the Status' own word; a date is left to the caller's backoff."""
    error = answers.error(429, headers, body, "GET /x")
    assert isinstance(error, Retry)
    assert (error.after_s, error.status) == (after_s, 429)


def test_refused_keeps_the_machine_word() -> None:
    """Callers may tell Invalid from Forbidden."""
    error = answers.error(422, {}, _status("Invalid"), "POST /x")
    assert isinstance(error, Refused)
    assert (error.status, error.reason) == (422, "Invalid")


@pytest.mark.parametrize("body", [b"", b"<html>bad gateway", b"\xff\xfe", b"[]", b'{"message": 5}'])
def test_an_answer_that_is_no_status(body: bytes) -> None:
    """A proxy's page does not hide the status."""
    assert "502" in str(answers.error(502, {}, body, "GET /x"))
