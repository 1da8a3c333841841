"""What an API server's refusals mean: Kubernetes' Status objects as errors named by the caller's next move."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import msgspec

from prow_async.api.errors import Exists, Expired, Missing, ProwError, Refused, Retry, Stale
from prow_async.ports.transport import Reply


class _Cause(msgspec.Struct, frozen=True):
    field: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: list[_Cause] | None = None
    retry_after_s: int = msgspec.field(default=0, name="retryAfterSeconds")


class _Status(msgspec.Struct, frozen=True):
    message: str | None = None
    reason: str | None = None
    details: _Details | None = None


_decoder = msgspec.json.Decoder(_Status)
_WORTH_ANOTHER_TRY = frozenset({408, 429})


async def check(reply: Reply, what: str) -> None:
    """Return if the status is 2xx; else read the body and raise. `what` begins the error's text."""
    if not 200 <= reply.status < 300:
        raise error(reply.status, reply.headers, await reply.read(), what)


def error(status: int, headers: Mapping[str, str], body: bytes, what: str) -> ProwError:
    """Return the error that an answer stands for; see ports/kube.Collection."""
    try:
        told = _decoder.decode(body)
    except msgspec.DecodeError:
        # A proxy in between, or a server too sick to speak JSON.
        told = _Status(body[:200].decode(errors="replace").strip())
    reason = told.reason or ""
    why = f"{what}: {status} {told.message or reason or 'without a reason'}"
    if status == 409:
        return Exists(why) if reason == "AlreadyExists" else Stale(why)
    if status == 422 and told.details and any(cause.field == "metadata.uid" for cause in told.details.causes or ()):
        return Stale(why)  # a write on condition of the UID: it is another object by now
    if status == 404:
        return Missing(why)
    if status == 410:
        return Expired(why)
    if status >= 500 or status in _WORTH_ANOTHER_TRY:
        return Retry(why, _retry_after_s(headers, told), status)
    return Refused(why, status, reason)


def _retry_after_s(headers: Mapping[str, str], told: _Status) -> float | None:
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        return float(asked)
    if told.details and told.details.retry_after_s > 0:
        return float(told.details.retry_after_s)
    return None


@contextlib.asynccontextmanager
async def pieces(reply: Reply) -> AsyncIterator[AsyncIterator[bytes]]:
    """Hand out an answer's body piece by piece; whoever stops in its middle leaves nothing half open."""
    found = reply.chunks()
    try:
        yield found
    finally:
        if isinstance(found, AsyncGenerator):
            await found.aclose()
