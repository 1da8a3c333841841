"""Metrics pushed to a Prometheus Pushgateway, for installations where nothing scrapes.

Source: upstream pkg/metrics/metrics.go, pkg/metrics/push.go. Deviation: `/metrics` is served all the same.
"""

import socket
from collections.abc import Callable
from urllib.parse import quote

import anyio
import anyio.to_thread
import structlog

from prow_async.adapters import metrics
from prow_async.adapters.outgoing import Sender
from prow_async.api.config_sections import PushGateway
from prow_async.api.errors import ProwError, Refused

log = structlog.get_logger()
SHORTEST_S = 1.0
"""Between two pushes, whatever the configuration says."""


class Pusher:
    """Pushes all metrics of this process, in the place of those it pushed before.

    Args:
        job: the `job` label; this machine's name is the `instance`.
    """

    def __init__(self, source: metrics.PrometheusMetrics, sender: Sender, job: str) -> None:
        self._source = source
        self._sender = sender
        self._path = f"/metrics/job/{quote(job, safe='')}/instance/{quote(socket.gethostname(), safe='')}"

    async def push(self, endpoint: str) -> None:
        """Push once. Raises Retry when the gateway cannot be reached, Refused when it does not take them."""
        base = endpoint if "://" in endpoint else f"http://{endpoint}"
        self._source.refresh()
        page = await anyio.to_thread.run_sync(self._source.render)
        headers = {"Content-Type": metrics.CONTENT_TYPE}
        try:
            answer = await self._sender.send("PUT", f"{base.removesuffix('/')}{self._path}", headers, page)
        except ValueError as error:
            raise Refused("push_gateway.endpoint is no address") from error
        if answer.status not in (200, 202):
            text = answer.body[:200].decode(errors="replace")
            raise Refused(f"the push gateway answered {answer.status}: {text}", answer.status)


async def keep_pushing(pusher: Pusher, settings: Callable[[], PushGateway]) -> None:
    """Push at once and then after each interval, until cancelled. A push that fails is told, and the next one made.

    Args:
        settings: as they are now; without an endpoint nothing is pushed.
    """
    while True:
        now = settings()
        if now.endpoint:
            try:
                await pusher.push(now.endpoint)
            except ProwError as error:
                log.error("metrics not pushed", why=str(error))
        await anyio.sleep(max(SHORTEST_S, now.interval_s))
