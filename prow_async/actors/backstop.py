"""The last net under lost webhooks: heads of open pull requests that nobody has looked at are looked at.

Where a repository has presubmits, and trigger is on, open pull requests that changed since the last look are compared
with what is known. A head without ProwJob and without a status of ours is handed to the plugins as if it had just been
pushed, under a derived delivery id. A first start only reports: what other systems left undone is not ours to begin.
"""

from collections.abc import Callable
from typing import Protocol

import anyio
import msgspec
import structlog

from prow_async.actors.pull_index import PullIndex
from prow_async.api.config import Config
from prow_async.api.errors import ProwError
from prow_async.api.github import PullRequest, PullRequestEvent, Repo
from prow_async.core import identity, instants, recovery
from prow_async.core.enablement import Enablement
from prow_async.ports import cause
from prow_async.ports.clock import Clock
from prow_async.ports.config import Snapshot
from prow_async.ports.github import Pulls, Repositories, Statuses
from prow_async.ports.inbox import Accepted
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
EVERY_S = 1800.0
SETTLE_S = 120.0
"""A head younger than this, and the first look after a start, wait: webhooks and redeliveries may be on their way."""
OVERLAP_S = 600.0
BACKLOG_S = 3600.0
"""For so long a head waits while the inbox holds deliveries that may be of its push."""
A_MINUTE = 10
"""So many heads are handed on in a minute."""
_EVENT = "pull_request"


class GitHub(Pulls, Repositories, Statuses, Protocol):
    """What is read."""


class Box(Protocol):
    last_before_start_s: float | None
    """When the last delivery before this start was accepted; None where there was none yet."""

    async def accept(self, guid: str, event: str, headers: dict[str, str], body: bytes) -> Accepted: ...

    def oldest_waiting_s(self) -> float | None:
        """When the delivery that has waited longest was accepted; None when none waits."""


class Env(msgspec.Struct, frozen=True):
    snapshot: Callable[[], Snapshot]
    metrics: Metrics
    clock: Clock
    enablement: Enablement
    installation: str
    a_minute: int = A_MINUTE


class Backstop:
    """Looks at heads nobody told us of."""

    def __init__(self, box: Box, github: GitHub, pulls: PullIndex, env: Env) -> None:
        self._box = box
        self._github = github
        self._pulls = pulls
        self._env = env
        self._since_s = box.last_before_start_s
        """Changes since then are looked at; None: this is a first start, everything is, and only reported."""
        self._left: set[str] = set()
        """Heads that a first start has reported: whatever else is said about them, nobody has pushed them since."""

    async def run(self) -> None:
        """Look from time to time, until cancelled."""
        await anyio.sleep(SETTLE_S)
        while True:
            with cause.because(cause.Cause("backstop", "backstop", "sync")):
                await self.round()
            await anyio.sleep(EVERY_S)

    async def round(self) -> None:
        """Look once at every repository. One that cannot be read is told of, and looked at again from there."""
        complete = True
        told_to_s = self._told_to_s()
        snapshot = self._env.snapshot()
        for full_name in sorted(snapshot.config.presubmits):
            org, _, repo = full_name.partition("/")
            if "trigger" not in snapshot.plugins.enabled(org, repo) or not self._env.enablement.enabled(org, repo):
                continue
            try:
                await self._look(org, repo, snapshot.config, told_to_s - SETTLE_S)
            except ProwError as error:
                complete = False
                log.warning("open pull requests not compared", repo=full_name, why=str(error))
        if complete:
            self._since_s = told_to_s

    def _told_to_s(self) -> float:
        """Return up to when the deliveries that have come are handled: what waits in the inbox may tell of a push."""
        now_s, oldest_s = self._env.clock.now(), self._box.oldest_waiting_s()
        return now_s if oldest_s is None else min(now_s, max(oldest_s, now_s - BACKLOG_S))

    async def _look(self, org: str, repo: str, config: Config, to_s: float) -> None:
        """Look at what was changed up to an instant; what was later is for the next round."""
        contexts = frozenset(
            job.context for job in config.presubmits[f"{org}/{repo}"] if not job.skip_report and job.context
        )
        since_s = 0.0 if self._since_s is None else self._since_s - OVERLAP_S
        for pull in await self._github.open_pulls(org, repo, since_s):
            if pull.updated_at and instants.seconds(pull.updated_at) > to_s:
                continue
            statuses = await self._github.combined_status(org, repo, pull.head.sha)
            shas = {p.sha for job in self._pulls.jobs_of(org, repo, pull.number) for p in job.pulls}
            head = recovery.Head(pull, frozenset(status.context for status in statuses), frozenset(shas))
            if not recovery.unseen(head, contexts) or _key(org, repo, pull) in self._left:
                continue
            if self._since_s is None:
                log.info(
                    "nobody has looked at this head; first start, so it is left", repo=f"{org}/{repo}", **_of(pull)
                )
                self._env.metrics.count("prow_async_backstop_heads_total", result="reported")
                self._left.add(_key(org, repo, pull))
                continue
            now = await self._github.pull(org, repo, pull.number)  # those before it may have taken long
            if now.state == "open" and now.head.sha == pull.head.sha:
                await self._hand_on(org, repo, now)

    async def _hand_on(self, org: str, repo: str, pull: PullRequest) -> None:
        key = _key(org, repo, pull)
        guid = identity.name_for(self._env.installation, "backstop", f"{org}/{repo}", "delivery", "", key)
        repository = pull.base.repo or Repo()
        event = PullRequestEvent("synchronize", pull.number, pull, repository, None, pull.user)
        headers = {"X-GitHub-Event": _EVENT, "X-GitHub-Delivery": guid, "X-Prow-Async-Cause": "backstop"}
        accepted = await self._box.accept(guid, _EVENT, headers, msgspec.json.encode(event))
        if accepted.new:
            log.warning("a push nobody told us of; handled now", repo=f"{org}/{repo}", guid=guid, **_of(pull))
            self._env.metrics.count("prow_async_backstop_heads_total", result="handled")
            await anyio.sleep(60.0 / self._env.a_minute)


def _key(org: str, repo: str, pull: PullRequest) -> str:
    return f"{org}/{repo}#{pull.number}@{pull.head.sha}"


def _of(pull: PullRequest) -> dict[str, object]:
    return {"number": pull.number, "sha": pull.head.sha}
