"""Carries webhooks from the small GitHub into the inbox, as GitHub does: one try each. An operator sees to the rest."""

import random
from collections.abc import Mapping

import anyio

from prow_async.api.errors import ProwError, Retry
from prow_async.core import webhook
from prow_async.ports.inbox import Inbox
from prow_async.sandbox.github import deliver
from prow_async.sandbox.github.outbox import Delivery
from tests.lives import setup
from tests.lives.process import Process
from tests.lives.worlds import Told, Worlds

LOOKS_AFTER_S = 20.0


class Post:
    """The way of deliveries.

    Args:
        door: the process that takes webhooks in; while it is down nobody answers.
    """

    def __init__(self, worlds: Worlds, inbox: Inbox, door: Process, told: Told, dice: random.Random) -> None:
        self._worlds = worlds
        self._inbox = inbox
        self._door = door
        self._told = told
        self._dice = dice
        self._tokens = webhook.parse_tokens(setup.SECRET)

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._look_after)
            await deliver.run(self._worlds.github, self._worlds.clock, self._send)

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Do what the hook component's door does with a request."""
        guid, event = headers["X-GitHub-Delivery"], headers["X-GitHub-Event"]
        await anyio.sleep(self._dice.uniform(0, 0.3))
        if not self._door.up:
            raise Retry("connection refused")
        verified = webhook.verify("POST", headers, body, self._tokens)
        assert isinstance(verified, webhook.Verified), verified
        try:
            accepted = await self._inbox.accept(verified.guid, verified.event, dict(headers), body)
        except ProwError as error:
            self._told(f"delivery {guid[:8]} {event} not accepted: {error}")
            return webhook.TRY_AGAIN.status
        self._told(f"delivery {guid[:8]} {event} accepted as {accepted.seq}{'' if accepted.new else ', again'}")
        return webhook.WELCOME.status

    async def _look_after(self) -> None:
        """Redeliver what failed, again and again, as an operator with GitHub's list of failures would."""
        while True:
            await anyio.sleep(self._dice.uniform(1, 2 * LOOKS_AFTER_S))
            if self._door.up:
                for guid in self.failed():
                    self._worlds.github.redeliver(guid, self._worlds.clock.now())

    def failed(self) -> list[str]:
        """GUIDs that were tried, none of whose tries succeeded, and that are not on their way."""
        outbox = self._worlds.github.outbox
        ways: dict[str, bool] = {}
        for delivery in outbox.log():
            ways[delivery.guid] = ways.get(delivery.guid, False) or delivery.outcome is None or delivery.outcome.ok
        for delivery in outbox.waiting():
            ways[delivery.guid] = True
        return [guid for guid, fine in ways.items() if not fine]

    def twice(self) -> None:
        """Redeliver one that was delivered well, as somebody who pushes the button without need."""
        good = [delivery for delivery in self._worlds.github.outbox.log() if _good(delivery)]
        if good:
            self._worlds.github.redeliver(self._dice.choice(good).guid, self._worlds.clock.now())

    @property
    def at_rest(self) -> bool:
        outbox = self._worlds.github.outbox
        on_its_way = any(delivery.outcome is None for delivery in outbox.log())
        return not outbox.waiting() and not on_its_way and not self.failed()


def _good(delivery: Delivery) -> bool:
    return delivery.outcome is not None and delivery.outcome.ok
