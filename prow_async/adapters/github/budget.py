"""How much GitHub still allows: one budget for each token and resource, read from the headers of its answers.

A share of each budget is kept for what is more urgent. The kept part shrinks as the hour goes by, so that urgent work
never finds the budget gone early, and the rest is not idle while plenty is left shortly before the reset.
Source: docs.github.com, rate limits for the REST and GraphQL API.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping

from prow_async.adapters.github import answers
from prow_async.api.errors import Retry
from prow_async.ports.cause import Urgency

KEPT: Mapping[Urgency, float] = {"merge": 0.0, "status": 0.02, "comment": 0.1, "sync": 0.3}
"""The share of a budget that each class leaves to those above it."""

WINDOW_S = 3600.0
RATE_OVER_S = 600.0
"""The rate of use is measured over so long."""
JITTER_S = 5.0
"""Resets that differ by less are the same one."""


class Budget:
    """What one token may still ask of one resource until `reset_s`."""

    def __init__(self) -> None:
        self.limit = 0.0
        self.remaining = math.inf
        self.reset_s = 0.0
        self.in_flight = 0
        self._used: deque[tuple[float, float]] = deque(maxlen=64)

    def read(self, headers: Mapping[str, str], now_s: float) -> bool:
        """Take over what an answer says. Of answers about the same hour the lowest counts: they may overtake."""
        limit, remaining, reset_s = (answers.number(headers.get(f"x-ratelimit-{name}", "")) for name in _NAMES)
        if remaining is None or reset_s is None or reset_s < self.reset_s - JITTER_S:
            return False
        if reset_s > now_s + answers.FARTHEST_S:  # nothing that is said later would count
            return False
        same = reset_s < self.reset_s + JITTER_S
        self.remaining = min(remaining, self.remaining) if same else remaining
        self.limit = max(limit or 0.0, remaining)
        if not same:
            self.reset_s = reset_s
            self._used.clear()
        if not self._used or now_s - self._used[-1][0] >= RATE_OVER_S / 64:
            self._used.append((now_s, self.limit - self.remaining))
        return True

    def wait_s(self, urgency: Urgency, now_s: float) -> float:
        """Return how long a request of this class has to wait; 0 when it may go."""
        left_s = self.reset_s - now_s
        if left_s <= 0:
            return 0.0
        free = self.remaining - self.in_flight
        if free <= 0:
            return left_s + 1.0
        kept = KEPT[urgency] * self.limit
        if free > kept * min(1.0, left_s / WINDOW_S):
            return 0.0
        return max(1.0, left_s - free / kept * WINDOW_S)

    def gone_in_s(self, now_s: float) -> float:
        """Foretell when nothing is left, at the rate of the last minutes; infinite where the reset comes first."""
        if not self._used or now_s >= self.reset_s:
            return math.inf
        if self.remaining <= 0:
            return 0.0
        since_s, used = next((one for one in self._used if now_s - one[0] <= RATE_OVER_S), self._used[-1])
        spent, over_s = self.limit - self.remaining - used, now_s - since_s
        if spent <= 0 or over_s <= 0:
            return math.inf
        gone_s = self.remaining / spent * over_s
        return gone_s if now_s + gone_s < self.reset_s else math.inf


_NAMES = ("limit", "remaining", "reset")


class Budgets:
    """All budgets of one client, and the tokens that a secondary limit has told to be silent for a while."""

    def __init__(self) -> None:
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._silent: dict[str, float] = {}

    def of(self, who: str, resource: str) -> Budget:
        budget = self._budgets.get((who, resource))
        if budget is None:
            budget = self._budgets[who, resource] = Budget()
        return budget

    def admit(self, who: str, resource: str, urgency: Urgency, now_s: float) -> None:
        """Let a request go. Raises Retry with the time to wait when it may not yet."""
        self.check(who, resource, now_s)
        budget = self.of(who, resource)
        wait_s = budget.wait_s(urgency, now_s)
        if wait_s <= 0:
            return
        if budget.remaining - budget.in_flight <= 0:
            raise Retry(f"GitHub's rate limit ({resource}) is used up", wait_s, 403)
        left = f"{budget.remaining:.0f} of {budget.limit:.0f}"
        raise Retry(f"{left} requests ({resource}) are left, and kept for what is more urgent", wait_s, 403)

    def check(self, who: str, resource: str, now_s: float) -> None:
        """Raise Retry while nothing may go, however urgent."""
        silent_s = self._silent.get(who, 0.0) - now_s
        if silent_s > 0:
            raise Retry("GitHub's secondary rate limit asks for a pause", silent_s, 429)
        budget = self.of(who, resource)
        if budget.remaining <= 0 and budget.reset_s > now_s:
            raise Retry(f"GitHub's rate limit ({resource}) is used up", budget.reset_s - now_s + 1.0, 403)

    def silence(self, who: str, until_s: float) -> None:
        """Send nothing more with this token until then."""
        self._silent[who] = max(until_s, self._silent.get(who, 0.0))

    def every(self) -> Iterator[tuple[str, str, Budget]]:
        for (who, resource), budget in self._budgets.items():
            yield who, resource, budget

    def forget_ended(self, now_s: float) -> None:
        """Drop budgets whose hour ended long ago: of tokens that have been replaced."""
        ended = [key for key, one in self._budgets.items() if not one.in_flight and one.reset_s + WINDOW_S < now_s]
        for key in ended:
            del self._budgets[key]
        self._silent = {who: until_s for who, until_s in self._silent.items() if until_s > now_s}


def resource_of(path: str) -> str:
    """Name the budget that a request will be counted against."""
    if path.startswith("/graphql"):
        return "graphql"
    if path.startswith("/search/code"):
        return "code_search"
    return "search" if path.startswith("/search/") else "core"
