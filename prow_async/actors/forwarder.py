"""Hands deliveries to external plugins: the whole body each time, and an endpoint that is down is left alone."""

import anyio
import structlog

from prow_async.actors.share import Outcome
from prow_async.api import names
from prow_async.api.errors import ProwError, Retry
from prow_async.api.plugin_config import ExternalPlugin
from prow_async.core import forwarding, urls
from prow_async.core.forwarding import Breaker
from prow_async.ports.forward import Forward
from prow_async.ports.inbox import Delivery
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
AT_ONCE = 16
"""So many deliveries are under way to one endpoint."""
IN_LINE = 32
"""So many more wait for that. The others come again later: they would keep the deliveries of others waiting."""
BUSY_S = 15.0


class Forwarder:
    """Sends deliveries on.

    Args:
        dry_run: sends nothing: whoever got a delivery would act upon it.
    """

    def __init__(self, forward: Forward, metrics: Metrics, dry_run: bool = False) -> None:
        self._forward = forward
        self._metrics = metrics
        self._dry_run = dry_run
        self._breakers: dict[str, Breaker] = {}
        self._lanes: dict[str, anyio.CapacityLimiter] = {}
        self._tried: set[str] = set()
        """Endpoints that were left alone, and that one delivery tries now."""

    async def handle(self, delivery: Delivery, plugin: ExternalPlugin) -> Outcome:
        """Raises Retry while the endpoint does not answer, or says that it cannot now."""
        if self._dry_run:
            log.info("dry run: not forwarded", plugin=plugin.name, **_guid(delivery))
            return Outcome(f"external {plugin.name}: not forwarded on dry run")
        self._admit(plugin)
        lane = self._lanes.setdefault(plugin.endpoint, anyio.CapacityLimiter(AT_ONCE))
        if lane.statistics().tasks_waiting >= IN_LINE:
            raise Retry(f"{_name(plugin)} has much to do", BUSY_S)
        async with lane:
            self._admit(plugin)  # much may have happened meanwhile
            return await self._hand_over(delivery, plugin)

    def _admit(self, plugin: ExternalPlugin) -> None:
        wait_s = self._breakers.get(plugin.endpoint, Breaker()).wait_s(anyio.current_time())
        if wait_s:
            raise Retry(f"{_name(plugin)} is left alone for now", wait_s)
        if plugin.endpoint in self._tried:
            raise Retry(f"{_name(plugin)} is tried with another delivery", BUSY_S)

    async def _hand_over(self, delivery: Delivery, plugin: ExternalPlugin) -> Outcome:
        if plugin.endpoint not in self._breakers or not self._breakers[plugin.endpoint].open_until_s:
            return await self._deliver(delivery, plugin)
        self._tried.add(plugin.endpoint)
        try:
            return await self._deliver(delivery, plugin)
        finally:
            self._tried.discard(plugin.endpoint)

    async def _deliver(self, delivery: Delivery, plugin: ExternalPlugin) -> Outcome:
        breaker, began_s = self._breakers.get(plugin.endpoint, Breaker()), anyio.current_time()
        try:
            status = await self._send(delivery, plugin)
        except Retry as error:
            now_s = anyio.current_time()
            self._breakers[plugin.endpoint] = breaker.failed(now_s, hung=now_s - began_s > forwarding.SLOW_S)
            self._count(plugin, "no answer" if error.status is None else str(error.status))
            raise Retry(f"{_name(plugin)}: {error.why}", error.after_s) from error
        except ProwError as error:
            self._count(plugin, "refused")
            log.error("external plugin cannot be reached", plugin=plugin.name, why=str(error), **_guid(delivery))
            return Outcome(f"external {plugin.name}: failed: {error}", failed=True)
        self._breakers.pop(plugin.endpoint, None)
        self._count(plugin, str(status))
        if not 200 <= status < 300:
            log.error("external plugin refused a delivery", plugin=plugin.name, status=status, **_guid(delivery))
        return Outcome(f"external {plugin.name}: answered {status}")

    async def _send(self, delivery: Delivery, plugin: ExternalPlugin) -> int:
        headers = forwarding.headers(delivery.headers)
        wait_s = forwarding.FIRST_WAIT_S
        for attempt in range(1, forwarding.TRIES + 1):
            began_s = anyio.current_time()
            try:
                status, _ = await self._forward.post(plugin.endpoint, headers, delivery.body)
                if not forwarding.come_again(status):
                    return status
                raise Retry(f"it answered {status}", status=status)
            except Retry:
                if attempt == forwarding.TRIES or anyio.current_time() - began_s > forwarding.SLOW_S:
                    raise
            await anyio.sleep(wait_s)
            wait_s *= 2
        raise AssertionError("unreachable: the last try returns or raises")

    def _count(self, plugin: ExternalPlugin, result: str) -> None:
        self._metrics.count("prow_async_external_deliveries_total", plugin=plugin.name, result=result)


def _name(plugin: ExternalPlugin) -> str:
    return f"external plugin {plugin.name} at {urls.shown(plugin.endpoint)}"


def _guid(delivery: Delivery) -> dict[str, str]:
    return {names.EVENT_GUID: delivery.guid}
