"""What GitHub's refusals mean for the caller.

Source: docs.github.com `Troubleshooting the REST API` and `Rate limits`; upstream pkg/github/client.go requestRetry.
Deviation: upstream gives up on 429; here it is a rate limit like 403.
"""

from collections.abc import Mapping

import msgspec

from prow_async.api.errors import Missing, ProwError, Refused, Retry, Stale

TEXT_LIMIT = 500
"""Characters of GitHub's text that go into an error."""

SECONDARY = "secondary rate limit"
"""What the text of a secondary limit says, in one case or another."""

FARTHEST_S = 86400.0
"""A reset that lies farther ahead is none: GitHub's are within the hour."""

SECONDARY_WAIT_S = 60.0
"""GitHub asks for at least a minute when a secondary limit names no time."""


class Answered(msgspec.Struct, frozen=True):
    """An answer, and the request it belongs to. Header names are lower-case; `path` is without its query."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    text: str
    """GitHub's message, already free of secrets."""


class _FieldError(msgspec.Struct, frozen=True):
    message: str = ""
    field: str = ""
    code: str = ""


class _Body(msgspec.Struct, frozen=True):
    message: str = ""
    errors: list[_FieldError | str] | str = ""


def text_of(body: bytes) -> str:
    """Take the message and what is wrong with which field out of an error's body; empty when it has none."""
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    errors = [found.errors] if isinstance(found.errors, str) else found.errors
    details = [e if isinstance(e, str) else e.message or f"{e.field} {e.code}".strip() for e in errors]
    return ": ".join(part for part in (found.message, "; ".join(filter(None, details))) if part)[:TEXT_LIMIT]


def error_for(answer: Answered, now_s: float) -> ProwError:
    """Name the caller's next move after an answer of status 300 and up (or below 200)."""
    status = answer.status
    why = f"GitHub answered {answer.method} {answer.path} with {status}" + (f": {answer.text}" if answer.text else "")
    if status == 404:
        return Missing(why)
    if status == 409:
        return Stale(why)
    if status in (403, 429) and (wait_s := pause_s(answer, now_s)) is not None:
        return Retry(why, wait_s, status)
    if status == 403 and (scopes := lacking_scopes(answer.headers)):
        return Refused(f"{why} (the token has none of the scopes that this needs: {scopes})", status, answer.text)
    if 300 <= status < 500 and status != 408:
        return Refused(why, status, answer.text)
    return Retry(why, asked_wait_s(answer.headers, now_s), status)


def limit_ends_in_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return how long the budget is still used up; None while something remains."""
    if headers.get("x-ratelimit-remaining") != "0":
        return None
    reset_s = number(headers.get("x-ratelimit-reset", ""))
    return None if reset_s is None or reset_s > now_s + FARTHEST_S else max(1.0, reset_s - now_s + 1.0)


def pause_s(answer: Answered, now_s: float) -> float | None:
    """Return how long to be silent after a refusal (403, 429) that is a limit; None where it is another one."""
    if answer.status != 429 and not _is_limit(answer):
        return None
    return asked_wait_s(answer.headers, now_s) or SECONDARY_WAIT_S


def lacking_scopes(headers: Mapping[str, str]) -> str:
    """Return the OAuth scopes of which a token needs one and has none; empty where that is not the trouble."""
    wanted = {scope.strip() for scope in headers.get("x-accepted-oauth-scopes", "").split(",") if scope.strip()}
    held = {scope.strip() for scope in headers.get("x-oauth-scopes", "").split(",")}
    return "" if not wanted or "x-oauth-scopes" not in headers or wanted & held else ", ".join(sorted(wanted))


def number(text: str) -> float | None:
    """Read a header that should hold a number."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _is_limit(answer: Answered) -> bool:
    return (
        answer.headers.get("x-ratelimit-remaining") == "0"
        or "retry-after" in answer.headers
        or SECONDARY in answer.text.lower()
    )


def asked_wait_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return how long an answer asks to be silent, itself or by its budget; None where it does not say."""
    after = number(headers.get("retry-after", ""))
    return limit_ends_in_s(headers, now_s) if after is None else after + 1.0
