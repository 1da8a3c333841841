"""Slack's Web API. Implements ports/messages.Slack.

Source: upstream pkg/slack/client.go; https://docs.slack.dev/reference/methods/chat.postMessage (errors).
"""

from collections.abc import Callable, Mapping

import msgspec

from prow_async.adapters.outgoing import Answer, Sender
from prow_async.api.errors import Missing, ProwError, Refused, Retry

ENDPOINT = "https://slack.com/api"
_LOOKS = {"username": "prow", "icon_emoji": ":prow:"}
_LATER = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_GONE = frozenset({"channel_not_found", "is_archived", "team_not_found"})
_NOT_ALLOWED = frozenset(
    {
        "access_denied",
        "account_inactive",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "not_authed",
        "not_in_channel",
        "org_login_required",
        "restricted_action",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
"""What somebody may mend: a new token, a scope, an invitation to the channel."""


class _Said(msgspec.Struct, frozen=True):
    ok: bool = False
    error: str = ""


class SlackClient:
    """Posts messages.

    Args:
        tokens: by host, which is just a name that configurations use; `*` is the default one.
    """

    def __init__(self, sender: Sender, tokens: Mapping[str, Callable[[], str]], endpoint: str = ENDPOINT) -> None:
        self._sender = sender
        self._tokens = tokens
        self._url = f"{endpoint.rstrip('/')}/chat.postMessage"

    async def post(self, host: str, channel: str, text: str) -> None:
        """Post a message; see the port."""
        token = self._tokens.get(host)
        if token is None:
            known = ", ".join(sorted(self._tokens))
            raise Refused(f"no Slack token is known for host {host!r} (there are: {known})", 401, "UnknownHost")
        form = {**_LOOKS, "token": token(), "channel": channel, "text": text}
        answer = await self._sender.send("POST", self._url, data=form)
        error = _judged(answer, f"Slack, channel {channel}")
        if error is not None:
            raise error


def _judged(answer: Answer, what: str) -> ProwError | None:
    """Return what is wrong with an answer; None when the message was posted."""
    if answer.status == 429:
        return Retry(f"{what}: rate limit", after_s=answer.retry_after_s, status=429)
    if answer.status >= 500:
        return Retry(f"{what}: {answer.status}", after_s=answer.retry_after_s, status=answer.status)
    try:
        said = msgspec.json.decode(answer.body, type=_Said)
    except msgspec.MsgspecError:
        return Retry(f"{what}: {answer.status}, and the answer is no JSON", status=answer.status)
    if answer.status == 200 and said.ok:
        return None
    word = said.error or f"status {answer.status}"
    if word in _LATER:
        return Retry(f"{what}: {word}", after_s=answer.retry_after_s)
    if word in _GONE:
        return Missing(f"{what}: {word}")
    if word in _NOT_ALLOWED:
        return Refused(f"{what}: {word}", 403, word)
    return Refused(f"{what}: {word}", 422, word)
