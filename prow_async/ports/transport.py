"""The one door to every HTTP server: the real ones, and the embedded worlds with or without a socket.

Two kinds of implementation: an HTTP session of a library (adapters/kube/session, adapters/github/session), and the
direct doors of the embedded worlds (sandbox/kube/direct, sandbox/github/direct), which call a synchronous state
machine. Whatever is written on this port runs the same on both.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Reply(Protocol):
    """An answer whose head has arrived. The body is read once: whole by `read`, or piece by piece by `chunks`."""

    @property
    def status(self) -> int:
        """The HTTP status. Nothing below checks it: the caller must."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names are lower-case."""

    async def read(self) -> bytes:
        """Return the whole body. Raises Retry when the connection breaks before its end."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield pieces of the body as they come, cut anywhere, until the server ends it.

        Raises Retry when the connection breaks. The caller bounds the silence between two pieces itself
        (anyio.fail_after around each step): on virtual time that costs nothing.
        """


class Transport(Protocol):
    def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AbstractAsyncContextManager[Reply]:
        """Send one request; leaving the context closes the answer, also in its middle.

        Args:
            path: absolute path with its query string already encoded, below the server's base address.
            headers: what the request needs beside authentication, which the transport adds.

        Raises:
            Retry: the server could not be reached, or not in time. Statuses are never raised here.
        """
