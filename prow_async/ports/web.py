"""Plain HTTP to services beside Kubernetes and GitHub."""

from typing import Protocol

import msgspec


class Answered(msgspec.Struct, frozen=True):
    status: int
    body: bytes


class Web(Protocol):
    async def ask(self, method: str, url: str, json: bytes = b"") -> Answered:
        """Send one request, follow redirects, read the answer up to 1 MiB. No status is judged.

        Raises:
            Retry: no whole answer came in time.
            Refused: the address is none.
        """
