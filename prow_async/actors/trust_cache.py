"""Remembers who belongs to an organization or helps in a repository, for a few minutes.

Trust is asked of nearly every delivery and changes rarely. An answer is kept for five minutes at most, and forgotten
at once when GitHub tells of a change of members.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from prow_async.ports.clock import Clock

KEPT_S = 300.0
ROOM = 20_000
MEMBER_EVENTS = frozenset({"member", "membership", "organization", "team", "team_add", "repository"})
"""Events after which an organization's answers may be others. Source: docs.github.com, webhook events."""

Key = tuple[str, ...]
"""(organization, kind of question, ...), in lower case."""


class TrustCache:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[Key, tuple[bool, float]] = OrderedDict()
        self._changes = 0
        """How often members have changed; GitHub may have answered before the last time what is read right now."""

    async def ask(self, org: str, question: tuple[str, ...], read: Callable[[], Awaitable[bool]]) -> bool:
        """Return the answer, reading it if it is unknown or older than five minutes.

        What `read` raises is not kept, nor what it returns when members have changed meanwhile.
        """
        key = tuple(part.lower() for part in (org, *question))
        known = self._answers.get(key)
        asked_s, changes = self._clock.now(), self._changes
        if known is not None and 0 <= asked_s - known[1] < KEPT_S:
            return known[0]
        answer = await read()
        if changes != self._changes:
            return answer
        self._answers[key] = (answer, asked_s)
        self._answers.move_to_end(key)
        while len(self._answers) > ROOM:
            self._answers.popitem(last=False)
        return answer

    def heard(self, event: str, org: str) -> None:
        """A delivery came: forget what it may have changed, of this organization and of people judged by it."""
        if event in MEMBER_EVENTS:
            self._changes += 1
            for key in [key for key in self._answers if key[0] == org.lower()]:
                del self._answers[key]
