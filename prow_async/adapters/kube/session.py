"""The real door to an API server: ports/transport on aiohttp, with kubernetes_asyncio's credentials and TLS.

Statuses are not judged here; only a 401 makes it renew the credentials and send the request once more.
"""

import contextlib
import ipaddress
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import anyio
import yarl

import prow_async
from prow_async.adapters.kube import lean
from prow_async.adapters.kube.credentials import Access, Credentials, Source
from prow_async.api.errors import Retry
from prow_async.ports.transport import Reply

CONNECT_S = 5.0
"""For the connection and its TLS handshake."""
REQUEST_S = 60.0
"""For a whole request, and for the head of the answer to a watch. Who reads a watch bounds its silences."""
CONNECTIONS = 256
"""At most this many at once to one API server, watches among them."""
BUFFER_BYTES = 2**18
_WHOLE = aiohttp.ClientTimeout(total=REQUEST_S, sock_connect=CONNECT_S)
_STREAMED = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)


def opened(source: Source, component: str) -> "Session":
    """Return a session; close it in the end.

    Never raises at once: a source that does not load raises Retry on use.

    Args:
        component: goes into the user agent, which API servers log and count by.
    """
    return Session(Credentials(source), f"prow-async/{component}/{prow_async.__version__}")


@contextlib.asynccontextmanager
async def connect(source: Source, component: str) -> AsyncIterator["Session"]:
    """Open a session; leaving the context closes its connections. See `opened`."""
    session = opened(source, component)
    try:
        yield session
    finally:
        await session.close()


class _Pool:
    """The connections made with one identity. Closed when it is both retired and unused."""

    def __init__(self, access: Access) -> None:
        self.identity = access.identity
        self.proxy = access.configuration.proxy
        self.server_hostname = access.configuration.tls_server_name
        self.users = 0
        self.retired = False
        rest = lean.library.rest_client(access.configuration, maxsize=CONNECTIONS)
        connector = rest.pool_manager.connector  # with the TLS context; the session around it is made for other needs
        rest.pool_manager.detach()
        self.session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not _is_loopback(access.host),
            read_bufsize=BUFFER_BYTES,
        )

    async def close_if_done(self) -> None:
        if self.retired and not self.users:
            await self.session.close()


class Session:
    """One API server. Implements ports.transport.Transport."""

    def __init__(self, credentials: Credentials, user_agent: str) -> None:
        self._credentials = credentials
        # Compression saves little beside a cluster and costs both ends their processors on every long list.
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
        self._pool: _Pool | None = None
        self._retired: list[_Pool] = []

    @contextlib.asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[Reply]:
        """Send one request; see the port. Raises Retry."""
        access = await self._credentials.current()
        for again in (True, False):
            async with self._borrow(access) as pool:
                response = await self._request(pool, access, method, path, headers, body)
                try:
                    if response.status == 401 and again:
                        renewed = await self._credentials.renew(access)
                        if renewed is not access:
                            access = renewed
                            continue
                    yield _Answer(response)
                    return
                finally:
                    _leave(response)

    async def close(self) -> None:
        """Close all connections, those in use as well."""
        pools = [*self._retired, *([self._pool] if self._pool else [])]
        self._pool, self._retired = None, []
        for pool in pools:
            await pool.session.close()

    @contextlib.asynccontextmanager
    async def _borrow(self, access: Access) -> AsyncIterator[_Pool]:
        if self._pool is None or self._pool.identity != access.identity:
            await self._replace(access)
        pool = self._pool
        assert pool is not None
        pool.users += 1
        try:
            yield pool
        finally:
            pool.users -= 1
            if pool.retired:
                with anyio.CancelScope(shield=True):
                    await pool.close_if_done()
                self._retired = [one for one in self._retired if one.users]

    async def _replace(self, access: Access) -> None:
        """Make a pool for a new identity. Requests under way end on the old one."""
        old = self._pool
        try:
            self._pool = _Pool(access)
        except (OSError, ValueError) as error:  # certificate files that do not load
            raise Retry(f"{_name(access.host)}: TLS cannot be set up: {error}") from error
        if old is not None:
            old.retired = True
            self._retired.append(old)
            await old.close_if_done()

    async def _request(
        self, pool: _Pool, access: Access, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> aiohttp.ClientResponse:
        streams = _is_stream(path)
        options: dict[str, Any] = {"server_hostname": pool.server_hostname} if pool.server_hostname else {}
        try:
            with anyio.fail_after(REQUEST_S) if streams else contextlib.nullcontext():
                return await pool.session.request(
                    method,
                    yarl.URL(access.host + path, encoded=True),
                    headers={**self._headers, **headers, **access.headers},
                    data=body or None,
                    timeout=_STREAMED if streams else _WHOLE,
                    allow_redirects=False,
                    proxy=pool.proxy,
                    **options,
                )
        except TimeoutError as error:
            raise Retry(f"{method} {_name(access.host)}: no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Retry(f"{method} {_name(access.host)}: {_tell(error)}") from error


def _leave(response: aiohttp.ClientResponse) -> None:
    """Give the connection back; one whose answer was not read to its end is cut, without TLS' farewells."""
    if response.content.at_eof():
        response.release()
        return
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


class _Answer:
    """Implements ports.transport.Reply."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self._response.headers.items()}

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"the answer of {self._response.url.host} broke off: {_tell(error)}") from error

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retry(f"the stream of {self._response.url.host} broke off: {_tell(error)}") from error


def _is_stream(path: str) -> bool:
    """Tell whether the answer goes on until somebody ends it: a watch, or a log that is followed."""
    if "?" not in path:
        return False
    query = urllib.parse.parse_qs(path.partition("?")[2])
    return any(query.get(key, [""])[0] in {"1", "true"} for key in ("watch", "follow"))


def _is_loopback(url: str) -> bool:
    """Tell whether a proxy is out of the question, whatever the environment says (as Go decides it)."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(url: str) -> str:
    """Name a server without what may be secret in its address."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _tell(error: Exception) -> str:
    return str(error) or type(error).__name__
