"""A Transport that plays a script, and metrics that remember: the outside of the client under test."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from prow_async.adapters.github import client as client_module
from prow_async.adapters.github.client import Client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.github.wire import Options
from prow_async.api.errors import Retry
from prow_async.ports.clock import Clock
from tests.unit.sandbox_github.sample import NOW_S

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


class LoopClock:
    """A wall clock that goes with the event loop's, be it virtual."""

    def now(self) -> float:
        return NOW_S + anyio.current_time()


class Seen:
    """Metrics that remember what they were told."""

    def __init__(self) -> None:
        self.values: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.values.append((name, by, labels))

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.values.append((name, value, labels))

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        self.values = [one for one in self.values if one[0] != name]
        self.values += [(name, value, dict(labels)) for labels, value in rows]

    def of(self, name: str) -> list[tuple[float, dict[str, str]]]:
        """Everything told under one name."""
        return [(value, labels) for one, value, labels in self.values if one == name]

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self.values.append((name, value, labels))


def client(script: Script, clock: Clock | None = None, seen: Seen | None = None, **options: Any) -> Client:
    """Put a client before a script; `options` are those of Options."""
    return client_module.on(script, FixedToken(TOKEN), seen or Seen(), clock or LoopClock(), Options(**options))
