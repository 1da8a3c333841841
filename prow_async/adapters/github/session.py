"""The real Transport: an aiohttp session to one GitHub, under one or several addresses. Tokens come in as headers."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import yarl

from prow_async.api.errors import CannotStart, Retry

CONNECT_TIMEOUT_S = 10.0
RETURN_S = 30.0
"""So long the address of first choice is left alone when it cannot be reached: a proxy that restarts is back soon."""
GRAPHQL = "/graphql"

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Trouble that shows that the server has not seen the request."""


class SessionReply:
    """An answer whose head has arrived; see ports/transport `Reply`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"GitHub's answer broke off: {error}") from error

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"GitHub's answer broke off: {error}") from error


class Endpoint:
    """One base address, such as https://api.github.com or https://ghe.example.com/api/v3.

    Raises CannotStart for anything but a plain http or https address; `flag` names where it comes from.
    """

    def __init__(self, address: str, flag: str = "--github-endpoint") -> None:
        try:
            parts = urlsplit(address)
            yarl.URL(address)
            odd = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or parts.username
        except ValueError:  # brackets that hold no address, a port that is none
            odd = True
        if odd or "?" in address or "#" in address or " " in address:
            raise CannotStart(f"{flag}={address}: expected an address like https://api.github.com")
        self.address = address.rstrip("/")
        self.path = parts.path.rstrip("/")
        self.graphql = f"{self.address.removesuffix('/v3') if self.path == '/api/v3' else self.address}{GRAPHQL}"
        bypass = urllib.request.proxy_bypass(parts.hostname or "")
        self.proxy = None if bypass else urllib.request.getproxies().get(parts.scheme)


class Session:
    """A Transport (ports/transport). Made by `connect`."""

    def __init__(
        self, client: aiohttp.ClientSession, endpoints: Sequence[Endpoint], graphql: Endpoint | None = None
    ) -> None:
        self._client = client
        self._endpoints = endpoints
        self._graphql = graphql
        self._current = 0
        self._left_s = 0.0
        """When the one of first choice could not be reached last."""

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[SessionReply]:
        """Send one request; see ports/transport. `/graphql` goes to the GraphQL address.

        Where several addresses are given, one that cannot be reached is passed over, and the next one that answers is
        stayed with for half a minute, then the first is tried again. A write moves on only when it surely has not
        arrived.
        """
        async with await self._reach(method, path, headers, body) as response:
            yield SessionReply(response)

    async def _reach(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> aiohttp.ClientResponse:
        if path == GRAPHQL and self._graphql is not None:
            try:
                return await self._send_to(self._graphql, method, "", headers, body)
            except (aiohttp.ClientError, OSError) as error:
                raise Retry(f"GitHub cannot be reached: {self._graphql.address}: {error}") from error
        troubles: list[str] = []
        now_s = asyncio.get_running_loop().time()
        if self._current and now_s - self._left_s >= RETURN_S:
            self._current = 0
        numbers = range(len(self._endpoints))
        for number in (*numbers[self._current :], *numbers[: self._current]):
            endpoint = self._endpoints[number]
            try:
                return await self._send_to(endpoint, method, path, headers, body)
            except (aiohttp.ClientError, OSError) as error:
                troubles.append(f"{endpoint.address}: {str(error) or type(error).__name__}")
                if method != "GET" and not isinstance(error, _NEVER_SENT):
                    break
                self._left_s = self._left_s if number else now_s
                self._current = (number + 1) % len(self._endpoints)
        raise Retry(f"GitHub cannot be reached: {'; '.join(troubles)}")

    async def _send_to(
        self, endpoint: Endpoint, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        # Links in answers carry a base path already, maybe that of another address.
        bases = (one.path for one in self._endpoints if one.path and path.startswith(one.path + "/"))
        below = path[len(max(bases, key=len, default="")) :]
        return await self._client.request(
            method,
            yarl.URL(endpoint.graphql if path == GRAPHQL else endpoint.address + below, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            proxy=endpoint.proxy,
        )


@asynccontextmanager
async def connect(endpoints: Sequence[str], graphql: str = "", timeout_s: float = 120.0) -> AsyncIterator[Session]:
    """Open a session to the given base addresses, in order of preference; the proxy variables of the environment count.

    Raises CannotStart for an address that is none.

    Args:
        graphql: the whole address of GraphQL; without it GraphQL is asked below the base addresses.
    """
    if not endpoints:
        raise CannotStart("no GitHub endpoint is given; --github-endpoint=https://api.github.com is the usual one")
    known = [Endpoint(address) for address in endpoints]
    graph = Endpoint(graphql, "--github-graphql-endpoint") if graphql else None
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
    # Not trust_env: an entry in ~/.netrc would then collide with the token.
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield Session(client, known, graph)
