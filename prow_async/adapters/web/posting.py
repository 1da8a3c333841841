"""POSTs to other people's programs: external plugins and any hook that is to be tried."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from prow_async.adapters import outgoing
from prow_async.api.errors import Refused, Retry
from prow_async.core import urls

CONNECT_S = 10.0
TIMEOUT_S = 300.0
"""Who answers only when it has done its work gets the delivery again when this is over: it shall not be short."""
ANSWER_BYTES = 1 << 20


class Posting:
    """Implements ports/forward on an aiohttp session; the proxy variables of the environment count.

    Redirects are not followed: a body must not go astray.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        where = urls.shown(url)
        try:
            proxy = outgoing.proxy_of(url)
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False, proxy=proxy
            ) as answer:
                return answer.status, await outgoing.read_at_most(answer.content, ANSWER_BYTES)
        except (aiohttp.InvalidURL, ValueError, HttpProcessingError) as error:
            raise Refused(f"{where} cannot be asked: {str(error).replace(url, where)}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"no answer from {where}: {type(error).__name__} {error}".strip()) from error


@asynccontextmanager
async def opened(timeout_s: float = TIMEOUT_S) -> AsyncIterator[Posting]:
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S)
    connector = aiohttp.TCPConnector(limit=128, limit_per_host=32)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("User-Agent",)
    ) as session:
        yield Posting(session)
    await asyncio.sleep(0)  # lets connections close before the loop does
