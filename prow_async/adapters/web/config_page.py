"""The page at `/config`: which configuration is in force, how old it is, and what is wrong with the newest one."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
from aiohttp import web

from prow_async.adapters.web import server
from prow_async.api.errors import Problem
from prow_async.core import durations, instants
from prow_async.ports.clock import Clock
from prow_async.ports.config import Status

_HEADERS = {"Cache-Control": "no-store"}
_JSON = {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}


def add(site: server.Site, status: Callable[[], Status], clock: Clock) -> None:
    """Serve `/config` on a site: text for people, JSON with `?format=json` or an Accept header that asks for it."""

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        found = status()
        wanted = f"{request.query.get('format', '')} {request.headers.get('Accept', '')}"
        if "json" in wanted:
            return web.Response(body=msgspec.json.encode(found), headers=_JSON | _HEADERS)
        body = "\n".join([*text(found, clock.now()), ""]).encode(errors="replace")
        return web.Response(body=body, headers=server.PLAIN | _HEADERS)

    site.at("/config", page)


def text(status: Status, now_s: float) -> Iterator[str]:
    """Yield the lines of the page."""
    yield f"configuration {status.digest[:12]}, in force since {_since(status.loaded_s, now_s)}"
    yield from (f"  from {path}" for path in status.paths)
    yield "  " + ", ".join(f"{number} {kind}s" for kind, number in status.jobs.items())
    if status.failing_since_s is not None:
        yield ""
        yield f"WHAT IS ON DISK DOES NOT LOAD since {_since(status.failing_since_s, now_s)}; the above stays in force:"
        yield from _lines(status.problems)
    if status.quarantined:
        yield ""
        yield "The jobs of these files are left out until they are mended:"
        yield from _lines(status.quarantined)
    if status.warnings:
        yield ""
        yield "Warnings:"
        yield from _lines(status.warnings)


def _since(then_s: float, now_s: float) -> str:
    age = durations.format_ns(int(max(0.0, now_s - then_s)) * 1_000_000_000)
    return f"{instants.rfc3339(then_s)} ({age} ago)"


def _lines(problems: Sequence[Problem]) -> Iterator[str]:
    yield from (f"  {_printable(str(problem))}" for problem in problems)


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in line)
