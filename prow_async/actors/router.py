"""From the inbox to the plugins: each delivery is shared out, and finished when everybody is done with it.

A plugin gets the deliveries of one pull request (or branch) in order, those of others side by side; plugins do not
wait for one another. One that asks for another try keeps its place, and nobody else's.
"""

import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import anyio
import anyio.lowlevel
import structlog

from prow_async.actors.executor import Executor
from prow_async.actors.forwarder import Forwarder
from prow_async.actors.share import Env, Outcome, Share, Sharers
from prow_async.api import names
from prow_async.api.errors import Retry, UserMistake
from prow_async.core import payload, routing, urls, webhook_decode
from prow_async.core.payload import Known
from prow_async.core.routing import Plan
from prow_async.core.webhook_decode import Parsed
from prow_async.ports.config import Snapshot
from prow_async.ports.inbox import Delivery, Inbox
from prow_async.ports.plugin import Plugin, Reads
from prow_async.runtime.backoff import Backoff
from prow_async.runtime.keyed import KeyedActors, Limits

log = structlog.get_logger()
Wake = Literal["delivery"]
Lane = tuple[str, str]
"""What keeps an order (a pull request, a branch), and who handles it: a plugin's name, or an external one's address."""
AT_A_TIME = 16
"""So many deliveries are decoded and shared out before others get their turn on the loop."""
IN_FLIGHT = 500
"""So many deliveries are in memory whole."""
PARKED = 20_000
"""So many more wait for another try, read again from the inbox when their time has come."""
SHORTEST_WAIT_S = 0.5
GIVE_UP_S = 6 * 3600.0
"""A plugin that has asked for another try for so long is not asked again: the delivery is laid aside for people."""


class _Handling:
    """One delivery on its way, and what has become of its shares so far."""

    def __init__(self, delivery: Delivery, parsed: Parsed, plan: Plan, lane: str) -> None:
        self.seq = delivery.seq
        self.guid = delivery.guid
        self.lane = lane
        self.whole: tuple[Delivery, Parsed, Plan] | None = (delivery, parsed, plan)
        """None while it is parked."""
        self.open = {*plan.plugins, *(external.endpoint for external in plan.external)}
        self.outcomes: list[Outcome] = []
        self.waits_since: dict[str, float] = {}
        """Who asked for another try, and when they did so first."""
        self.tried_s: dict[str, float] = {}
        """When each plugin had its last try."""
        self.reads: tuple[Reads, float] | None = None
        """What the plugins of one try share, and since when."""


class Router:
    """Feeds deliveries to plugins.

    Args:
        reads: makes what plugins may read, with the newest configuration, once per try of a delivery; what is
            known from the payload need not be asked for.
    """

    def __init__(
        self,
        inbox: Inbox,
        plugins: Sequence[Plugin],
        snapshot: Callable[[], Snapshot],
        reads: Callable[[Known], Reads],
        executor: Executor,
        env: Env,
    ) -> None:
        self._env = env
        self._inbox = inbox
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._asked = {plugin.name: plugin.events for plugin in plugins}
        self._snapshot = snapshot
        self._reads = reads
        self._sharers = Sharers(inbox, executor, env)
        self._forwarder = None if env.forward is None else Forwarder(env.forward, env.metrics, executor.dry_run)
        self._lanes: dict[Lane, deque[_Handling]] = {}
        self._newest: dict[str, tuple[int, int]] = {}
        """Of each pull request or branch: how many deliveries are under way, and the number of the newest."""
        self._relabelled_s: dict[str, float] = {}
        """When we last changed labels of a pull request or issue; the oldest first, none older than payloads count."""
        self._began_s = 0.0
        self._in_flight = 0
        self._parked = 0
        self._room = anyio.Event()
        self._finished: dict[int, tuple[_Handling, str]] = {}
        """Handled, but not yet so in the inbox."""
        self._bell = anyio.Event()
        self._backoff = Backoff(0.5, 60.0)
        self.actors: KeyedActors[Lane, Wake] = KeyedActors(
            "router",
            self._turn,
            self._failed,
            "delivery",
            Limits(concurrency=256, backoff=self._backoff, waited=self._waited),
        )

    async def run(self) -> None:
        """Handle everything the inbox holds and will hold, until cancelled; may be run again then."""
        self._lanes.clear()
        self._newest.clear()
        self._finished.clear()
        self._relabelled_s.clear()
        self._began_s = self._env.clock.now()
        self._in_flight = self._parked = 0
        async with anyio.create_task_group() as group:
            group.start_soon(self.actors.run)
            group.start_soon(self._tell_finished)
            await self._feed()

    @property
    def idle(self) -> bool:
        return self._in_flight == 0

    async def _feed(self) -> None:
        last = 0
        while True:
            for delivery in await self._inbox.pending(last, AT_A_TIME):
                last = delivery.seq
                self._in_flight += 1
                self._share_out(delivery)
            await anyio.lowlevel.checkpoint()  # webhooks that come meanwhile are not to wait for a backlog
            while self._in_flight >= IN_FLIGHT or self._parked >= PARKED:
                self._room = anyio.Event()
                await self._room.wait()
            await self._inbox.wait_new(last)

    def _share_out(self, delivery: Delivery) -> None:
        parsed, plan, outcome = self._plan(delivery)
        self._env.heard(delivery.event, parsed.org)
        lane = webhook_decode.lane_of(delivery.event, parsed, delivery.body) or f"delivery {delivery.guid}"
        handling = _Handling(delivery, parsed, plan, lane)
        if outcome is not None:
            handling.outcomes.append(outcome)
        here, _ = self._newest.get(lane, (0, 0))
        self._newest[lane] = here + 1, delivery.seq
        for name in handling.open or {""}:
            queue = self._lanes.setdefault((lane, name), deque())
            if queue and name in queue[0].waits_since:
                handling.waits_since[name] = anyio.current_time()
            queue.append(handling)
            self.actors.post((lane, name), "delivery")
        self._park(handling)

    def _plan(self, delivery: Delivery) -> tuple[Parsed, Plan, Outcome | None]:
        """Decide who handles a delivery; where that is nobody, the outcome may say why."""
        try:
            parsed = delivery.parsed or webhook_decode.decode(delivery.event, delivery.body, delivery.guid)
        except UserMistake as error:
            log.warning("delivery cannot be read", why=error.text_for_user, **{names.EVENT_GUID: delivery.guid})
            return Parsed(), Plan({}), Outcome(f"unreadable: {error.text_for_user}", failed=True)
        if not self._env.enablement.enabled(parsed.repository_org, parsed.repository_name):
            where = f"{parsed.repository_org}/{parsed.repository_name}"
            return parsed, Plan({}), Outcome(f"{where} is not enabled in this process")
        found = routing.plan(self._snapshot().plugins, self._asked, delivery.event, parsed)
        return parsed, (found if self._forwarder is not None else Plan(found.plugins)), None

    def _reads_for(self, handling: _Handling, name: str) -> Reads:
        """Return what a plugin may read: the plugins of a delivery share it, but whoever tries again reads afresh.

        So does who comes after a change of ours, which may be younger than what was read, or than the payload.
        """
        now_s = anyio.current_time()
        changed_s = self._relabelled_s.get(handling.lane, -math.inf)
        made = handling.reads
        known_to_s = max(now_s - payload.FRESH_S, changed_s, handling.tried_s.get(name, -1.0))
        if made is None or made[1] <= known_to_s:
            made = handling.reads = self._reads(self._known(handling, now_s - changed_s)), now_s
        handling.tried_s[name] = now_s
        return made[0]

    def _known(self, handling: _Handling, unchanged_for_s: float) -> Known:
        """Return what the payload says, where nothing can be newer: another delivery, a change of ours, or of the
        process before this one."""
        assert handling.whole is not None
        delivery, parsed, _ = handling.whole
        newest = self._newest.get(handling.lane, (0, 0))[1] == handling.seq
        if payload.came_late(parsed.events, delivery.received_s):
            return Known(late=True)
        if not newest or unchanged_for_s < payload.FRESH_S or delivery.received_s < self._began_s:
            return payload.NOTHING
        return payload.known(parsed.events, delivery.received_s, self._env.clock.now())

    def _relabelled(self, handling: _Handling) -> None:
        now_s = anyio.current_time()
        self._relabelled_s.pop(handling.lane, None)
        self._relabelled_s[handling.lane] = now_s
        past = itertools.takewhile(lambda item: now_s - item[1] > payload.FRESH_S, self._relabelled_s.items())
        for lane, _ in list(past):
            del self._relabelled_s[lane]

    def _waited(self, seconds: float) -> None:
        self._env.metrics.observe("prow_async_event_age_seconds", seconds, actor="router")

    def _failed(self, lane: Lane, error: Exception, failures: int) -> None:
        handling = self._lanes[lane][0] if self._lanes.get(lane) else None
        guid = {names.EVENT_GUID: handling.guid} if handling is not None else {}
        if isinstance(error, Retry):
            log.warning("delivery will be tried again", lane=lane[0], plugin=urls.shown(lane[1]), why=error.why, **guid)
            return
        self._env.metrics.count("prow_async_actor_restarts_total", actor="router")
        log.error("delivery handling failed", lane=lane[0], failures=failures, exc_info=error, **guid)

    async def _turn(self, lane: Lane, mails: list[Wake]) -> float | None:
        """Handle the lane's deliveries in order. One that must be tried again keeps its place."""
        waiting, name = self._lanes.get(lane), lane[1]
        while waiting:
            handling = waiting[0]
            if name in handling.open:
                try:
                    outcome = await self._one(handling, name)
                except Retry as error:
                    self._relabelled(handling)  # it may have come so far
                    if not self._gives_up(handling, name):
                        self._hold_up(waiting, name)
                        if error.after_s is None:
                            raise
                        self._failed(lane, error, 1)
                        return max(error.after_s, SHORTEST_WAIT_S)
                    outcome = Outcome(
                        f"{urls.shown(name)}: given up after {GIVE_UP_S / 3600:.0f} h: {error.why}", failed=True
                    )
                if outcome.relabelled:
                    self._relabelled(handling)
                handling.outcomes.append(outcome)
                handling.open.discard(name)
                handling.waits_since.pop(name, None)
            if not handling.open:
                await self._finish(handling)
            waiting.popleft()
        self._lanes.pop(lane, None)
        return None

    async def _one(self, handling: _Handling, name: str) -> Outcome:
        if not self._inbox.waits(handling.seq):
            return Outcome(f"{urls.shown(name)}: dropped by hand")
        whole = await self._whole(handling)
        if whole is None:
            return Outcome(f"{urls.shown(name)}: its record cannot be read any more", failed=True)
        delivery, _, plan = whole
        events = plan.plugins.get(name)
        if events is not None:
            reads = self._reads_for(handling, name)
            return await self._sharers.handle(Share(delivery, self._plugins[name], events, reads))
        external = next((one for one in plan.external if one.endpoint == name), None)
        if external is None or self._forwarder is None:
            return Outcome(f"{urls.shown(name)}: not on for this repository any more")
        return await self._forwarder.handle(delivery, external)

    async def _whole(self, handling: _Handling) -> tuple[Delivery, Parsed, Plan] | None:
        """Return a delivery with all that belongs to it, read again when it was parked; None: it is damaged."""
        if handling.whole is None:
            found = await self._inbox.pending(handling.seq - 1, 1)
            if not found or found[0].seq != handling.seq:
                return None
            parsed, plan, _ = self._plan(found[0])
            handling.whole = (found[0], parsed, plan)
            self._parked -= 1
            self._in_flight += 1
            self._room.set()
        return handling.whole

    def _gives_up(self, handling: _Handling, name: str) -> bool:
        now_s = anyio.current_time()
        return now_s - handling.waits_since.setdefault(name, now_s) >= GIVE_UP_S

    def _hold_up(self, queue: deque[_Handling], name: str) -> None:
        """All that stand behind a delivery which waits for another try wait with it."""
        for handling in queue:
            handling.waits_since.setdefault(name, anyio.current_time())
            self._park(handling)

    def _park(self, handling: _Handling) -> None:
        """Let go of a delivery's body while all who are not done with it wait for another try."""
        if handling.whole is not None and handling.open and handling.open <= handling.waits_since.keys():
            handling.whole = handling.reads = None
            self._parked += 1
            self._in_flight -= 1
            self._room.set()

    async def _finish(self, handling: _Handling) -> None:
        """Everybody is done with a delivery. The inbox hears of it with others, soon."""
        note = "; ".join(outcome.note for outcome in handling.outcomes)
        if not self._inbox.waits(handling.seq):
            log.info("delivery dropped by hand", **{names.EVENT_GUID: handling.guid})
            self._leave(handling)
        elif handling.whole is not None and any(outcome.failed for outcome in handling.outcomes):
            await self._inbox.bury(handling.whole[0], note)
            self._env.metrics.count("prow_async_dead_letters_total")
            self._leave(handling)
        else:
            self._finished[handling.seq] = handling, note
            self._bell.set()

    async def _tell_finished(self) -> None:
        """Tell the inbox which deliveries are handled, all at once that came together, until cancelled."""
        failures = 0
        while True:
            if not self._finished:
                self._bell = anyio.Event()
                await self._bell.wait()
            handled = dict(self._finished)
            try:
                await self._inbox.finish_all({seq: note for seq, (_, note) in handled.items()})
            except Retry as error:
                failures += 1
                log.warning("the end of deliveries cannot be written", number=len(handled), why=error.why)
                await anyio.sleep(self._backoff.wait_s(failures))
                continue
            failures = 0
            for seq, (handling, _) in handled.items():
                del self._finished[seq]
                self._leave(handling)

    def _leave(self, handling: _Handling) -> None:
        here, newest = self._newest[handling.lane]
        if here > 1:
            self._newest[handling.lane] = here - 1, newest
        else:
            del self._newest[handling.lane]
        if handling.whole is None:
            self._parked -= 1
        else:
            self._in_flight -= 1
        self._room.set()
