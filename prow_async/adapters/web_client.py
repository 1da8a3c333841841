"""Plain HTTP over aiohttp. Implements ports/web."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
import yarl

import prow_async
from prow_async.adapters import outgoing
from prow_async.api.errors import Refused, Retry
from prow_async.ports.web import Answered

TIMEOUT_S = 30.0
MAX_BODY_BYTES = 1 << 20


class WebClient:
    """One pool of connections for all that is asked."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, method: str, url: str, json: bytes = b"") -> Answered:
        """Send one request; see the port."""
        headers = {"Content-Type": "application/json"} if json else {}
        where = _name(url)
        try:
            async with self._session.request(method, url, data=json or None, headers=headers) as response:
                body = await outgoing.read_at_most(response.content, MAX_BODY_BYTES + 1)
        except TimeoutError as error:
            raise Retry(f"{method} {where}: no answer within {TIMEOUT_S:.0f} s") from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise Refused(f"{method} {where}: this is no address") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"{method} {where}: {str(error) or type(error).__name__}") from error
        if len(body) > MAX_BODY_BYTES:
            raise Retry(f"{method} {where}: the answer is larger than 1 MiB")
        return Answered(response.status, body)


@contextlib.asynccontextmanager
async def connect(component: str) -> AsyncIterator[WebClient]:
    """Open a client; leaving the context closes its connections."""
    async with aiohttp.ClientSession(
        headers={"User-Agent": f"prow-async/{component}/{prow_async.__version__}"},
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=True,
    ) as session:
        yield WebClient(session)


def _name(url: str) -> str:
    """Name an address without what may be secret in it."""
    try:
        found = yarl.URL(url)
        return str(found.with_user(None).with_query(None)) if found.host else repr(url[:200])
    except ValueError:
        return repr(url[:200])
