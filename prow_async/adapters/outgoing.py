"""One HTTP request to a service of others: sent, answered whole, with trouble told in our words."""

import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

import prow_async
from prow_async.api.errors import Refused, Retry

CONNECT_S = 10.0
TOTAL_S = 30.0
MOST_BYTES = 1 << 20
"""Of an answer; what these services say is short."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    retry_after_s: float | None
    """What the server asks for, in seconds; None when it asks for nothing."""
    body: bytes


class Sender:
    """Sends requests; the proxy variables of the environment count. Made by `opened`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(
        self, method: str, url: str, headers: Mapping[str, str] = {}, data: Mapping[str, str] | bytes | None = None
    ) -> Answer:
        """Send a form (a mapping) or bytes. Statuses are not judged.

        Raises Retry when there is no whole answer, Refused when the URL is no address.
        """
        host = ""
        try:
            host = urlsplit(url).hostname or ""
            options: dict[str, Any] = {"proxy": proxy_of(url), "allow_redirects": False}
            async with self._session.request(method, url, headers=headers, data=data, **options) as response:
                body = await read_at_most(response.content, MOST_BYTES)
                return Answer(response.status, _seconds(response.headers.get("Retry-After", "")), body)
        except (aiohttp.InvalidURL, ValueError) as error:
            raise Refused(f"{method} {host}: this is no address") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"{method} {host}: {str(error) or 'no answer in time'}") from error


@asynccontextmanager
async def opened(component: str) -> AsyncIterator[Sender]:
    timeout = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S)
    agent = {"User-Agent": f"prow-async/{component}/{prow_async.__version__}"}
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), headers=agent) as session:
        yield Sender(session)


async def read_at_most(stream: aiohttp.StreamReader, most_bytes: int) -> bytes:
    """Read a body to its end, or that much of it. (One `read` of a stream ends with whatever has come so far.)"""
    pieces: list[bytes] = []
    left = most_bytes
    while left > 0 and (piece := await stream.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment's variables name for an address. Raises ValueError when it is none."""
    parts = urlsplit(url)
    bypass = urllib.request.proxy_bypass(parts.hostname or "")
    return None if bypass else urllib.request.getproxies().get(parts.scheme)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
