"""One life from one seed: script, trouble, kills; then trouble stops, everything settles, the worlds are judged."""

import gc
import random
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import anyio
import msgspec
import structlog
import trio
import trio.testing

from prow_async.api import names
from prow_async.apps.engine import Component
from prow_async.ports.inbox import Inbox
from tests.lives import checks, checks_outside
from tests.lives.ice import Freezes
from tests.lives.inbox import Disk, MemoryInbox, Tap
from tests.lives.ledger import Life
from tests.lives.person import Person
from tests.lives.plan import Plan, draw
from tests.lives.post import Post
from tests.lives.process import Deaths, Fittings, Process
from tests.lives.trouble import FOREVER_S
from tests.lives.worlds import Told, Worlds

SETTLES_WITHIN_S = 1800.0
QUIET_S = 320.0
"""Longer than every backoff: what would still happen has happened by then."""
NOTHING_FITTED = Fittings()


class Outcome(msgspec.Struct):
    """How a life went. `trouble` is empty when everything held."""

    seed: int
    kill: int | None = None
    trouble: list[str] = []
    writes: int = 0
    deaths: int = 0
    freezes: int = 0
    jobs: int = 0
    pods: int = 0
    deliveries: int = 0
    virtual_s: float = 0.0
    story: list[str] = []

    @property
    def command(self) -> str:
        kill = "" if self.kill is None else f" --kill {self.kill}"
        return f"python -m tests.lives {self.seed}{kill}"

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed} went wrong; see it with: {self.command}", *self.trouble])


def live(seed: int, kill: int | None = None, fittings: Fittings = NOTHING_FITTED, tell: Told | None = None) -> Outcome:
    """Run one life. `tell` is told everything as it happens."""
    return live_plan(draw(seed, kill), fittings, tell, kill)


@contextmanager
def many() -> Iterator[None]:
    """Let the garbage collector come seldom while many lives are lived: it takes a sixth of the time else."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def live_plan(
    plan: Plan, fittings: Fittings = NOTHING_FITTED, tell: Told | None = None, kill: int | None = None
) -> Outcome:
    """Run the life of a plan, on its own dice all through: the scheduler's, the backoffs' and the worlds'."""
    outcome = Outcome(plan.seed, kill)

    def told(text: str) -> None:
        line = f"{trio.current_time():9.2f}  {text}"
        outcome.story.append(line)
        if tell is not None:
            tell(line)

    with _alone(plan.seed), _logging(told if tell is not None else None):
        whole = _Whole(plan, fittings, told, outcome)
        trio.run(whole.run, clock=trio.testing.MockClock(autojump_threshold=0))
    return outcome


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Put all shared dice on the seed, trio's scheduler included, and give them back as they were."""
    core = trio._core._run
    sorted_before, core._ALLOW_DETERMINISTIC_SCHEDULING = core._ALLOW_DETERMINISTIC_SCHEDULING, True  # type: ignore[misc]  # as trio's own plugin for hypothesis does it
    before, scheduler_before = random.getstate(), core._r.getstate()
    random.seed(seed)
    core._r.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        core._r.setstate(scheduler_before)
        core._ALLOW_DETERMINISTIC_SCHEDULING = sorted_before  # type: ignore[misc]  # as above


@contextmanager
def _logging(told: Told | None) -> Iterator[None]:
    """Send the engine's log to the story, or nowhere."""
    before = structlog.get_config()

    def render(_: object, method: str, event: MutableMapping[str, Any]) -> str:
        if told is None:
            raise structlog.DropEvent
        error = event.pop("exc_info", None)
        words = " ".join(f"{key}={value}" for key, value in sorted(event.items()) if key != "event")
        told(f"      log {method}: {event['event']} {words}")
        if isinstance(error, BaseException):
            told(f"      {type(error).__name__}: {error}")
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, render], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)


class _Whole:
    """The parts of a life under way."""

    def __init__(self, plan: Plan, fittings: Fittings, told: Told, outcome: Outcome) -> None:
        self._plan = plan
        self._fittings = fittings
        self._told = told
        self._outcome = outcome

    async def run(self) -> None:
        plan, told = self._plan, self._told
        self.worlds = Worlds(plan, told)
        self.deaths = Deaths(plan, told)
        self.freezes = Freezes(plan.freezes, told)
        self.processes = [
            Process(seat, components, self.worlds, self.deaths, self._fittings, self._freezes_of(components))
            for seat, components in enumerate(plan.processes)
        ]
        door = next(process for process in self.processes if "hook" in process.components)
        self.memory = MemoryInbox(self.worlds.clock, self._disk(), self._written(door))
        self.inbox: Inbox = self._fittings.inbox(self.memory)
        door.inbox = self.inbox
        self.post = Post(self.worlds, self.inbox, door, told, plan.dice("post"))
        self.person = Person(self.worlds, self.post, told)
        async with anyio.create_task_group() as group:
            self.freezes.tasks = group
            for cluster in self.worlds.clusters.values():
                cluster.node.tasks = group
            for process in self.processes:
                group.start_soon(process.run)
            group.start_soon(self.post.run)
            group.start_soon(self._compact)
            await self.person.run()
            await self._settle()
            self._judge()
            if plan.sweep and not self._outcome.trouble:
                await self._sweep()
            group.cancel_scope.cancel()

    def _freezes_of(self, components: frozenset[Component]) -> Freezes | None:
        return self.freezes if self._plan.processes.count(components) > 1 else None

    def _disk(self) -> Disk:
        dice = self._plan.dice("disk")
        self._disk_share = self._plan.disk

        def trouble(name: str) -> str:
            if dice.random() >= self._disk_share:
                return ""
            return "full" if name == "accept" else dice.choice(["full", "doubt"])

        return trouble

    def _written(self, door: Process) -> Tap:
        async def written(what: str) -> None:
            if door.strikes(what):
                await anyio.sleep(FOREVER_S)

        return written

    async def _compact(self) -> None:
        for at_s in sorted(self._plan.compactions):
            await anyio.sleep(max(0.0, at_s - anyio.current_time()))
            for cluster in self.worlds.clusters.values():
                cluster.world.compact()
            self._told("history compacted")

    async def _settle(self) -> None:
        """Stop all trouble, and wait until nothing is left to do; then some more."""
        self._told("the script is over: no more trouble")
        self.freezes.none()
        self._calm_s = anyio.current_time()
        for process in self.processes:
            process.clear_up()
        self._disk_share = 0.0
        for cluster in self.worlds.clusters.values():
            cluster.node.mischief = 0.0
        self.worlds.config.calm()
        with anyio.move_on_after(SETTLES_WITHIN_S) as waiting:
            while list(self._stuck()):
                await anyio.sleep(10.0)
            self._told("settled")
            await anyio.sleep(QUIET_S)
            while list(self._stuck()):
                await anyio.sleep(10.0)
        if waiting.cancelled_caught:
            self._outcome.trouble += ["not settled:", *self._stuck()]

    def _stuck(self) -> Iterator[str]:
        """Tell what is not finished, as far as the worlds show."""
        if any(not process.up for process in self.processes):
            yield "a process is down"
        if not self.post.at_rest:
            yield f"deliveries not accepted: {self.post.failed()}"
        for delivery in self.memory.waiting:
            yield f"delivery {delivery.guid} ({delivery.event}) waits in the inbox"
        for job in self.worlds.jobs:
            if not job.gone and not (job.complete and _reported(job)):
                yield f"ProwJob {job.name} ({job.spec('job')}) is {job.status('state')}, told {_reports(job)}"
                for process in self.processes:
                    yield from (f"    {line}" for line in process.story(job.name))

    def _judge(self) -> None:
        outcome, worlds = self._outcome, self.worlds
        trespasses = [line for process in self.processes for line in process.trespasses]
        now_s = anyio.current_time()
        evidence = checks.Evidence(worlds, self.memory, self.person, self._calm_s, now_s, trespasses)
        for check in (*checks.ALL, *checks_outside.ALL):
            outcome.trouble += [f"{check.__name__}: {text}" for text in check(evidence)]
        outcome.writes, outcome.deaths, outcome.freezes = (
            self.deaths.writes,
            self.deaths.deaths,
            self.freezes.happened,
        )
        outcome.jobs, outcome.pods = len(worlds.jobs), len(worlds.pods)
        outcome.deliveries, outcome.virtual_s = len(self.memory.handled), anyio.current_time()

    async def _sweep(self) -> None:
        """In the end nothing is left of it all."""
        await anyio.sleep(3600.0)
        left = [thing.name for thing in (*self.worlds.jobs, *self.worlds.pods) if not thing.gone]
        if left:
            self._outcome.trouble.append(f"not swept away after an hour: {left}")


def _reports(job: Life) -> dict[str, str]:
    return dict((job.last.get("status") or {}).get("prev_report_states") or {})


def _reported(job: Life) -> bool:
    state, told = job.status("state"), _reports(job)
    silent = not job.spec("report") or job.spec("type") == "periodic"
    stored = not job.status("build_id") or told.get(names.BLOB_REPORTER) == state
    return stored and (silent or told.get(names.GITHUB_REPORTER) == state)
