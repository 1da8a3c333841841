"""Where decisions are kept for people to ask about."""

from typing import Protocol

from prow_async.api.explained import Explained


class Decisions(Protocol):
    def keep(self, decision: Explained) -> None:
        """Keep it. Returns at once; a few of the last may be lost with the process, for nothing rests on them."""

    async def of_pull(self, org: str, repo: str, number: int, limit: int) -> list[Explained]:
        """Return the newest decisions about a pull request, oldest of them first. Names ignore case.

        Raises Retry when they cannot be read.
        """
