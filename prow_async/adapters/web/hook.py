"""The webhook door: checks, stores durably, and only then says thank you.

Source: upstream pkg/hook/server.go, cmd/hook/main.go. Deviations: bodies over 25 MB get 413, a body that does not
come gets the answer of a broken one, a disk that takes nothing gets 503; upstream has no limits and no disk.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict

from prow_async.adapters.web import express, server
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
_LAST = frozenset({413, 500, 503})
"""Behind these answers the connection is closed."""
_REPLIES = 64
"""So many answers are kept ready: those that name no repository are few."""
_WELCOME_HEADERS = {"Content-Type": "text/plain; charset=utf-8"}


def hook_site(tokens: Callable[[], webhook.Tokens], inbox: Inbox, metrics: Metrics, path: str = "/hook") -> server.Site:
    """Build the site of the hook component: webhooks at `path`, and 200 with nothing in it everywhere else.

    Args:
        tokens: gives the webhook secrets in force, anew for each request.
    """
    site = server.Site(_nothing)
    open_door(site, path, HookDoor(tokens, inbox, metrics))
    return site


def open_door(site: server.Site, path: str, door: "HookDoor") -> None:
    """Let webhooks in at a path of a site."""
    site.at(path, door.receive)
    site.takers[path] = door


async def _nothing(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=200)


class HookDoor:
    """Receives webhooks, as a handler of aiohttp's and as an express taker.

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
        self.patience_s = body_timeout_s
        self._room_bytes = unverified_bytes
        self._replies: dict[webhook.Answer, express.Reply] = {}
        self._log = log.bind()
        """Put together once: a line is written for every delivery."""

    async def receive(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of aiohttp's."""
        headers = _readable(request.headers)
        head = webhook.check_head(request.method, headers)
        if isinstance(head, webhook.Answer):
            return self._answer(head)
        body = await self._body(request)
        return self._answer(body if isinstance(body, webhook.Answer) else await self._store(head, headers, body))

    # As an express taker

    def refuse(self, headers: Mapping[str, str]) -> express.Reply | None:
        head = webhook.check_head("POST", headers)
        return self._reply(head) if isinstance(head, webhook.Answer) else None

    def hold(self, more_bytes: int) -> express.Reply | None:
        self._room_bytes -= more_bytes
        return self._reply(webhook.TRY_AGAIN) if self._room_bytes < 0 < more_bytes else None

    def cut(self, why: str, got_bytes: int) -> express.Reply:
        log.warning("webhook body not read", why=why, size_bytes=got_bytes)
        return self._reply(webhook.CUT_BODY)

    async def take(self, headers: Mapping[str, str], body: bytes) -> express.Reply:
        head = webhook.check_head("POST", headers)
        return self._reply(head if isinstance(head, webhook.Answer) else await self._store(head, headers, body))

    def _reply(self, answer: webhook.Answer) -> express.Reply:
        self._metrics.count("prow_webhook_response_codes", response_code=str(answer.status))
        reply = self._replies.get(answer)
        if reply is None:
            text, headers = (
                (_WELCOME, _WELCOME_HEADERS)
                if answer is webhook.WELCOME
                else (
                    answer.text.encode() + b"\n",
                    server.PLAIN,
                )
            )
            reply = express.Reply(answer.status, text, headers, last=answer.status in _LAST)
            if len(self._replies) < _REPLIES:
                self._replies[answer] = reply
        return reply

    async def _store(self, head: webhook.Head, headers: Mapping[str, str], body: bytes) -> webhook.Answer:
        """Check a whole delivery; keep it durably, or say what is wrong."""
        verified = webhook.check_body(head, body, self._tokens())
        if isinstance(verified, webhook.Answer):
            log.warning("webhook refused", why=verified.text, event_type=head.event, **{names.EVENT_GUID: head.guid})
            return verified
        self._metrics.count("prow_webhook_counter", event_type=verified.event)
        try:
            accepted = await self._inbox.accept(verified.guid, verified.event, _joined(headers), body, verified.parsed)
        except ProwError as error:
            guid = {names.EVENT_GUID: verified.guid}
            log.error("webhook not stored", why=str(error), event_type=verified.event, **guid)
            return webhook.TRY_AGAIN
        self._log.info(
            "webhook accepted" if accepted.new else "webhook accepted before",
            event_type=verified.event,
            repo=verified.owner,
            seq=accepted.seq,
            **{names.EVENT_GUID: verified.guid},
        )
        if not accepted.new:
            self._metrics.count("prow_async_webhooks_known_total")
        return webhook.WELCOME

    def _answer(self, answer: webhook.Answer) -> web.Response:
        self._metrics.count("prow_webhook_response_codes", response_code=str(answer.status))
        if answer is webhook.WELCOME:
            return web.Response(body=_WELCOME, headers=_WELCOME_HEADERS)
        response = server.refusal(answer.status, answer.text)
        if answer.status in _LAST:
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
            async with asyncio.timeout(self.patience_s):
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


def _joined(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with each name once; what comes in several lines is one list, as RFC 9110 section 5.3 has it."""
    if isinstance(headers, dict):
        return headers
    spelled: dict[str, str] = {}
    kept: dict[str, str] = {}
    for name, text in headers.items():
        name = spelled.setdefault(name.lower(), name)
        kept[name] = f"{kept[name]}, {text}" if name in kept else text
    return kept


def _readable(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers that can be stored: bytes that are no UTF-8 become the replacement character."""
    if all(text.isascii() for text in headers.values()):
        return headers
    fixed = {name: text.encode(errors="surrogateescape").decode(errors="replace") for name, text in headers.items()}
    return CIMultiDict(fixed)
