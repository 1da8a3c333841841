"""The hourly budget of each account, as the headers of every answer show it.

Source: docs.github.com, rate limits for the REST API, primary and secondary.
"""

import msgspec

WINDOW_S = 3600.0
MINUTE_S = 60.0


class Bucket(msgspec.Struct):
    """One account's hour. It begins with the first request and ends at `reset_s`, when all is forgiven."""

    limit: int
    used: int
    reset_s: float
    resource: str = "core"

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def exhausted(self) -> bool:
        return self.used >= self.limit

    def headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(int(self.reset_s)),
            "x-ratelimit-resource": self.resource,
        }

    def shape(self) -> dict[str, int | str]:
        """Render one resource of `/rate_limit`."""
        return {
            "limit": self.limit,
            "used": self.used,
            "remaining": self.remaining,
            "reset": int(self.reset_s),
            "resource": self.resource,
        }


class Limits:
    """All accounts' buckets. `limit` may be changed at any time; it holds from the next request on."""

    def __init__(self, limit: int = 5000, resource: str = "core") -> None:
        self.limit = limit
        self._resource = resource
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, login: str, now_s: float) -> Bucket:
        """Return the account's current hour, beginning a new one where the last has ended."""
        bucket = self._buckets.get(login)
        if bucket is None or now_s >= bucket.reset_s:
            bucket = self._buckets[login] = Bucket(self.limit, 0, float(int(now_s)) + WINDOW_S, self._resource)
        bucket.limit = self.limit
        return bucket


class Secondary:
    """GitHub's secondary limits of each account: points a minute, where a write counts five, and writes a minute."""

    def __init__(self, points: int = 900, writes: int = 80) -> None:
        self.points = points
        self.writes = writes
        self._minutes: dict[str, tuple[float, int, int]] = {}

    def ask(self, login: str, method: str, now_s: float) -> float | None:
        """Count a request; return after how many seconds to come again when it is too much."""
        began_s, points, writes = self._minutes.get(login, (now_s, 0, 0))
        if now_s - began_s >= MINUTE_S:
            began_s, points, writes = now_s, 0, 0
        reads = method in ("GET", "HEAD")
        points, writes = points + (1 if reads else 5), writes + (0 if reads else 1)
        self._minutes[login] = began_s, points, writes
        if points <= self.points and writes <= self.writes:
            return None
        return max(1.0, began_s + MINUTE_S - now_s)
