"""Periodics: started when due, once, by however many tickers; and never lost to a failed write or a restart."""

from typing import Any

import anyio
import pytest

from prow_async.api import names
from prow_async.api.config import Config, Horologium
from prow_async.api.jobconfig import Periodic, Retry
from prow_async.core import instants
from prow_async.sandbox.faults import Fault
from tests.actors.script import DROP
from tests.actors.worlds import JOBS, POD_SPEC, Town, passes, settle, story

Json = dict[str, Any]


def periodic(name: str = "nightly", **more: Any) -> Periodic:
    return Periodic(name=name, agent="kubernetes", cluster="default", spec=POD_SPEC, **more)


def town_of(*periodics: Periodic) -> Town:
    return Town(Config(periodics=periodics, horologium=Horologium(tick_interval_s=60.0)))


def started(town: Town) -> list[str]:
    """Return when runs were started, oldest first."""
    return sorted((job.status.start_time or "")[11:] for job in town.kube.all_jobs())


def end(town: Town, state: str = "success") -> None:
    """Let every run that goes on end."""
    for job in town.kube.all_jobs():
        if not job.complete:
            at = instants.rfc3339(town.clock.now())
            town.kube.set_status(job.metadata.name, state=state, completionTime=at)


@story
async def test_an_interval_starts_at_once_and_then_from_start_to_start() -> None:
    """1. Never run: now. 2. While it runs: nothing. 3. Ended: the next one interval after the last start."""
    town = town_of(periodic(interval="10m", labels={"team": "a"}, annotations={"note": "b"}))
    async with town.engine("horologium"):
        (job,) = town.kube.all_jobs()
        assert (job.spec.type, job.spec.job, job.status.state) == ("periodic", "nightly", "triggered")
        assert (job.metadata.namespace, job.metadata.labels["team"]) == (JOBS, "a")
        assert job.metadata.annotations["note"] == "b"
        assert job.metadata.annotations[names.CAUSE] == "horologium: it has never run"
        await passes(1200)
        assert len(town.kube.all_jobs()) == 1
        end(town)
        await passes(60)
        assert started(town) == ["03:00:00Z", "03:21:00Z"]
        end(town)
        await passes(661)
        assert started(town)[2:] == ["03:32:00Z"]


@story
async def test_a_minimum_interval_counts_from_the_end() -> None:
    """1. Never run: now. 2. It ends after a while. 3. The next comes one interval after that."""
    town = town_of(periodic(minimum_interval="10m"))
    async with town.engine("horologium"):
        await passes(301)
        end(town)
        await passes(600)
        assert len(town.kube.all_jobs()) == 1
        await passes(60)
        assert started(town) == ["03:00:00Z", "03:16:00Z"]


@pytest.mark.slow
@story
async def test_a_cron_slot() -> None:
    """1. Not due at the start. 2. At its slot: one run, named after the slot. 3. Not again before the next."""
    town = town_of(periodic(cron="10 * * * *"))
    async with town.engine("horologium"):
        await passes(599)
        assert town.kube.all_jobs() == []
        await passes(120)
        (job,) = town.kube.all_jobs()
        assert "03:10:00Z" in job.metadata.annotations[names.CAUSE]
        end(town)
        await passes(3600)
        assert started(town) == ["03:10:00Z", "04:10:00Z"]


@story
async def test_a_cron_slot_with_two_tickers() -> None:
    """1. Two processes tick a little apart. 2. A slot comes. 3. One run, and nobody calls it an error."""
    town = town_of(periodic(cron="10 * * * *"), periodic("often", interval="10m"))
    async with town.engine("horologium"):
        await passes(7)
        async with town.engine("horologium"):
            await passes(700)
    assert sorted(job.spec.job for job in town.kube.all_jobs()) == ["nightly", "often"]
    assert town.metrics.total("prow_async_executor_actions_total", outcome="refused") == 0


@story
async def test_blind_tickers_at_one_moment() -> None:
    """1. Two tickers do not see each other's run in time. 2. Both create it, under one name. 3. One run."""
    town = town_of(periodic(interval="10m"))
    town.kube.faults.fail("POST", "/prowjobs", DROP, times=1, done=True)
    async with town.engine("horologium"), town.engine("horologium"):
        await passes(5)
    assert len(town.kube.all_jobs()) == 1


@story
async def test_a_failure_keeps_the_slot_due() -> None:
    """1. The slot comes while the API server takes no writes. 2. Some ticks later it does. 3. The slot's run starts."""
    town = town_of(periodic(cron="10 * * * *"))
    async with town.engine("horologium"):
        await passes(590)
        town.kube.faults.fail("POST", "/prowjobs", times=-1)
        await passes(180)
        assert town.kube.all_jobs() == []
        town.kube.faults.heal()
        await passes(70)
        (job,) = town.kube.all_jobs()
        assert "03:10:00Z" in job.metadata.annotations[names.CAUSE]


@story
async def test_a_run_from_a_clock_that_is_ahead() -> None:
    """1. A run's start time is still to come when it ends. 2. Those after it start each once, as long as ever after."""
    town = town_of(periodic(minimum_interval="2m"))
    town.kube.put(town.presubmit("ahead", type="periodic", job="nightly", refs=None))
    town.kube.set_status("ahead", startTime=instants.rfc3339(town.clock.now() + 400))
    end(town)
    async with town.engine("horologium"):
        for _ in range(12):
            await passes(61)
            end(town)
    assert len(town.kube.all_jobs()) == 5


@story
async def test_a_slot_that_is_none_keeps_no_periodic_from_running() -> None:
    """1. Runs, and a configuration, name slots that are none, or to come. 2. Everybody's runs start all the same."""
    mistaken = periodic("mistaken", cron="10 * * * *", annotations={names.SLOT: "x"}, retry=Retry(False, 1, "1m"))
    town = town_of(mistaken, periodic("other", interval="10m"))
    for name, slot in (("soon", "soon"), ("later", "2999-01-01T00:00:00Z")):
        town.kube.put(town.presubmit(name, type="periodic", job="mistaken", refs=None))
        town.kube.patch(name, {"metadata": {"annotations": {names.SLOT: slot}}})
    end(town)
    async with town.engine("horologium"):
        await passes(700)
        end(town, "failure")
        await passes(700)
        end(town)
        await passes(3600)
    slots = [job.metadata.annotations.get(names.SLOT, "") for job in town.kube.all_jobs() if job.spec.job == "mistaken"]
    assert sorted(slots) == ["", "2026-01-02T03:10:00Z", "2026-01-02T04:10:00Z", "2999-01-01T00:00:00Z", "soon"]
    assert len([job for job in town.kube.all_jobs() if job.spec.job == "other"]) == 3


@story
async def test_a_refusal_keeps_the_slot_due() -> None:
    """1. At the slot the API server lets nobody create. 2. Somebody mends that. 3. The slot's run starts, late."""
    town = town_of(periodic(cron="10 * * * *"))
    async with town.engine("horologium"):
        await passes(590)
        town.kube.faults.fail("POST", "/prowjobs", Fault("answer", status=403), times=-1)
        await passes(180)
        town.kube.faults.heal()
        await passes(600)
        (job,) = town.kube.all_jobs()
        assert "03:10:00Z" in job.metadata.annotations[names.CAUSE]


@story
async def test_an_interval_of_nothing_does_not_make_it_spin() -> None:
    town = Town(Config(horologium=Horologium(tick_interval_s=0.0)))
    async with town.engine("horologium"):
        await passes(5)


@story
async def test_one_that_cannot_start_does_not_hold_the_others() -> None:
    """1. The API server refuses one periodic for good. 2. Every other starts."""
    town = town_of(periodic("bad", interval="10m", labels={"not a key!": "x"}), periodic("good", interval="10m"))
    async with town.engine("horologium"):
        assert [job.spec.job for job in town.kube.all_jobs()] == ["good"]
        await passes(300)
        assert [job.spec.job for job in town.kube.all_jobs()] == ["good"]


@story
async def test_restarts_start_nothing_twice() -> None:
    """1. Killed right after the creation. 2. The next process sees the run, or makes it under the same name."""
    town = town_of(periodic(interval="10m"), periodic("hourly", cron="@hourly"))
    town.kube.faults.stop_after_write(1)
    with anyio.CancelScope() as life:
        async with town.engine("horologium"):
            await town.kube.faults.stopped.wait()
            life.cancel()
    town.kube.faults.renew()
    for _ in range(3):
        async with town.engine("horologium"):
            await passes(30)
    assert [job.spec.job for job in town.kube.all_jobs()] == ["nightly"]


@story
async def test_a_slot_missed_by_a_restart() -> None:
    """1. A run every hour; the process dies before the next slot. 2. It is back a little after. 3. That slot runs."""
    town = town_of(periodic(cron="10 * * * *"))
    async with town.engine("horologium"):
        await passes(660)
        end(town)
    await passes(3600)
    async with town.engine("horologium"):
        await passes(1)
        assert len(started(town)) == 2


@story
async def test_retries_of_a_failed_run() -> None:
    """1. A run fails. 2. It is retried before its time, counted on its label, at most so often. 3. Then no more."""
    town = town_of(periodic(interval="10h", retry=Retry(attempts=2, interval="5m")))
    async with town.engine("horologium"):
        for _ in range(4):
            await passes(400)
            end(town, "failure")
        labels = [job.metadata.labels.get(names.RERUN_LABEL) for job in town.kube.all_jobs()]
        assert sorted(labels, key=str) == ["1", "2", None]


@story
async def test_a_new_configuration() -> None:
    """1. A periodic is added. 2. The next tick starts it. 3. One taken out starts no more."""
    town = town_of(periodic("old", interval="2m"))
    async with town.engine("horologium"):
        town.config.change(periodics=(periodic("new", interval="2m"),))
        await passes(61)
        end(town)
        await passes(600)
        assert sorted({job.spec.job for job in town.kube.all_jobs()}) == ["new", "old"]
        assert sum(job.spec.job == "old" for job in town.kube.all_jobs()) == 1


@story
async def test_dry_run() -> None:
    """A ticker on dry run says what it would start, and starts nothing."""
    town = town_of(periodic(interval="2m"))
    async with town.engine("horologium", dry_run=True):
        await passes(600)
        await settle()
        assert town.kube.faults.writes() == []
