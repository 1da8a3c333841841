"""Looks for lost webhooks in GitHub's delivery logs, at the start and from time to time, and asks for them again."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import anyio
import msgspec
import structlog

from prow_async.actors.executor import Executor
from prow_async.api import actions
from prow_async.api.errors import ProwError, Refused, Retry
from prow_async.api.github import HookDelivery, HookOf
from prow_async.core import recovery
from prow_async.core.recovery import Lost
from prow_async.ports import cause
from prow_async.ports.clock import Clock
from prow_async.ports.config import Snapshot
from prow_async.ports.github import DeliveryLog
from prow_async.ports.metrics import Metrics
from prow_async.runtime.backoff import Backoff

log = structlog.get_logger()
EVERY_S = 300.0
"""On average. It varies, so that two hooks that began together look one after the other: the second one sees in the
log what the first one has asked for."""
ASKS = 200
"""At most so many deliveries are asked for in one round."""
TROUBLES = 3
"""After so many requests in a row that came to nothing, the others wait for the next round."""
PAGES = 100
"""At most so many pages of one log are read in one go; what is left then follows in the next rounds."""
OVERLAP_S = 900.0
"""A round reads back so far before the last one began: deliveries come into the log a little late."""


class Box(Protocol):
    """What recovery asks the inbox."""

    began_s: float
    """When this inbox was first opened."""

    async def known(self, guids: Sequence[str]) -> frozenset[str]:
        """Those of these GUIDs that were accepted in the last 14 days."""

    def hooks_seen(self) -> frozenset[int]:
        """Ids of webhooks deliveries have come from."""


class Env(msgspec.Struct, frozen=True):
    snapshot: Callable[[], Snapshot]
    metrics: Metrics
    clock: Clock
    app: bool = False
    """Whether we are a GitHub App, whose own webhook's log is read instead of those of orgs and repos."""
    hook_url: str = ""
    """Our webhook's address as GitHub knows it; without it the ids that deliveries came with tell our webhooks."""
    alone: bool = False
    """Whether nobody else takes deliveries of our webhooks, neither a second hook nor upstream's."""


class _Part(NamedTuple):
    """A part of a delivery log: from where `cursor` leads, the newest without one, back to an instant."""

    cursor: str
    back_to_s: float


class Recovery:
    """Asks again for what was lost. Its state is rebuilt from the logs."""

    def __init__(self, box: Box, github: DeliveryLog, executor: Executor, env: Env) -> None:
        self._box = box
        self._github = github
        self._executor = executor
        self._env = env
        self._lost: dict[HookOf, dict[str, Lost]] = {}
        self._read_to_s: dict[HookOf, float] = {}
        self._unread: dict[HookOf, list[_Part]] = {}
        """Parts of logs that were too long to be read at once, newest first."""
        self._warned: set[str] = set()
        self._pause = Backoff(EVERY_S * 4 / 3, EVERY_S * 4 / 3)

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            with cause.because(cause.Cause("recovery", "recovery", "sync")):
                await self.round()
            await anyio.sleep(self._pause.wait_s(1))

    async def round(self) -> None:
        """Look at every webhook of ours once. What cannot be read is told once and left for the next round."""
        for hook in await self._hooks():
            try:
                await self._look(hook)
            except ProwError as error:
                self._warn(recovery.described(hook), error)

    def _warn(self, what: str, error: ProwError) -> None:
        """Tell once of missing rights, each time of trouble that may pass."""
        if isinstance(error, Retry):
            log.info("delivery log not read this time", of=what, why=error.why)
        elif what not in self._warned:
            self._warned.add(what)
            log.warning(
                "delivery log cannot be read: webhooks GitHub failed to deliver are not recovered. It takes a GitHub"
                " App, or a token that administers webhooks (admin:org_hook, admin:repo_hook)",
                of=what,
                why=str(error),
            )

    async def _hooks(self) -> list[HookOf]:
        """Find our webhooks: the App's own, else those of the orgs and repos that plugins are on for."""
        if self._env.app:
            return [HookOf()]
        config = self._env.snapshot().plugins
        found: list[HookOf] = []
        seen = self._box.hooks_seen()
        for scope in dict.fromkeys([*config.plugins, *config.external_plugins]):
            org, _, repo = scope.partition("/")
            try:
                hooks = await self._github.hooks(org, repo)
            except ProwError as error:
                self._warn(scope, error)
                continue
            wanted = self._env.hook_url
            found += [HookOf(org, repo, h.id) for h in hooks if recovery.ours(h.id, h.config.url, wanted, seen)]
        return found

    async def _look(self, hook: HookOf) -> None:
        now_s = self._env.clock.now()
        horizon_s = now_s - recovery.LOG_REACHES_S
        entries = await self._entries(hook, max(horizon_s, self._read_to_s.get(hook, 0.0)))
        before = sum(1 for one in entries if recovery.sent_s(one) < self._box.began_s and one.status_code >= 300)
        if before and hook not in self._lost:
            log.info("deliveries failed before this inbox existed; they are left alone", number=before)
        lost = recovery.add(self._lost.get(hook, {}), entries, max(horizon_s, self._box.began_s))
        self._lost[hook], self._read_to_s[hook] = lost, now_s - OVERLAP_S
        known = await self._box.known([*lost])
        decided = recovery.decide(lost, known, now_s, ASKS, self._env.alone)
        self._lost[hook] = decided.lost
        self._count("recovered", len(decided.recovered))
        self._count("given up", len(decided.given_up))
        for gone in decided.given_up:
            log.error("webhook lost for good: GitHub does not bring it", event_type=gone.event, guid=gone.guid)
        await self._ask_all(hook, decided.ask)

    async def _ask_all(self, hook: HookOf, wanted: Sequence[Lost]) -> None:
        """Ask for each; those that GitHub could not be asked for stand as before, and come again in the next round."""
        unasked = {one.guid: one for one in wanted}
        troubles = 0
        for one in wanted:
            try:
                await self._ask(hook, one)
                del unasked[one.guid]
                troubles = 0
            except ProwError as error:
                log.info("webhook not asked for this time", guid=one.guid, why=str(error))
                troubles += 1
                if troubles == TROUBLES:
                    break
        self._lost[hook].update(unasked)

    async def _ask(self, hook: HookOf, one: Lost) -> None:
        why = f"{one.event} was sent {one.tries} times and is not here"
        action = actions.RedeliverHook(hook=hook, delivery_id=one.delivery_id, why=why)
        log.info("asking for a webhook again", of=recovery.described(hook), event_type=one.event, guid=one.guid)
        try:
            await self._executor.perform(action, one.guid)
            self._count("asked")
        except Refused as error:
            self._count("refused")
            log.warning("webhook is not sent again", guid=one.guid, why=error.why)

    async def _entries(self, hook: HookOf, back_to_s: float) -> list[HookDelivery]:
        """Read the log back to an instant, and go on with a part of it that was left over before."""
        unread = self._unread.get(hook, [])
        found: list[HookDelivery] = []
        left: list[_Part] = []
        for part in (_Part("", back_to_s), *unread[:1]):
            entries, cursor = await self._read(hook, part)
            found += entries
            if cursor:
                left.append(_Part(cursor, part.back_to_s))
                log.info("delivery log longer than is read at once", of=recovery.described(hook), read=len(entries))
        self._unread[hook] = [*left, *unread[1:]]
        return found

    async def _read(self, hook: HookOf, part: _Part) -> tuple[list[HookDelivery], str]:
        """Read a part of a log, newest first; return where to go on, empty when all of it has been read."""
        found: list[HookDelivery] = []
        cursor = part.cursor
        for _ in range(PAGES):
            page = await self._github.hook_deliveries(hook, cursor)
            found += page.deliveries
            cursor = page.cursor
            if page.deliveries and recovery.sent_s(page.deliveries[-1]) < part.back_to_s:
                return found, ""
            if not cursor:
                break
        return found, cursor

    def _count(self, result: str, by: int = 1) -> None:
        if by:
            self._env.metrics.count("prow_async_recovered_deliveries_total", float(by), result=result)
