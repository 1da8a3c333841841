"""The first to see each connection: takes plain requests for a few paths itself, hands all others to aiohttp.

aiohttp's requests and responses cost a webhook three times what its signature does. What comes as GitHub sends it (a
POST with a Content-Length and a head of plain ASCII, each name once) is taken here, its head read by httptools, which
stands on the same parser as aiohttp; anything else, from that request on, is aiohttp's, with every byte that has come.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol, cast

import httptools
import structlog
from multidict import CIMultiDict

log = structlog.get_logger()
HEAD_BYTES = 16 << 10
"""A head that has not ended by then is aiohttp's to refuse; so is a body of more than BODY_BYTES."""
BODY_BYTES = 25 << 20
HEAD_S = 30.0
"""So long a head may take to come."""
IDLE_S = 300.0
"""A connection on which nothing has been asked for so long is closed."""
AHEAD_BYTES = 256 << 10
"""So much may come in advance, while a request is answered, before the connection is not read any more."""
USUAL_SPELLING = frozenset({"X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256", "Content-Type"})
"""With all of these in a head its names count as spelled as GitHub spells them; others are found in any case."""
_UNUSUAL = frozenset({"transfer-encoding", "content-encoding", "expect", "upgrade", "trailer"})

Headers = Mapping[str, str]
Fallback = Callable[[], asyncio.Protocol]


class Reply:
    """An answer, put together once: only the date is new each time.

    Args:
        last: the connection is closed behind it.
    """

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str], last: bool = False) -> None:
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        lines += [f"Content-Length: {len(body)}", *(["Connection: close"] if last else [])]
        self._head = "\r\n".join([*lines, "Date: "]).encode("latin-1")
        self._body = b"\r\n\r\n" + body
        self.last = last

    def bytes_at(self, date: bytes) -> bytes:
        return self._head + date + self._body


_FAILED = Reply(500, b"500 Internal Server Error\n", {"Content-Type": "text/plain; charset=utf-8"}, last=True)


class Taker(Protocol):
    """What takes the requests of one path."""

    patience_s: float
    """So long a body may take to come."""

    def refuse(self, headers: Headers) -> Reply | None:
        """Answer from the head alone, or None: then the body counts."""

    def hold(self, more_bytes: int) -> Reply | None:
        """Hear that more (or fewer) bytes are held of bodies that are not whole yet; refuse when it is too much."""

    def cut(self, why: str, got_bytes: int) -> Reply:
        """Answer to a body that did not come whole."""

    async def take(self, headers: Headers, body: bytes) -> Reply: ...


class Express:
    """All connections of one server.

    Args:
        takers: by path.
        fallback: makes the protocol that everything else is handed to.
    """

    def __init__(self, takers: Mapping[str, Taker], fallback: Fallback) -> None:
        self.takers = {f"POST {path} HTTP/1.1".encode(): taker for path, taker in takers.items()}
        self.fallback = fallback
        self.connections: set[_Connection] = set()
        self.date = _date()
        self.closing = False

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self)

    def may_be_ours(self, begin: bytes) -> bool:
        """True while what has come of a request may become one for a taker."""
        return any(begin.startswith(line[: len(begin)]) for line in self.takers)

    async def tick(self) -> None:
        """Keep the date, and close who is late or silent; until cancelled."""
        while True:
            self.date = _date()
            now_s = time.monotonic()
            for connection in list(self.connections):
                connection.look_at_clock(now_s)
            await asyncio.sleep(1.0)

    async def close(self, grace_s: float) -> None:
        """Close who waits for nothing; who is being answered has `grace_s` seconds."""
        self.closing = True
        deadline_s = time.monotonic() + grace_s
        for connection in list(self.connections):
            connection.close_if_idle()
        while self.connections and time.monotonic() < deadline_s:  # noqa: ASYNC110 - the last of several
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    """One connection: a head, its body, the answer, the next head."""

    transport: asyncio.Transport

    def __init__(self, server: Express) -> None:
        self._server = server
        self._buffer = b""
        """What has come and is no part of a body under way."""
        self._taker: Taker | None = None
        self._headers: Headers = {}
        self._refused: Reply | None = None
        self._body: list[bytes] = []
        self._missing = 0
        self._held = 0
        self._task: asyncio.Task[None] | None = None
        self._since_s = time.monotonic()
        self._paused = False
        """Its reader is so slow that nothing more is answered for now."""
        self._ended = False
        """Its sender says no more."""
        self._other: asyncio.Protocol | None = None
        """Who was handed the connection."""
        self._head_end = b""
        """The last of what has come of a head that was handed over before it was whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no instances of it
        self._server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._let_go()
        if self._other is not None:
            self._other.connection_lost(error)

    def eof_received(self) -> bool | None:
        """Answer a body that ends too early; whoever waits for answers still gets them."""
        if self._other is not None:
            return self._other.eof_received()
        self._ended = True
        if self._taker is not None:
            self._cut("the sender ended it")
        return self._task is not None or (self._paused and bool(self._buffer))

    def _cut(self, why: str) -> None:
        assert self._taker is not None
        reply = self._taker.cut(why, self._held)
        self._let_go()
        self._send(reply)

    def pause_writing(self) -> None:
        self._paused = True
        if self._other is not None:
            self._other.pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        if self._other is not None:
            self._other.resume_writing()
        elif self._task is None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._other is not None:
            self._pass_on(data)
            return
        if self._taker is not None:
            self._more_body(data)
        else:
            if not self._buffer:
                self._since_s = time.monotonic()
            self._buffer = self._buffer + data if self._buffer else data
        self._go_on()
        if len(self._buffer) > AHEAD_BYTES and not self.transport.is_closing():
            self.transport.pause_reading()

    def _go_on(self) -> None:
        """Begin with the next request, if there is one, until one waits for its body or its answer."""
        while self._buffer and self._is_free() and self._begin():
            pass
        if self._ended and self._other is None and self._task is None and not self._paused:
            if self._taker is not None:
                self._cut("the sender ended it")
            self.transport.close()

    def _is_free(self) -> bool:
        waits = self._task is not None or self._taker is not None or self._other is not None
        return not (waits or self._paused or self.transport.is_closing())

    def _begin(self) -> bool:
        """Begin with the request that the buffer begins with; False: its head is not whole, or it is aiohttp's."""
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= HEAD_BYTES or not self._server.may_be_ours(self._buffer):
                self._hand_over()
            return False
        first = self._buffer.index(b"\r\n")
        taker = self._server.takers.get(self._buffer[:first])
        found = _usual(self._buffer[: end + 4]) if taker is not None else None
        if taker is None or found is None or found[0] > BODY_BYTES:
            self._hand_over()
            return False
        self._missing, self._headers = found
        self._taker = taker
        self._refused = taker.refuse(self._headers)
        rest, self._buffer = self._buffer[end + 4 :], b""
        self._more_body(rest)
        return True

    def _more_body(self, data: bytes) -> None:
        taker = self._taker
        assert taker is not None
        if len(data) < self._missing:
            self._missing -= len(data)
            if self._refused is None and data:
                self._body.append(data)
                self._held += len(data)
                refused = taker.hold(len(data))
                if refused is not None:
                    self._let_go()
                    self._send(refused)
            return
        if len(data) > self._missing:
            self._since_s = time.monotonic()
            self._buffer += data[self._missing :]
            data = data[: self._missing]
        body = b"".join([*self._body, data]) if self._body else data
        headers, refused = self._headers, self._refused
        self._let_go()
        if refused is not None:
            self._send(refused)
        else:
            self._task = asyncio.get_running_loop().create_task(self._answer(taker, headers, body))

    async def _answer(self, taker: Taker, headers: Headers, body: bytes) -> None:
        try:
            reply = await taker.take(headers, body)
        except Exception as error:  # the boundary of one request: told, and its sender gets an answer
            log.error("request failed", exc_info=error)
            reply = _FAILED
        self._task = None
        self._since_s = time.monotonic()
        self._send(reply)
        if not self.transport.is_closing():
            self.transport.resume_reading()
            self._go_on()

    def _send(self, reply: Reply) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(reply.bytes_at(self._server.date))
        if reply.last or self._server.closing:
            self.transport.close()

    def _let_go(self) -> None:
        if self._held and self._taker is not None:
            self._taker.hold(-self._held)
        self._taker, self._headers, self._refused, self._body = None, {}, None, []
        self._missing = self._held = 0

    def _hand_over(self) -> None:
        """Let aiohttp have the connection, with all that has come of this request."""
        self._other = self._server.fallback()
        self._other.connection_made(self.transport)
        data, self._buffer = self._buffer, b""
        self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        """Pass on what comes until a head is whole, and only then step out: aiohttp waits for a first one for ever."""
        assert self._other is not None
        seen = self._head_end + data if self._head_end else data.lstrip(b"\r\n")
        self._head_end = seen[-3:]
        if b"\r\n\r\n" in seen or b"\n\n" in seen:
            self._server.connections.discard(self)
            self.transport.set_protocol(self._other)
        self._other.data_received(data)

    def look_at_clock(self, now_s: float) -> None:
        """Close who is late with a request, or silent for long."""
        waited_s = now_s - self._since_s
        if self._task is not None:
            return
        if self._taker is not None:
            if waited_s > self._taker.patience_s:
                self._cut(f"it took more than {self._taker.patience_s:.0f} s")
        elif waited_s > (HEAD_S if self._other is not None or (self._buffer and not self._paused) else IDLE_S):
            if self._paused or self.transport.is_closing():
                self.transport.abort()  # closing waits for a reader
            else:
                self.transport.close()

    def close_if_idle(self) -> None:
        if self._task is None and self._taker is None:
            self.transport.close()


def _date() -> bytes:
    return formatdate(time.time(), usegmt=True).encode()


class _Head:
    """Collects what the parser tells of a head."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def _usual(head: bytes) -> tuple[int, Headers] | None:
    """Read a head: the length of the body, and all header fields; None when anything is not as usual."""
    told = _Head()
    parser = httptools.HttpRequestParser(told)
    try:
        parser.feed_data(head)
        found = {name.decode("ascii"): value.decode("ascii").strip(" \t") for name, value in told.fields}
    except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError):
        return None
    lower = {name.lower(): value for name, value in found.items()}
    length = lower.get("content-length", "")
    if len(lower) != len(told.fields) or not length.isdigit() or not _UNUSUAL.isdisjoint(lower):
        return None
    if not parser.should_keep_alive():
        return None
    return int(length), found if found.keys() >= USUAL_SPELLING else CIMultiDict(found)
