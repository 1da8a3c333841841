"""Weeks of production's periodics on virtual time, and an account of every slot."""

import random
from collections import defaultdict
from pathlib import Path

import anyio
import msgspec
import pytest

from prow_async.actors.reflector import Reflector
from prow_async.actors.store import Change, Store
from prow_async.adapters.kube.collection import PROWJOBS, KubeCollection
from prow_async.api import names
from prow_async.api.config import Config, Horologium, Sinker
from prow_async.api.jobconfig import Periodic
from prow_async.api.views import JobView
from prow_async.apps.engine import Engine
from prow_async.core import config_load, cron, cron_slots, durations, instants, jobview
from prow_async.sandbox.kube import direct as kube_direct
from tests.actors.script import DROP
from tests.actors.worlds import JOBS, POD_SPEC, START_S, Town, story

CONFIG = Path(__file__).parents[3] / "shared" / "real" / "prow-config" / "config"
DAY = 86_400.0
TICK_S = 60.0
SLACK_S = 2 * TICK_S
WINDOW_S = 600.0
RUNS_S = (30.0, 2400.0)
POLICIES: tuple[cron_slots.Missed, ...] = ("skip", "latest", "all")
needs_production = pytest.mark.skipif(not CONFIG.is_dir(), reason=f"no production configuration at {CONFIG}")


def periodics() -> list[Periodic]:
    """Return production's periodics with light pods; policies and jitter are dealt out in turn."""

    def source(path: Path) -> config_load.SourceFile:
        return config_load.SourceFile(str(path), path.read_bytes())

    files = [source(path) for path in sorted((CONFIG / "jobs").rglob("*.yaml"))]
    found = config_load.load(source(CONFIG / "prow" / "config.yaml"), files).config.periodics
    dealt = []
    for number, one in enumerate(found):
        said = {names.MISSED_SLOTS: POLICIES[number % 3], names.JITTER: ("0s", "7m")[number // 3 % 2]}
        said |= {names.MISSED_SLOTS_WINDOW: "720h"} if number % 3 == 2 else {}
        light = {"spec": POD_SPEC, "decoration_config": None, "extra_refs": (), "labels": {}, "annotations": said}
        dealt.append(msgspec.structs.replace(one, **light))
    return dealt


class Month:
    """The world around the tickers, and what it saw."""

    def __init__(self, town: Town, dice: random.Random) -> None:
        self.town = town
        self.dice = dice
        self.runs: dict[str, list[tuple[float, float, JobView]]] = defaultdict(list)
        """By periodic, in order of creation: when each run was made, when it ends, and what it is."""
        self.seen: set[str] = set()
        self.twice: list[str] = []
        self.up: list[tuple[float, float]] = []
        """When a ticker was up."""

    async def play(self) -> None:
        """Be the controller and the kubelets: note every ProwJob once, and let it end after a while."""
        async with anyio.create_task_group() as group:

            def changed(change: Change[JobView]) -> None:
                if change.old is None and change.new is not None:
                    ends_s = self.dice.uniform(*RUNS_S)
                    self._note(change.new, ends_s)
                    group.start_soon(self._end, change.name, ends_s)

            store: Store[JobView] = Store()
            store.subscribe(changed)
            source = KubeCollection(
                kube_direct.DirectTransport(self.town.kube.world, self.town.clock), "", PROWJOBS, JOBS
            )
            await Reflector("prowjobs", source, jobview.read, store, self.town.metrics, lambda bad: None).run()

    def _note(self, job: JobView, ends_s: float) -> None:
        if job.name in self.seen:
            self.twice.append(job.name)
        self.seen.add(job.name)
        now_s = self.town.clock.now()
        self.runs[job.job].append((now_s, now_s + ends_s, job))

    async def _end(self, name: str, after_s: float) -> None:
        await anyio.sleep(after_s)
        at = instants.rfc3339(self.town.clock.now())
        state = "failure" if self.dice.random() < 0.1 else "success"
        self.town.kube.set_status(name, state=state, completionTime=at)

    async def ticker(self, aligned: bool) -> None:
        """Be up for hours and down for minutes, again and again. Aligned ones tick at the very same moments, so that
        each decides before it could know what the other does.
        """
        while True:
            if aligned:
                await anyio.sleep(-self.town.clock.now() % TICK_S)
            since_s = self.town.clock.now()
            if self.dice.random() < 0.2:  # an answer gets lost on the way
                self.town.kube.faults.fail("POST", "/prowjobs", DROP, done=self.dice.random() < 0.5)
            try:
                with anyio.move_on_after(self.dice.expovariate(1 / (8 * 3600))):
                    await self._one_ticker()
            finally:
                self.up.append((since_s, self.town.clock.now()))
            await anyio.sleep(self.dice.choice([1, 30, 300, 3000]))

    async def _one_ticker(self) -> None:
        """Be an engine with nothing but what is under test: its gauges would take most of a month's time."""
        engine = Engine(self.town.parts("horologium"))
        assert engine.horologium is not None
        async with anyio.create_task_group() as group:
            for service in engine.watches().values():
                group.start_soon(service)
            group.start_soon(engine.horologium.run)

    async def live(self, days: float, outages: int) -> None:
        """Let the time pass. In an outage every ticker is gone for up to half a day."""
        for number in range(outages + 1):
            until_s = START_S + days * DAY * (number + 1) / (outages + 1)
            async with anyio.create_task_group() as group:
                for aligned in (True, True, False):
                    group.start_soon(self.ticker, aligned)
                await anyio.sleep(until_s - self.town.clock.now())
                group.cancel_scope.cancel()
            if number < outages:
                await anyio.sleep(self.dice.uniform(60, DAY / 2))

    def up_from(self, at_s: float) -> float | None:
        """Return the first moment from `at_s` on at which one ticker was up, and stayed so for SLACK_S."""
        found = [max(since_s, at_s) for since_s, until_s in self.up if until_s - max(since_s, at_s) >= SLACK_S]
        return min(found, default=None)

    def watched(self, from_s: float, to_s: float) -> bool:
        """Tell whether one ticker was up all the time."""
        return any(since_s <= from_s and to_s <= until_s for since_s, until_s in self.up)

    def anybody_up(self, from_s: float, to_s: float) -> bool:
        return any(since_s <= to_s and from_s <= until_s for since_s, until_s in self.up)


class Account:
    """One periodic's slots and runs, and whether they fit together."""

    def __init__(self, month: Month, periodic: Periodic, end_s: float) -> None:
        self.month = month
        self.periodic = periodic
        self.end_s = end_s
        self.runs = month.runs[periodic.name]
        self.rules, wrong = cron_slots.rules_of(periodic, cron_slots.Rules())
        assert not wrong
        self.trouble: list[str] = []
        self.owed = 0

    def say(self, text: str) -> None:
        self.trouble.append(f"{self.periodic.name} ({self.rules.missed}): {text}")

    def settle(self) -> None:
        schedule = cron.parse(self.periodic.cron) if self.periodic.cron else None
        if schedule is not None and not schedule.every_s:
            self._slots(schedule)
        elif self.periodic.minimum_interval:
            self._intervals(durations.parse_s(self.periodic.minimum_interval), from_end=True)
        elif schedule is not None:
            self._intervals(schedule.every_s, from_end=False)
        else:
            self._intervals(durations.parse_s(self.periodic.interval), from_end=False)

    def _slots(self, schedule: cron.Schedule) -> None:
        later_s = cron_slots.delay_s(self.periodic.name, self.rules)
        ran = [instants.seconds(job.slot) for _, _, job in self.runs]
        if len(set(ran)) != len(ran) or ran != sorted(ran):
            self.say("a slot ran twice, or out of order")
        dues, at_s = [], cron.next_after(schedule, START_S - later_s)
        while at_s is not None and at_s + later_s < self.end_s - SLACK_S:
            dues.append(at_s + later_s)
            at_s = cron.next_after(schedule, at_s)
        made = {slot_s + later_s: made_s for slot_s, (made_s, _, _) in zip(ran, self.runs, strict=True)}
        for due_s, made_s in made.items():
            if (due_s not in dues and due_s < self.end_s - SLACK_S) or made_s < due_s:
                self.say(f"ran for {due_s}, which is no slot, or too early")
        for due_s, next_s in zip(dues, [*dues, self.end_s][1:], strict=True):
            self._slot(due_s, next_s, made)

    def _slot(self, due_s: float, next_s: float, made: dict[float, float]) -> None:
        up_s = self.month.up_from(due_s)
        if self.rules.missed == "skip" and due_s in made and not self.month.anybody_up(due_s, due_s + SLACK_S):
            self.say(f"{due_s} ran although nobody looked")
        if self.rules.missed == "all":
            earlier = [run for run in self.runs if run[0] < due_s]
            wanted = bool(earlier) and self._free_before_end(due_s)
        elif self.rules.missed == "skip":
            wanted = self.month.watched(due_s - SLACK_S, due_s + SLACK_S) and self._idle(due_s, due_s + SLACK_S)
        else:
            ran_before = bool(self.runs) and self.runs[0][0] < due_s
            wanted = (
                ran_before
                and up_s is not None
                and up_s - due_s < WINDOW_S - SLACK_S
                and next_s > up_s + SLACK_S
                and self._idle(due_s, up_s + SLACK_S)
            )
        self.owed += wanted
        if wanted and due_s not in made:
            self.say(f"missed {instants.rfc3339(due_s)}")

    def _free_before_end(self, due_s: float) -> bool:
        """Tell whether there was time for this slot after all that came before it."""
        last = max((ends_s for _, ends_s, _ in self.runs), default=due_s)
        up_s = self.month.up_from(max(due_s, last))
        return up_s is not None and up_s + SLACK_S < self.end_s

    def _idle(self, from_s: float, to_s: float) -> bool:
        """Tell whether no run went on, but for one that began in this time: for it we ask."""
        return not any(made_s < from_s and ends_s + 1 >= from_s for made_s, ends_s, _ in self.runs)

    def _intervals(self, interval_s: float, from_end: bool) -> None:
        for (made_s, ends_s, _), (next_s, _, _) in zip(self.runs, self.runs[1:], strict=False):
            due_s = ends_s + interval_s if from_end else max(made_s + interval_s, ends_s)
            up_s = self.month.up_from(due_s)
            self.owed += 1
            if next_s < due_s - 1:
                self.say(f"ran at {next_s}, due at {due_s}")
            if up_s is not None and next_s > up_s + SLACK_S:
                self.say(f"due at {due_s}, ran only at {next_s}")
        if not self.runs:
            self.say("never ran")


@story
async def live(seed: int, days: float, outages: int, owed: int) -> None:
    """Live so many days with three tickers that die and come back, outages of up to half a day, and lost answers. No
    name may be made twice, no slot run twice, none missed that its policy owes; and at least `owed` must be owed.
    """
    jobs = periodics()
    town = Town(Config(periodics=tuple(jobs), horologium=Horologium(), sinker=Sinker(max_prowjob_age_s=1.5 * DAY)))
    month = Month(town, random.Random(seed))
    async with anyio.create_task_group() as group:
        group.start_soon(month.play)
        async with town.engine("sinker", loop_lag=False):
            await month.live(days, outages)
        group.cancel_scope.cancel()
    assert not month.twice, month.twice
    accounts = [Account(month, periodic, town.clock.now()) for periodic in jobs]
    for account in accounts:
        account.settle()
    trouble = [line for account in accounts for line in account.trouble]
    assert not trouble, "\n".join(trouble[:50])
    assert sum(account.owed for account in accounts) >= owed
