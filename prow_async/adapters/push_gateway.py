"""Metrics sent to a Prometheus Pushgateway, for whoever cannot scrape: every `interval`, as `push_gateway` says.

Source: upstream pkg/metrics/metrics.go, https://github.com/prometheus/pushgateway#api (PUT replaces the group).
"""

import socket
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread
import structlog

from prow_async.adapters import metrics, outgoing
from prow_async.api.config_sections import PushGateway
from prow_async.api.errors import ProwError, Refused

log = structlog.get_logger()
SHORTEST_S = 1.0
"""No interval is taken for shorter."""


class Pusher:
    """Sends one process's metrics.

    Args:
        component: name of the group, beside the machine's.
        settings: the section of the configuration in force; it may change while we run.
    """

    def __init__(self, source: metrics.PrometheusMetrics, component: str, settings: Callable[[], PushGateway]) -> None:
        self._source = source
        self._component = component
        self._settings = settings

    async def run(self) -> None:
        """Push until cancelled. What goes wrong stands in the log; the next push has all that this one had."""
        while True:
            settings = self._settings()
            if settings.endpoint:
                try:
                    await self.push(settings.endpoint)
                except ProwError as error:
                    log.warning("metrics not pushed", why=str(error))
            await anyio.sleep(max(SHORTEST_S, settings.interval_s))

    async def push(self, endpoint: str) -> None:
        """Push once. Raises Retry when the gateway is not reached, Refused when it does not take them."""
        address = address_of(endpoint, self._component, socket.gethostname())
        self._source.refresh()
        body = await anyio.to_thread.run_sync(self._source.render)
        async with outgoing.opened(self._component) as sender:
            answer = await sender.send("PUT", address, {"Content-Type": metrics.CONTENT_TYPE}, body)
        if not 200 <= answer.status < 300:
            text = answer.body[:200].decode(errors="replace").strip()
            raise Refused(f"the Pushgateway answered {answer.status}: {text}", answer.status)


def address_of(endpoint: str, component: str, machine: str) -> str:
    """Return where a group of metrics is kept. Raises Refused for an endpoint that is no address.

    >>> address_of("gateway:9091/", "crier", "crier-0")
    'http://gateway:9091/metrics/job/crier/instance/crier-0'
    """
    base = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        host = urlsplit(base).hostname
    except ValueError:
        host = None
    if not host:
        raise Refused("push_gateway.endpoint is no address: write HOST:PORT or a URL")
    return f"{base.removesuffix('/')}/metrics/job/{quote(component, safe='')}/instance/{quote(machine, safe='')}"
