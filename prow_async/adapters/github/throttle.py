"""The client's own limit on requests an hour, which leaves the rest of a shared token to others.

Source: upstream pkg/github/client.go throttler. Deviation: who would wait long is told so instead.
"""

from collections.abc import Mapping, Sequence

import msgspec

from prow_async.api.errors import CannotStart

HOUR_S = 3600.0
CHEAP = ("COALESCED", "REVALIDATED")
"""Values of `X-Cache-Mode` by which a caching proxy says that GitHub was asked nothing that counts."""


class Rate(msgspec.Struct, frozen=True):
    """So many requests an hour, and so many at once. Raises CannotStart for rates that make no sense."""

    hourly: int
    burst: int

    def __post_init__(self) -> None:
        if self.hourly <= 0 or self.burst <= 0 or self.burst > self.hourly:
            raise CannotStart(
                f"client-side throttling of {self.hourly} requests an hour with bursts of {self.burst}: both must be"
                " more than 0, and the burst no more than the hour's"
            )


class Bucket:
    """A bucket that starts full, and is filled again once as long has passed as its burst stands for.

    So no hour sees more requests than `hourly`, not even the first.
    """

    def __init__(self, rate: Rate, now_s: float) -> None:
        self._rate = rate
        self._every_s = HOUR_S / rate.hourly
        self._tokens = float(rate.burst)
        self._filled_s = now_s + rate.burst * self._every_s

    def take(self, now_s: float, patience_s: float) -> float:
        """Take one; return how long to wait before it may be used.

        More than `patience_s` means that none was taken.
        """
        if now_s > self._filled_s:
            self._tokens = min(float(self._rate.burst), self._tokens + (now_s - self._filled_s) / self._every_s)
            self._filled_s = now_s
        wait_s = 0.0 if self._tokens >= 1 else (1 - self._tokens) * self._every_s + max(0.0, self._filled_s - now_s)
        if wait_s <= patience_s:
            self._tokens -= 1
        return wait_s

    def give_back(self) -> None:
        """The request turned out to cost nothing."""
        self._tokens = min(float(self._rate.burst), self._tokens + 1)


class Throttle:
    """The buckets of one client.

    Args:
        everywhere: for all requests but those of `orgs`; None lets them pass.
        orgs: lower-case organization -> its own rate.
    """

    def __init__(self, everywhere: Rate | None, orgs: Mapping[str, Rate]) -> None:
        self._everywhere = everywhere
        self._orgs = orgs
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, org: str, now_s: float) -> Bucket | None:
        """Return the bucket a request has to take from; None where there is no limit."""
        name = org.lower() if org.lower() in self._orgs else ""
        rate = self._orgs.get(name, self._everywhere)
        if rate is None:
            return None
        if name not in self._buckets:
            self._buckets[name] = Bucket(rate, now_s)
        return self._buckets[name]


def parse_orgs(texts: Sequence[str]) -> dict[str, Rate]:
    """Read `ORG:HOURLY:BURST`. Raises CannotStart."""
    found: dict[str, Rate] = {}
    for text in texts:
        org, _, numbers = text.partition(":")
        hourly, _, burst = numbers.partition(":")
        if not org or not hourly.isdecimal() or not burst.isdecimal():
            raise CannotStart(f"--github-throttle-org={text}: expected ORG:REQUESTS_AN_HOUR:BURST")
        if org.lower() in found:
            raise CannotStart(f"--github-throttle-org={text}: {org} was given before")
        found[org.lower()] = Rate(int(hourly), int(burst))
    return found
