"""Handing a delivery on to somebody else's program."""

from collections.abc import Mapping
from typing import Protocol


class Forward(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """POST the whole body once; return status and the begin of the answer (1 MiB).

        Raises Retry when no answer came, Refused for an address that cannot be used.
        """
