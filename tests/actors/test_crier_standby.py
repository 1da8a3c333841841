"""A crier that stands by, or is asked to go: it keeps nothing, leaves nothing unrecorded, and does not linger."""

import anyio

from prow_async.apps import process
from tests.actors.replicas import two
from tests.actors.watched import complete, posted
from tests.actors.worlds import Town, passes, settle, story


@story
async def test_a_standby_keeps_nothing_of_jobs_that_come_and_go() -> None:
    """1. Fifty jobs live and go while it stands by. 2. Nothing waits in its mailboxes."""
    town = Town()
    number, sha = town.open_pull()
    async with two(town, "crier") as (_, second):
        for n in range(50):
            town.kube.put(town.presubmit(f"j{n}", number, sha, job=f"j{n}", context=f"c{n}"))
            await settle()
            complete(town, f"j{n}", "success")
            await settle()
            town.kube.delete_job(f"j{n}")
        await passes(60)
        assert second.engine.crier is not None
        waiting = {family.name: family.statistics()["depth"] for family in second.engine.crier.families}
        assert set(waiting.values()) == {0}, waiting
        assert second.engine.idle


@story
async def test_a_leader_that_is_asked_to_go_records_what_it_told() -> None:
    """1. It told a state that is not recorded yet. 2. It records it, gives the lease up and is done."""
    town = Town()
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        town.kube.put(town.presubmit("a", number, sha))
        await passes(5)
        assert town.kube.job("a").status.prev_report_states == {}
        asked_s = anyio.current_time()
        await first.engine.resign()
        await process.drain(first.engine, 180)
        assert anyio.current_time() - asked_s < 1.0
        assert town.kube.job("a").status.prev_report_states == {"github-reporter": "triggered"}
        await passes(120)
        assert second.leader.leading
        assert posted(town, sha) == 1


@story
async def test_a_leader_that_is_asked_to_go_waits_for_no_record_that_hangs() -> None:
    """1. The API server does not answer the record. 2. The lease is given up all the same, in less than a second."""
    town = Town()
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        town.kube.put(town.presubmit("a", number, sha))
        await passes(5)
        first.kube.out.hold(lambda method, path: "/prowjobs/" in path)
        asked_s = anyio.current_time()
        await first.engine.resign()
        await process.drain(first.engine, 180)
        assert anyio.current_time() - asked_s < 1.0
        await passes(1)
        assert second.leader.leading
