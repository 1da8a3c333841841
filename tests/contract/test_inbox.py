"""The durable inbox: what is accepted is kept until it is finished, once, across restarts."""

from pathlib import Path

import anyio
import pytest

from prow_async.adapters.inbox import durable
from prow_async.adapters.inbox.store import Settings
from prow_async.adapters.metrics import PrometheusMetrics
from prow_async.api import actions
from prow_async.api.actions import Decision
from prow_async.api.errors import CannotStart, Refused, Retry
from prow_async.api.github import Status
from prow_async.api.prowjob import ObjectMeta, ProwJob, ProwJobSpec, Pull, Refs
from prow_async.core.webhook_decode import Parsed
from tests.contract.inbox_parts import (
    HEADERS,
    SMALL,
    SetClock,
    accept,
    body,
    guid,
    inbox,
    pass_through,
    tidied,
    waiting,
)

pytestmark = pytest.mark.anyio
DAY_S = 86400.0
JOB = ProwJob(
    metadata=ObjectMeta(name="a-name", labels={"a": "b"}),
    spec=ProwJobSpec(
        type="presubmit",
        job="unit",
        refs=Refs(org="o", repo="r", pulls=(Pull(number=7, author="a", sha="s"),)),
        pod_spec={"containers": [{"image": "i", "args": ["x", "✓"]}]},
    ),
)
DECISION = Decision(
    (
        actions.CreateProwJob(why="a job", job=JOB),
        actions.PatchProwJob(
            why="state",
            namespace="n",
            name="j",
            patch={"status": {"state": "error", "x": [1, None]}},
            resource_version="7",
        ),
        actions.PostStatus(why="tell", org="o", repo="r", sha="s", status=Status(state="pending", context="ci")),
        actions.CreateComment(why="say", org="o", repo="r", number=7, body="Tëxt ✓\n"),
        actions.AddLabel(why="mark", org="o", repo="r", number=7, label="l"),
    ),
    "because",
)


async def test_a_delivery_comes_back_as_it_came_in_order_and_after_a_restart(tmp_path: Path) -> None:
    clock = SetClock(1234.5)
    async with inbox(tmp_path, clock=clock) as box:
        for number in range(5):
            await accept(box, number)
    async with inbox(tmp_path) as box:
        found = await box.pending(0, 10)
        assert [delivery.guid for delivery in found] == [guid(number) for number in range(5)]
        assert [delivery.seq for delivery in found] == sorted({delivery.seq for delivery in found})
        first = found[0]
        assert (first.event, first.headers, first.body, first.received_s) == ("push", HEADERS, body(0), 1234.5)
        assert [delivery.guid for delivery in await box.pending(found[2].seq, 10)] == [guid(3), guid(4)]
        assert len(await box.pending(0, 2)) == 2
        assert await accept(box, 99) > found[-1].seq


async def test_a_uuid_is_accepted_once_whatever_comes_with_it(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        first = await accept(box, 1)
        again = await box.accept(guid(1).upper(), "other", {}, b"another body")
        assert (again.new, again.seq) == (False, first)
        await box.finish(first)
        assert not (await box.accept(guid(1), "push", {}, b"")).new
        assert await waiting(box) == {}


async def test_a_guid_that_is_no_uuid_is_told_apart_by_its_body(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        for text, expected in ((b"a", True), (b"b", True), (b"a", False)):
            assert (await box.accept("not-a-uuid", "push", {}, text)).new is expected
        assert (await box.accept("another", "push", {}, b"a")).new


async def test_one_delivery_sent_many_times_at_once_is_accepted_once(tmp_path: Path) -> None:
    outcomes: list[tuple[bool, int]] = []

    async def send(box: durable.DurableInbox) -> None:
        found = await box.accept(guid(1), "push", {}, b"x")
        outcomes.append((found.new, found.seq))

    async with inbox(tmp_path) as box:
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(send, box)
        assert sum(new for new, _ in outcomes) == 1
        assert len({seq for _, seq in outcomes}) == 1
        assert len(await waiting(box)) == 1


async def test_a_key_is_kept_for_fourteen_days_and_then_forgotten(tmp_path: Path) -> None:
    """Also when its body and the file it lay in are long gone."""
    clock = SetClock()
    async with inbox(tmp_path, clock=clock) as box:
        await box.finish(await accept(box, 1))
        await pass_through(box, range(100, 1100), 1000)  # enough to use every file of the log several times
    clock.at_s += 14 * DAY_S - 60
    async with inbox(tmp_path, clock=clock) as box:
        assert not (await box.accept(guid(1), "push", {}, b"")).new
    clock.at_s += 120
    async with inbox(tmp_path, clock=clock):
        pass
    async with inbox(tmp_path, clock=clock) as box:
        assert (await box.accept(guid(1), "push", {}, b"")).new


async def test_the_journal_keeps_decisions_and_how_far_they_have_come(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        seq = await accept(box, 1)
        assert await box.journal(seq) == []
        await box.decide(seq, "trigger", DECISION, ("planned",) * 5)
        await box.decide(seq, "lgtm", Decision((), "nothing"), ())
        await box.mark(seq, "trigger", ("done", "done", "sent", "planned", "refused"))
    async with inbox(tmp_path) as box:
        entries = {entry.plugin: entry for entry in await box.journal(seq)}
        assert entries["trigger"].decision == DECISION
        assert entries["trigger"].states == ("done", "done", "sent", "planned", "refused")
        assert entries["lgtm"].decision == Decision((), "nothing")
        await box.decide(seq, "lgtm", DECISION, ("sent",) * 5)
        assert {entry.plugin: entry.states[:1] for entry in await box.journal(seq)} == {
            "trigger": ("done",),
            "lgtm": ("sent",),
        }
        await box.finish(seq)
        assert await box.journal(seq) == []
    async with inbox(tmp_path) as box:
        assert await waiting(box) == {}
        assert await box.journal(seq) == []


async def test_waiting_for_news_ends_with_news_only(tmp_path: Path) -> None:
    """A finished delivery is no news, or a reader would turn in circles after a restart."""
    async with inbox(tmp_path) as box:
        await box.finish(await accept(box, 1))
    async with inbox(tmp_path) as box:
        with anyio.move_on_after(0.02) as scope:
            await box.wait_new(0)
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(box.wait_new, 0)
            await anyio.lowlevel.checkpoint()
            seq = await accept(box, 2)
        await box.wait_new(seq - 1)


async def test_what_became_of_a_delivery_can_be_asked(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        one, two = await accept(box, 1), await accept(box, 2)
        await box.finish(one, "trigger: started 3 jobs")
        await box.finish(two)
        await accept(box, 3)
        asked = [await box.fate(guid(number)) for number in (1, 2, 3, 4)]
        assert asked == ["trigger: started 3 jobs", "handled", "waiting", None]
    async with inbox(tmp_path) as box:
        assert await box.fate(guid(1)) == "trigger: started 3 jobs"


async def test_what_a_body_says_is_kept_for_a_reader_who_follows_close_behind(tmp_path: Path) -> None:
    parsed = Parsed(org="org")
    async with inbox(tmp_path) as box:
        await box.accept(guid(1), "push", {}, b"{}", parsed)
        await box.accept(guid(1), "push", {}, b"{}", Parsed(org="another"))
        await box.accept(guid(2), "push", {}, b"{}")
        assert [delivery.parsed for delivery in await box.pending(0, 10)] == [parsed, None]
    async with inbox(tmp_path) as box:
        assert [delivery.parsed for delivery in await box.pending(0, 10)] == [None, None]


async def test_the_folder_stays_small_while_deliveries_come_and_go(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        await pass_through(box, range(600), 2000)
        await tidied(tmp_path, 5)


async def test_one_that_stays_does_not_keep_the_others_files(tmp_path: Path) -> None:
    """It moves to a younger file with all that was decided about it, and keeps its number and place in order."""
    async with inbox(tmp_path) as box:
        stuck = await accept(box, 1, 3000)
        await box.decide(stuck, "trigger", DECISION, ("planned",) * 5)
        await box.mark(stuck, "trigger", ("done",) * 5)
        await pass_through(box, range(10, 410), 2000)
        newest = await accept(box, 2)
        await tidied(tmp_path, 5)
    async with inbox(tmp_path) as box:
        assert [delivery.seq for delivery in await box.pending(0, 10)] == [stuck, newest]
        assert (await waiting(box))[guid(1)] == body(1, 3000)
        (entry,) = await box.journal(stuck)
        assert (entry.decision, entry.states) == (DECISION, ("done",) * 5)


async def test_a_full_inbox_refuses_and_recovers(tmp_path: Path) -> None:
    settings = Settings(segment_bytes=64 << 10, spares=1, max_waiting=3)
    async with inbox(tmp_path, settings) as box:
        seqs = [await accept(box, number) for number in range(3)]
        with pytest.raises(Retry, match="full: 3 deliveries wait"):
            await box.accept(guid(9), "push", {}, b"")
        await box.finish(seqs[0])
        assert await accept(box, 9)


async def test_a_body_no_file_can_hold_is_refused_for_good(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        with pytest.raises(Refused, match="too big"):
            await box.accept(guid(1), "push", {}, b"x" * SMALL.segment_bytes)
        with pytest.raises(Retry, match="too big"):
            await box.accept(guid(1), "push", {"X": "y" * SMALL.segment_bytes}, b"")
        assert await accept(box, 1)


async def test_the_largest_webhook_fits(tmp_path: Path) -> None:
    async with inbox(tmp_path, Settings(spares=0)) as box:
        largest = b"x" * (25 << 20)
        assert (await box.accept(guid(1), "push", HEADERS, largest)).new
        assert (await waiting(box))[guid(1)] == largest


async def test_one_process_at_a_time(tmp_path: Path) -> None:
    async with inbox(tmp_path):
        with pytest.raises(CannotStart, match=r"used by another process \(pid \d+\)$"):
            async with inbox(tmp_path):
                pass
    async with inbox(tmp_path) as box:
        assert await accept(box, 1)


async def test_a_closed_inbox_takes_nothing(tmp_path: Path) -> None:
    async with inbox(tmp_path) as box:
        await accept(box, 1)
    with pytest.raises(Retry, match="closing"):
        await box.accept(guid(2), "push", {}, b"")


async def test_an_error_inside_comes_out_as_it_is(tmp_path: Path) -> None:
    """A command line prints one line for CannotStart; a group of one would hide it."""
    with pytest.raises(CannotStart, match="port taken"):
        async with inbox(tmp_path):
            raise CannotStart("port taken")
    with pytest.raises(ExceptionGroup):
        async with inbox(tmp_path):
            raise ExceptionGroup("two", [ValueError(), KeyError()])


async def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match=r"inbox folder .*/file/inbox cannot be used: Not a directory"):
        async with inbox(tmp_path / "file" / "inbox"):
            pass


async def test_statistics_and_gauges_tell_how_much_waits_and_since_when(tmp_path: Path) -> None:
    clock, metrics = SetClock(1000.0), PrometheusMetrics()
    async with inbox(tmp_path, clock=clock) as box:
        first = await accept(box, 1)
        clock.at_s = 1010.0
        await accept(box, 2)
        clock.at_s = 1030.0
        metrics.before_scrape(lambda: box.report(metrics))
        metrics.refresh()
        page = metrics.render().decode().splitlines()
        assert "prow_async_inbox_pending 2.0" in page
        assert "prow_async_inbox_oldest_age_seconds 30.0" in page
        await box.finish(first)
        assert (box.statistics().waiting, box.statistics().oldest_received_s) == (1, 1010.0)


async def test_bodies_are_nobody_elses_business(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    async with inbox(folder) as box:
        await accept(box, 1)
        assert folder.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.log"))
