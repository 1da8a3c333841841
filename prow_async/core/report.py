"""What GitHub is told about a job: the commit status and its description.

Comments are in report_comment. Source: upstream pkg/github/report/report.go, pkg/config/config.go.
"""

from prow_async.api.github import Status, StatusState
from prow_async.api.views import JobView

DESCRIPTION_LIMIT_BYTES = 140
BASE_SHA = " BaseSHA:"
_OLD_BASE_SHA = " Basesha:"
_SHA_LENGTH = 40
_ELISION = " ... "
_PAD = "\u2001"
"""A space that GitHub does not fold; it pushes the SHA out of sight."""

_STATES: dict[str, StatusState] = {
    "triggered": "pending",
    "pending": "pending",
    "success": "success",
    "error": "error",
    "failure": "failure",
    "aborted": "failure",
}


def status_state(state: str) -> StatusState | None:
    """Map a ProwJob's state; None while there is nothing to say (scheduling, or no state yet)."""
    return _STATES.get(state)


def status_for(job: JobView) -> Status | None:
    """Return the commit status of a job; None while there is nothing to say, and for several pulls at once."""
    state = status_state(job.state)
    if state is None or len(job.pulls) > 1:
        return None
    text = description(job.description, job.base_sha)
    return Status(state=state, target_url=job.url or None, description=text or None, context=job.context)


def status_sha(job: JobView) -> str:
    """Return the commit that the status belongs to."""
    return job.pulls[0].sha if job.pulls else job.base_sha


def description(text: str, base_sha: str) -> str:
    """Render a status description of at most 140 bytes, with the base SHA pushed towards its end.

    Padding takes the room that the text leaves, and a few bytes more where hardly any is left. Text too long is cut in
    the middle, between characters (upstream: between bytes).
    """
    suffix = f"{BASE_SHA}{base_sha}" if base_sha else ""
    used, pads = len(text.encode()) + len(suffix.encode()), 0
    while suffix and pads < DESCRIPTION_LIMIT_BYTES - used:
        used += len(_PAD.encode())
        pads += 1
    suffix = _PAD * pads + suffix
    return _shortened(text, DESCRIPTION_LIMIT_BYTES - len(suffix.encode())) + suffix


def base_sha_of(text: str) -> str:
    """Read the base SHA out of a description; empty when it holds none."""
    for mark in (BASE_SHA, _OLD_BASE_SHA):
        parts = text.split(mark)
        if len(parts) == 2 and len(parts[1]) == _SHA_LENGTH:  # text before the mark, the SHA behind it
            return parts[1]
    return ""


def _shortened(text: str, limit_bytes: int) -> str:
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text
    half = (limit_bytes - len(_ELISION)) // 2
    if half <= 0:
        return ""
    return raw[:half].decode(errors="ignore") + _ELISION + raw[-half:].decode(errors="ignore")
