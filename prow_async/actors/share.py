"""One plugin's share of one delivery: gather, decide, record, act.

A decision is recorded before its first action is sent; after a crash a recorded decision is continued, never decided
again. What a plugin raises is counted and told, and stops nobody else.
"""

from collections.abc import Callable, Sequence

import anyio
import msgspec
import structlog

from prow_async.actors.executor import Executor
from prow_async.api import actions, names
from prow_async.api.actions import Decision
from prow_async.api.errors import ProwError, Retry
from prow_async.api.explained import Explained, line
from prow_async.core.enablement import Enablement
from prow_async.ports import cause as causes
from prow_async.ports.clock import Clock
from prow_async.ports.explained import Decisions
from prow_async.ports.forward import Forward
from prow_async.ports.inbox import ActionState, Delivery, Inbox, JournalEntry
from prow_async.ports.metrics import Metrics
from prow_async.ports.plugin import Event, Plugin, Reads
from prow_async.runtime.bound import Bound

log = structlog.get_logger()
AFTER = "/after"
"""Behind a plugin's name: what it decided when it knew what had become of its actions."""
_SIDE_BY_SIDE = (actions.CreateProwJob, actions.UpdateConfigMap)
After = Callable[[Decision, tuple[ActionState, ...]], Decision | None]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a share, in words; `failed` asks for a person's eyes."""

    note: str
    failed: bool = False
    relabelled: bool = False
    """Labels on GitHub may have been changed."""


class Share(msgspec.Struct, frozen=True):
    """What a plugin is to handle: the events of one delivery that it asked for."""

    delivery: Delivery
    plugin: Plugin
    events: tuple[Event, ...]
    reads: Reads

    def guid(self) -> dict[str, str]:
        return {names.EVENT_GUID: self.delivery.guid}

    def labels(self) -> dict[str, str]:
        action = getattr(self.events[0], "action", "") or "none"
        return {"event_type": self.delivery.event, "action": action, "plugin": self.plugin.name}


class Env(msgspec.Struct, frozen=True):
    metrics: Metrics
    clock: Clock
    heard: Callable[[str, str], None]
    """Told of every delivery before it is handled: (event, organization)."""
    enablement: Enablement = Enablement()
    decisions: Decisions | None = None
    """Where decisions are kept for people who ask why; None keeps none."""
    forward: Forward | None = None
    """How external plugins are reached; None where this process serves none."""
    started: Callable[[bytes], None] = lambda raw: None
    """Told of every ProwJob that has been created, as the server stored it."""


class _Entry:
    """A decision that has been recorded, and how far its actions have come."""

    def __init__(self, name: str, decision: Decision, states: list[ActionState]) -> None:
        self.name = name
        self.decision = decision
        self.states = states


class Sharers:
    """Works on shares."""

    def __init__(self, inbox: Inbox, executor: Executor, env: "Env") -> None:
        self._inbox = inbox
        self._executor = executor
        self._env = env
        self._metrics = env.metrics

    async def handle(self, share: Share) -> Outcome:
        """Raises Retry when the plugin says that it may work later; everything else it raises is its failure."""
        started = self._env.clock.monotonic()
        name = share.plugin.name
        took_action = "false"
        try:
            decision = await self._in_time(share)
            took_action = "true" if decision.actions else "false"
            relabelled = any(isinstance(action, actions.AddLabel | actions.RemoveLabel) for action in decision.actions)
            outcome = Outcome(f"{name}: {decision.why}", relabelled=relabelled)
        except Retry:
            raise
        except Exception as error:  # the boundary between plugins; the failure is counted, logged and noted
            self._metrics.count("prow_plugin_handle_errors", took_action=took_action, **share.labels())
            story = None if isinstance(error, ProwError) else error
            why = f"{type(error).__name__}: {error}"
            if isinstance(error, TimeoutError):
                why = f"TimeoutError: cut off after {share.plugin.deadline_s:.0f} s"
            log.error("plugin failed", why=why, exc_info=story, plugin=name, **share.guid())
            outcome = Outcome(f"{name}: failed: {why}", failed=True, relabelled=True)
        seconds = self._env.clock.monotonic() - started
        self._metrics.observe("prow_plugin_handle_duration_seconds", seconds, took_action=took_action, **share.labels())
        return outcome

    async def _in_time(self, share: Share) -> Decision:
        """Raises TimeoutError at the plugin's deadline."""
        with (
            Bound(**share.guid()),
            causes.because(causes.Cause(share.delivery.guid, share.plugin.name, "status")),
            anyio.CancelScope(deadline=anyio.current_time() + share.plugin.deadline_s),
        ):
            return await self._run(share)
        raise TimeoutError

    async def _run(self, share: Share) -> Decision:
        journal = {entry.plugin: entry for entry in await self._inbox.journal(share.delivery.seq)}
        name = share.plugin.name
        if name in journal:
            entry = await self._continue(share, journal[name])
        else:
            entry = await self._record(share, name, await self._decide(share))
            await self._act(share, entry, fresh=True)
        if share.plugin.after is None or not entry.decision.actions:
            return entry.decision
        return await self._react(share, share.plugin.after, entry, journal.get(f"{name}{AFTER}"))

    async def _react(self, share: Share, after: After, first: _Entry, entry: JournalEntry | None) -> Decision:
        """Let the plugin react to what became of its actions; that is a decision of its own, recorded like the first.

        What became of the first is recorded before: whoever continues reacts to the same.
        """
        if entry is not None:
            await self._continue(share, entry)
            return _joined(first.decision, entry.decision)
        states = tuple(first.states)
        await self._inbox.mark(share.delivery.seq, share.plugin.name, states)
        reaction = after(first.decision, states)
        if reaction is None:
            return first.decision
        fresh = await self._record(share, f"{share.plugin.name}{AFTER}", reaction)
        await self._act(share, fresh, fresh=True)
        return _joined(first.decision, reaction)

    async def _record(self, share: Share, name: str, decision: Decision) -> _Entry:
        """Record a decision that has actions, before any is performed."""
        entry = _Entry(name, decision, ["sent"] * len(decision.actions))
        if decision.actions:
            log.info("decided", plugin=name, why=decision.why, actions=len(decision.actions))
            await self._inbox.decide(share.delivery.seq, name, decision, tuple(entry.states))
        return entry

    async def _continue(self, share: Share, entry: JournalEntry) -> _Entry:
        log.info("continuing a recorded decision", plugin=entry.plugin)
        going = _Entry(entry.plugin, entry.decision, list(entry.states))
        await self._act(share, going, fresh=False)
        return going

    async def _decide(self, share: Share) -> Decision:
        """Gather and decide for each event of the delivery; one decision comes of it."""
        whys: list[str] = []
        acts: list[actions.Action] = []
        kept = b""
        for event in share.events:
            facts = await share.plugin.gather(share.reads, event, share.delivery.guid)
            if facts is not None:
                decision = share.plugin.decide(facts)
                self._keep(share, facts, decision)
                whys.append(decision.why)
                acts.extend(decision.actions)
                kept = kept or decision.kept
        return Decision(tuple(acts), "; ".join(whys) or "not for this plugin", kept)

    def _keep(self, share: Share, facts: object, decision: Decision) -> None:
        """Keep a decision for people who ask why."""
        explains = share.plugin.explains
        if self._env.decisions is None or explains is None:
            return
        kept = explains.keep(facts)
        explained = Explained(
            guid=share.delivery.guid,
            decided_s=self._env.clock.now(),
            plugin=share.plugin.name,
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

    async def _act(self, share: Share, entry: _Entry, fresh: bool) -> None:
        """Perform what is not done yet, in order; ProwJobs that follow one another are created side by side.

        So are ConfigMaps of several clusters changed: one that is away holds up its own alone.
        """
        acts, states = entry.decision.actions, entry.states
        todo = [i for i, state in enumerate(states) if state in {"planned", "sent"}]
        again: list[Retry] = []
        for lines in _batches(acts, todo):
            async with anyio.create_task_group() as group:
                for line in lines:
                    group.start_soon(self._line, share, entry, line, fresh, again)
            if again:
                await self._inbox.mark(share.delivery.seq, entry.name, tuple(states))
                raise again[0]

    async def _line(self, share: Share, entry: _Entry, line: list[int], fresh: bool, again: list[Retry]) -> None:
        """Perform one after the other, until one has to be tried again."""
        for index in line:
            try:
                await self._one(share, entry.decision.actions[index], (index, entry.states, fresh))
            except Retry as error:
                again.append(error)
                return

    async def _one(self, share: Share, action: actions.Action, place: tuple[int, list[ActionState], bool]) -> None:
        index, states, fresh = place
        try:
            if fresh or states[index] == "planned":
                stored = await self._executor.perform(action, share.delivery.guid)
            else:
                stored = await self._executor.resume(action, share.delivery.guid, share.delivery.received_s)
            if stored is not None and isinstance(action, actions.CreateProwJob):
                self._env.started(stored)
            states[index] = "done"
        except Retry:
            raise
        except ProwError as error:
            states[index] = "refused"
            self._metrics.count("prow_plugin_handle_errors", took_action="true", **share.labels())
            kind = type(action).__name__
            log.error("action refused", action=kind, why=str(error), plugin=share.plugin.name)


def _joined(first: Decision, then: Decision) -> Decision:
    return Decision((*first.actions, *then.actions), f"{first.why}; {then.why}")


def _batches(every: Sequence[actions.Action], todo: Sequence[int]) -> list[list[list[int]]]:
    """Group indexes into batches that come one after the other, each of lines that go side by side.

    Neighbours whose order says nothing share a batch: ProwJobs, each a line, and ConfigMaps, a line for each cluster.
    """
    batches: list[dict[object, list[int]]] = []
    before: type[actions.Action] | None = None
    for index in todo:
        action = every[index]
        line = action.cluster if isinstance(action, actions.UpdateConfigMap) else index
        kind = type(action)
        if kind is not before or kind not in _SIDE_BY_SIDE:
            batches.append({})
        batches[-1].setdefault(line, []).append(index)
        before = kind
    return [list(batch.values()) for batch in batches]
