"""A Transport that plays a script, and metrics that remember: the outside of the client under test."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from prow_async.adapters.github.client import Client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.github.requests import Options
from prow_async.api.errors import Retry
from tests.unit.sandbox_github.sample import FixedClock

TOKEN = "s3cret-token"
JSON = {"content-type": "application/json; charset=utf-8"}


class Sent(msgspec.Struct, frozen=True):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Play(msgspec.Struct, frozen=True):
    """One scripted answer. `broken` breaks the connection instead; `after_s` lets it take its time."""

    status: int = 200
    content: object = {}
    headers: dict[str, str] = {}
    after_s: float = 0.0
    broken: bool = False
    raw: bytes | None = None


class ScriptedReply:
    def __init__(self, play: Play) -> None:
        self.status = play.status
        self.headers: Mapping[str, str] = JSON | play.headers
        empty = play.status in (204, 304)
        self._body = play.raw if play.raw is not None else b"" if empty else msgspec.json.encode(play.content)

    async def read(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield await self.read()


class Script:
    """Answers requests in the order of the plays; the last one repeats."""

    def __init__(self, *plays: Play) -> None:
        self.sent: list[Sent] = []
        self._plays = plays

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[ScriptedReply]:
        play = self._plays[min(len(self.sent), len(self._plays) - 1)]
        self.sent.append(Sent(method, path, dict(headers), body))
        await anyio.sleep(play.after_s)
        if play.broken:
            raise Retry("connection reset")
        yield ScriptedReply(play)


class Seen:
    """Metrics that remember what they were told."""

    def __init__(self) -> None:
        self.values: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.values.append((name, by, labels))

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.values.append((name, value, labels))

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self.values.append((name, value, labels))


def client(script: Script, clock: FixedClock | None = None, seen: Seen | None = None, **options: Any) -> Client:
    """Put a client before a script; `options` are those of Options."""
    return Client(script, FixedToken(TOKEN), seen or Seen(), clock or FixedClock(), Options(**options))
