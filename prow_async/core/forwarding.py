"""External plugins: who gets a delivery, with which headers, and when an endpoint is left alone for a while.

Source: upstream pkg/hook/server.go demuxExternal, dispatch.
"""

from collections.abc import Mapping

import msgspec

from prow_async.api.plugin_config import ExternalPlugin, PluginConfig

USER_AGENT = "ProwHook"
TRIES = 5
"""So often a delivery is sent before its endpoint counts as down; the waits double from FIRST_WAIT_S."""
FIRST_WAIT_S = 0.1
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
SLOW_S = 5.0
"""A try that fails after so long is not repeated at once."""
TRIP_AT = 3
"""After so many deliveries in a row that could not be sent an endpoint is left alone."""
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 120.0


def targets(config: PluginConfig, org: str, repo: str, event: str) -> tuple[ExternalPlugin, ...]:
    """Return who gets an event of a repo: an empty list of events means all of them. Each address once."""
    if not config.external_plugins:
        return ()
    fitting = [one for one in config.external_for(org, repo) if not one.events or event in one.events]
    return tuple({one.endpoint: one for one in reversed(fitting)}.values())[::-1]


def headers(received: Mapping[str, str]) -> dict[str, str]:
    """Return what is sent along: all that came with the delivery but for what belongs to the connection."""
    kept = {name: value for name, value in received.items() if name.lower() not in _OF_THE_CONNECTION}
    return {**kept, "User-Agent": USER_AGENT}


def come_again(status: int) -> bool:
    """True for answers that say `not now`; all others but 2xx are told and left at that, as upstream leaves them."""
    return status in (429, 502, 503, 504)


class Breaker(msgspec.Struct, frozen=True):
    """How an endpoint does. While `now < open_until_s` nothing is sent to it; then one delivery tries."""

    failures: int = 0
    open_until_s: float = 0.0

    def failed(self, now_s: float, hung: bool = False) -> "Breaker":
        """Count a delivery that could not be sent. One that hung is enough: the next would hang as long."""
        failures = max(self.failures + 1, TRIP_AT if hung else 0)
        if failures < TRIP_AT:
            return Breaker(failures)
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - TRIP_AT, 16))
        return Breaker(failures, now_s + pause_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until something may be sent; 0: now."""
        return max(0.0, self.open_until_s - now_s)
