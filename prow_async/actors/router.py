"""From the inbox to the plugins, and from their decisions to the executor.

Deliveries of one pull request (or branch) are handled in order, different ones side by side. A plugin's decision is
recorded before its first action is sent; after a crash a recorded decision is continued, never decided again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import anyio
import msgspec
import structlog

from prow_async.actors.executor import Executor
from prow_async.api import actions, names
from prow_async.api.actions import Decision
from prow_async.api.errors import ProwError, Retry, UserMistake
from prow_async.api.explained import Explained, line
from prow_async.core import payload, webhook_decode
from prow_async.core.enablement import Enablement
from prow_async.core.payload import Known
from prow_async.ports import cause as causes
from prow_async.ports.clock import Clock
from prow_async.ports.explained import Decisions
from prow_async.ports.inbox import ActionState, Delivery, Inbox, JournalEntry
from prow_async.ports.metrics import Metrics
from prow_async.ports.plugin import Event, Plugin, Reads
from prow_async.runtime.backoff import Backoff
from prow_async.runtime.keyed import KeyedActors, Limits

log = structlog.get_logger()
Wake = Literal["delivery"]
IN_FLIGHT = 500
PLUGIN_DEADLINE_S = 600.0


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
        reads: Callable[[Known], Reads],
        executor: Executor,
        env: "Env",
    ) -> None:
        metrics = env.metrics
        self._env = env
        self._inbox = inbox
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._reads = reads
        self._executor = executor
        self._metrics = metrics
        self._lanes: dict[str, deque[Delivery]] = {}
        self._notes: dict[int, str] = {}
        """What became of deliveries that are handled, but not yet finished in the inbox."""
        self._in_flight = 0
        self._room = anyio.Event()
        self.actors: KeyedActors[str, Wake] = KeyedActors(
            "router",
            self._turn,
            self._failed,
            "delivery",
            Limits(concurrency=64, backoff=Backoff(0.5, 60.0), waited=self._waited),
        )

    async def run(self) -> None:
        """Handle everything the inbox holds and will hold, until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.actors.run)
            await self._feed()

    @property
    def idle(self) -> bool:
        return self._in_flight == 0

    async def _feed(self) -> None:
        last = 0
        while True:
            for delivery in await self._inbox.pending(last, 100):
                last = delivery.seq
                self._in_flight += 1
                lane = webhook_decode.lane(delivery.event, delivery.body) or f"delivery {delivery.guid}"
                self._lanes.setdefault(lane, deque()).append(delivery)
                self.actors.post(lane, "delivery")
            while self._in_flight >= IN_FLIGHT:
                self._room = anyio.Event()
                await self._room.wait()
            await self._inbox.wait_new(last)

    def _waited(self, seconds: float) -> None:
        self._metrics.observe("prow_async_event_age_seconds", seconds, actor="router")

    def _failed(self, lane: str, error: Exception, failures: int) -> None:
        delivery = self._lanes[lane][0] if self._lanes.get(lane) else None
        guid = {names.EVENT_GUID: delivery.guid} if delivery is not None else {}
        if isinstance(error, Retry):
            log.warning("delivery will be tried again", lane=lane, why=error.why, failures=failures, **guid)
            return
        self._metrics.count("prow_async_actor_restarts_total", actor="router")
        log.error("delivery handling failed", lane=lane, failures=failures, exc_info=error, **guid)

    async def _turn(self, lane: str, mails: list[Wake]) -> float | None:
        """Handle the lane's deliveries in order. One that must be tried again keeps its place."""
        waiting = self._lanes.get(lane)
        while waiting:
            seq = waiting[0].seq
            if seq not in self._notes:
                self._notes[seq] = await self._handle(waiting[0], newest=len(waiting) == 1)
            await self._inbox.finish(seq, self._notes[seq])
            del self._notes[seq]
            waiting.popleft()
            self._in_flight -= 1
            self._room.set()
        self._lanes.pop(lane, None)
        return None

    async def _handle(self, delivery: Delivery, newest: bool) -> str:
        """Let every plugin that wants it handle a delivery; return a note for people. Raises Retry.

        `newest`: no later delivery of the same pull request or branch is waiting, so the payload tells how it stands.
        """
        try:
            parsed = webhook_decode.decode(delivery.event, delivery.body, delivery.guid)
        except UserMistake as error:
            log.warning("delivery cannot be read", why=error.text_for_user, **{names.EVENT_GUID: delivery.guid})
            return f"unreadable: {error.text_for_user}"
        self._env.heard(delivery.event, parsed.org)
        now_s = self._env.clock.now()
        known = payload.known(parsed.events, delivery.received_s, now_s) if newest else payload.NOTHING
        reads = self._reads(known)
        if not self._env.enablement.enabled(parsed.repository_org, parsed.repository_name):
            return f"{parsed.repository_org}/{parsed.repository_name} is not enabled in this process"
        enabled = set(reads.snapshot.plugins.enabled(parsed.org, parsed.repo))
        wanted = {
            name: [event for kind, event in parsed.events if kind in plugin.events]
            for name, plugin in self._plugins.items()
            if name in enabled
        }
        journal = {entry.plugin: entry for entry in await self._inbox.journal(delivery.seq)}
        notes: list[str] = []
        retries: list[Retry] = []
        async with anyio.create_task_group() as group:
            for name, events in wanted.items():
                if events:
                    work = _Work(delivery, self._plugins[name], events, journal.get(name))
                    group.start_soon(self._guarded, work, reads, notes, retries)
        if retries:
            raise retries[0]
        return "; ".join(notes)

    async def _guarded(self, work: "_Work", reads: Reads, notes: list[str], retries: list[Retry]) -> None:
        """One plugin's error boundary: what it raises is counted and told, and stops nobody else."""
        started = anyio.current_time()
        labels = work.labels()
        took_action = "false"
        try:
            with (
                anyio.fail_after(PLUGIN_DEADLINE_S),
                structlog.contextvars.bound_contextvars(**work.guid()),
                causes.because(causes.Cause(work.delivery.guid, work.plugin.name, "status")),
            ):
                decision = await self._run_plugin(work, reads)
            took_action = "true" if decision.actions else "false"
            notes.append(f"{work.plugin.name}: {decision.why}")
        except Retry as error:
            retries.append(error)
        except Exception as error:  # the boundary between plugins; the failure is counted, logged and noted
            self._metrics.count("prow_plugin_handle_errors", took_action=took_action, **labels)
            story = None if isinstance(error, ProwError) else error
            log.error("plugin failed", why=str(error), exc_info=story, plugin=work.plugin.name, **work.guid())
            notes.append(f"{work.plugin.name}: failed: {type(error).__name__}: {error}")
        seconds = anyio.current_time() - started
        self._metrics.observe("prow_plugin_handle_duration_seconds", seconds, took_action=took_action, **labels)

    async def _run_plugin(self, work: "_Work", reads: Reads) -> Decision:
        entry = work.entry
        if entry is None:
            decision = await self._decide(work, reads)
            log.info("decided", plugin=work.plugin.name, why=decision.why, actions=len(decision.actions))
            if not decision.actions:
                return decision
            states: list[ActionState] = ["sent"] * len(decision.actions)
            await self._inbox.decide(work.delivery.seq, work.plugin.name, decision, tuple(states))
            await self._act(work, decision, states, fresh=True)
            return decision
        log.info("continuing a recorded decision", plugin=work.plugin.name)
        await self._act(work, entry.decision, list(entry.states), fresh=False)
        return entry.decision

    async def _decide(self, work: "_Work", reads: Reads) -> Decision:
        """Gather and decide for each event of the delivery; one decision comes of it."""
        whys: list[str] = []
        acts: list[actions.Action] = []
        for event in work.events:
            facts = await work.plugin.gather(reads, event, work.delivery.guid)
            if facts is not None:
                decision = work.plugin.decide(facts)
                self._keep(work, facts, decision)
                whys.append(decision.why)
                acts.extend(decision.actions)
        return Decision(tuple(acts), "; ".join(whys) or "not for this plugin")

    def _keep(self, work: "_Work", facts: object, decision: Decision) -> None:
        """Keep a decision for people who ask why."""
        explains = work.plugin.explains
        if self._env.decisions is None or explains is None:
            return
        kept = explains.keep(facts)
        explained = Explained(
            guid=work.delivery.guid,
            decided_s=self._env.clock.now(),
            plugin=work.plugin.name,
            org=kept.org,
            repo=kept.repo,
            number=kept.number,
            occasion=kept.occasion,
            kind=kept.kind,
            facts=msgspec.Raw(kept.facts),
            why=decision.why,
            outcome=tuple(line(action) for action in decision.actions),
        )
        self._env.decisions.keep(explained)

    async def _act(self, work: "_Work", decision: Decision, states: list[ActionState], fresh: bool) -> None:
        """Perform what is not done yet, in order; ProwJobs that follow one another are created side by side."""
        todo = [i for i, state in enumerate(states) if state in {"planned", "sent"}]
        again: list[Retry] = []
        for batch in _batches(decision.actions, todo):
            async with anyio.create_task_group() as group:
                for index in batch:
                    group.start_soon(self._one, work, decision.actions[index], (index, states, fresh), again)
            if again:
                await self._inbox.mark(work.delivery.seq, work.plugin.name, tuple(states))
                raise again[0]

    async def _one(
        self,
        work: "_Work",
        action: actions.Action,
        place: tuple[int, list[ActionState], bool],
        again: list[Retry],
    ) -> None:
        index, states, fresh = place
        try:
            if fresh or states[index] == "planned":
                await self._executor.perform(action, work.delivery.guid)
            else:
                await self._executor.resume(action, work.delivery.guid, work.delivery.received_s)
            states[index] = "done"
        except Retry as error:
            again.append(error)
        except ProwError as error:
            states[index] = "refused"
            self._metrics.count("prow_plugin_handle_errors", took_action="true", **work.labels())
            kind = type(action).__name__
            log.error("action refused", action=kind, why=str(error), plugin=work.plugin.name)


class Env(msgspec.Struct, frozen=True):
    metrics: Metrics
    clock: Clock
    heard: Callable[[str, str], None]
    """Told of every delivery before it is handled: (event, organization)."""
    enablement: Enablement = Enablement()
    decisions: Decisions | None = None
    """Where decisions are kept for people who ask why; None keeps none."""


class _Work:
    """One plugin's share of one delivery."""

    def __init__(self, delivery: Delivery, plugin: Plugin, events: list[Event], entry: JournalEntry | None) -> None:
        self.delivery = delivery
        self.plugin = plugin
        self.events = events
        self.entry = entry

    def guid(self) -> dict[str, str]:
        return {names.EVENT_GUID: self.delivery.guid}

    def labels(self) -> dict[str, str]:
        action = getattr(self.events[0], "action", "") or "none"
        return {"event_type": self.delivery.event, "action": action, "plugin": self.plugin.name}


def _batches(every: Sequence[actions.Action], todo: Sequence[int]) -> list[list[int]]:
    """Group indexes: neighbouring CreateProwJobs together, everything else alone."""
    batches: list[list[int]] = []
    for index in todo:
        creates = isinstance(every[index], actions.CreateProwJob)
        if creates and batches and isinstance(every[batches[-1][-1]], actions.CreateProwJob):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
