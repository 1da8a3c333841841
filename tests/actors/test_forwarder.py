"""External plugins that take deliveries and do not answer: they hold up little, and not for long."""

from collections.abc import Mapping

import anyio

from prow_async.actors import forwarder
from prow_async.actors.forwarder import Forwarder
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api.errors import Retry
from prow_async.api.plugin_config import ExternalPlugin
from prow_async.ports.inbox import Delivery
from tests.actors.worlds import passes, story

HANGS_S = 300.0


class Hung:
    """Takes every delivery, and answers none until it is well."""

    def __init__(self) -> None:
        self.got = 0
        self.well = False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        self.got += 1
        if not self.well:
            await anyio.sleep(HANGS_S)
            raise Retry("no answer")
        return 200, b""


class Crowd:
    """Deliveries of many pull requests at once, and what became of them."""

    def __init__(self, hung: Hung) -> None:
        self._forwarder = Forwarder(hung, PrometheusMetrics())
        self.done: list[str] = []

    async def hand(self, number: int) -> None:
        delivery = Delivery(number, f"guid-{number}", "push", {}, b"{}", 0.0)
        try:
            outcome = await self._forwarder.handle(delivery, ExternalPlugin("slow", "http://slow"))
            self.done.append(outcome.note)
        except Retry as error:
            self.done.append(f"{error.why}, {error.after_s}")

    def kinds(self) -> dict[str, int]:
        return {kind: self.done.count(kind) for kind in sorted(set(self.done))}


@story
async def test_it_holds_up_few_and_is_asked_once() -> None:
    """1. Of a hundred some are under way and some wait; the others go. 2. None is sent twice, or after one failed."""
    hung = Hung()
    crowd = Crowd(hung)
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(crowd.hand, number)
        await passes(1)
        left = 100 - forwarder.AT_ONCE - forwarder.IN_LINE
        assert crowd.kinds() == {f"external plugin slow at http://slow has much to do, {forwarder.BUSY_S}": left}
        await passes(HANGS_S)
    assert hung.got == forwarder.AT_ONCE
    assert crowd.kinds() == {
        f"external plugin slow at http://slow has much to do, {forwarder.BUSY_S}": left,
        "external plugin slow at http://slow: no answer, None": forwarder.AT_ONCE,
        "external plugin slow at http://slow is left alone for now, 5.0": forwarder.IN_LINE,
    }
    hung.well = True
    await passes(5)
    await crowd.hand(100)
    assert crowd.done[-1] == "external slow: answered 200"


@story
async def test_after_a_pause_one_delivery_tries() -> None:
    """1. Of many that come then one is sent, the others come again. 2. Once it is answered all are sent."""
    hung = Hung()
    crowd = Crowd(hung)
    await crowd.hand(0)
    await passes(6)
    async with anyio.create_task_group() as group:
        for number in range(forwarder.AT_ONCE + forwarder.IN_LINE):
            group.start_soon(crowd.hand, number)
        await passes(1)
        assert hung.got == 2
        busy = f"external plugin slow at http://slow is tried with another delivery, {forwarder.BUSY_S}"
        assert crowd.kinds()[busy] == forwarder.AT_ONCE + forwarder.IN_LINE - 1
    hung.well = True
    await passes(10)
    async with anyio.create_task_group() as group:
        for number in range(10):
            await crowd.hand(number)
            group.start_soon(crowd.hand, number)
    assert crowd.kinds()["external slow: answered 200"] == 20
