"""The webhook door: checks, stores durably, and only then says thank you.

Source: upstream pkg/hook/server.go, cmd/hook/main.go. Deviations: bodies over 25 MB get 413, a body that does not
come gets the answer of a broken one, a disk that takes nothing gets 503; upstream has no limits and no disk.
"""

import asyncio
from collections.abc import Callable

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from prow_async.adapters.web import server
from prow_async.api import names
from prow_async.api.errors import ProwError
from prow_async.core import webhook
from prow_async.ports.inbox import Inbox
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
BODY_TIMEOUT_S = 30.0
UNVERIFIED_BYTES = 256 << 20
"""So much may be held of bodies whose signature is not checked yet, over all connections."""
_WELCOME = webhook.WELCOME.text.encode()
_WELCOME_HEADERS = {"Content-Type": "text/plain; charset=utf-8"}


def hook_site(tokens: Callable[[], webhook.Tokens], inbox: Inbox, metrics: Metrics, path: str = "/hook") -> server.Site:
    """Build the site of the hook component: webhooks at `path`, and 200 with nothing in it everywhere else.

    Args:
        tokens: gives the webhook secrets in force, anew for each request.
    """
    site = server.Site(_nothing)
    site.at(path, HookDoor(tokens, inbox, metrics).receive)
    return site


async def _nothing(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=200)


class HookDoor:
    """Receives webhooks.

    Args:
        body_timeout_s: a body that is not here by then is given up.
        unverified_bytes: see UNVERIFIED_BYTES.
    """

    def __init__(
        self,
        tokens: Callable[[], webhook.Tokens],
        inbox: Inbox,
        metrics: Metrics,
        body_timeout_s: float = BODY_TIMEOUT_S,
        unverified_bytes: int = UNVERIFIED_BYTES,
    ) -> None:
        self._tokens = tokens
        self._inbox = inbox
        self._metrics = metrics
        self._body_timeout_s = body_timeout_s
        self._room_bytes = unverified_bytes
        self._log = log.bind()
        """Put together once: a line is written for every delivery."""

    async def receive(self, request: web.BaseRequest) -> web.StreamResponse:
        head = webhook.check_head(request.method, request.headers)
        if isinstance(head, webhook.Answer):
            return self._answer(head)
        body = await self._body(request)
        if isinstance(body, webhook.Answer):
            return self._answer(body)
        verified = webhook.check_body(head, body, self._tokens())
        if isinstance(verified, webhook.Answer):
            return self._answer(verified)
        self._metrics.count("prow_webhook_counter", event_type=verified.event)
        guid = {names.EVENT_GUID: verified.guid}
        try:
            accepted = await self._inbox.accept(verified.guid, verified.event, dict(request.headers), body)
        except ProwError as error:
            log.error("webhook not stored", why=str(error), event_type=verified.event, **guid)
            return self._answer(webhook.TRY_AGAIN)
        self._log.info(
            "webhook accepted" if accepted.new else "webhook accepted before",
            event_type=verified.event,
            repo=verified.owner,
            seq=accepted.seq,
            **guid,
        )
        self._metrics.count("prow_webhook_response_codes", response_code="200")
        return web.Response(body=_WELCOME, headers=_WELCOME_HEADERS)

    def _answer(self, answer: webhook.Answer) -> web.Response:
        self._metrics.count("prow_webhook_response_codes", response_code=str(answer.status))
        response = server.refusal(answer.status, answer.text)
        if answer.status in (413, 500, 503):
            response.force_close()
        return response

    async def _body(self, request: web.BaseRequest) -> bytes | webhook.Answer:
        """Read the whole body, or say what is wrong with it."""
        if (request.content_length or 0) > webhook.MAX_BODY_BYTES:
            return webhook.TOO_BIG
        content = request.content
        pieces: list[bytes] = []
        size = 0
        try:
            if content.is_eof():  # it came together with its head: no need to wait, and none for a clock
                body = content.read_nowait()
                return body if len(body) <= webhook.MAX_BODY_BYTES else webhook.TOO_BIG
            async with asyncio.timeout(self._body_timeout_s):
                while piece := await content.readany():
                    pieces.append(piece)
                    size += len(piece)
                    self._room_bytes -= len(piece)
                    if size > webhook.MAX_BODY_BYTES:
                        return webhook.TOO_BIG
                    if self._room_bytes < 0:
                        return webhook.TRY_AGAIN
        except (OSError, web.RequestPayloadError, HttpProcessingError, TimeoutError) as error:
            log.warning("webhook body not read", why=f"{type(error).__name__}: {error}", size_bytes=size)
            return webhook.CUT_BODY
        finally:
            self._room_bytes += size
        return b"".join(pieces)
