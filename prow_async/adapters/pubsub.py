"""Google's Pub/Sub over its REST API, version 1. Implements ports/messages.Topics.

Source: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish.
"""

import base64
from urllib.parse import quote

import msgspec

from prow_async.adapters.google_tokens import Tokens
from prow_async.adapters.outgoing import Sender
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.ports import permit

ENDPOINT = "https://pubsub.googleapis.com"
EMULATOR = "PUBSUB_EMULATOR_HOST"


class _Wrong(msgspec.Struct, frozen=True):
    message: str = ""
    status: str = ""


class _Answer(msgspec.Struct, frozen=True):
    error: _Wrong = _Wrong()


class PubSub:
    """Publishes messages.

    Args:
        tokens: None sends none, as an emulator wants it.
        endpoint: address without a slash at its end.
    """

    def __init__(self, sender: Sender, tokens: Tokens | None, endpoint: str = ENDPOINT) -> None:
        self._sender = sender
        self._tokens = tokens
        self._endpoint = endpoint

    async def publish(self, project: str, topic: str, data: bytes) -> None:
        """Publish one message; see the port."""
        path = f"projects/{quote(project, safe='')}/topics/{quote(topic, safe='')}"
        body = msgspec.json.encode({"messages": [{"data": base64.b64encode(data).decode()}]})
        headers = {"Content-Type": "application/json"}
        if self._tokens is not None:
            headers["Authorization"] = f"Bearer {await self._tokens.token()}"
        permit.check()
        answer = await self._sender.send("POST", f"{self._endpoint}/v1/{path}:publish", headers, body)
        if answer.status == 200:
            return
        if answer.status == 401 and self._tokens is not None:
            self._tokens.forget()
        raise _translated(path, answer.status, answer.body, answer.retry_after_s)


def endpoint_of(emulator: str) -> str:
    """Return the address of an emulator, as its variable names it: HOST:PORT, or a whole address.

    >>> endpoint_of("localhost:8085"), endpoint_of("http://emulator:80/")
    ('http://localhost:8085', 'http://emulator:80')
    """
    return (emulator if "://" in emulator else f"http://{emulator}").rstrip("/")


def _translated(path: str, status: int, body: bytes, after_s: float | None) -> ProwError:
    try:
        wrong = msgspec.json.decode(body, type=_Answer).error
    except msgspec.MsgspecError:
        wrong = _Wrong()
    told = f"publishing to {path}: {status} {wrong.status} {wrong.message[:200]}".rstrip()
    if status in (408, 409, 429) or status >= 500 or status < 300:
        return Retry(told, after_s=after_s, status=status)
    return Missing(told) if status == 404 else Refused(told, status, wrong.status)
