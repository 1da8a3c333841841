"""What ports/inbox promises, on the durable inbox and on the one that seeded lives use in its place."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from prow_async.adapters.inbox import durable
from prow_async.api import actions
from prow_async.api.actions import Decision
from prow_async.api.errors import Retry
from prow_async.ports.inbox import Inbox
from tests.contract.inbox_parts import HEADERS, SMALL, SetClock, body, guid
from tests.lives.inbox import MemoryInbox

pytestmark = pytest.mark.anyio
DECISION = Decision(
    (
        actions.CreateComment(why="say", org="o", repo="r", number=7, body="Tëxt ✓\n"),
        actions.AddLabel(why="mark", org="o", repo="r", number=7, label="l"),
    ),
    "because",
)


@pytest.fixture(params=["durable", "memory"])
async def box(request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path) -> AsyncIterator[Inbox]:
    clock = SetClock(1234.5)
    if request.param == "memory":
        yield MemoryInbox(clock)
    else:
        async with durable.opened(tmp_path, clock, SMALL) as opened:
            yield opened


async def _accept(box: Inbox, number: int) -> int:
    accepted = await box.accept(guid(number), "push", HEADERS, body(number))
    assert accepted.new
    return accepted.seq


async def test_deliveries_wait_in_order_until_they_are_finished(box: Inbox) -> None:
    """As they came, from any place on, as many as are wanted; a finished one is gone and its number never returns."""
    seqs = [await _accept(box, number) for number in range(5)]
    assert seqs == sorted(set(seqs))
    found = await box.pending(0, 10)
    assert [delivery.guid for delivery in found] == [guid(number) for number in range(5)]
    first = found[0]
    assert (first.event, first.headers, first.body, first.received_s) == ("push", HEADERS, body(0), 1234.5)
    assert [delivery.seq for delivery in await box.pending(seqs[1], 2)] == seqs[2:4]
    await box.finish(seqs[0], "done")
    assert [delivery.seq for delivery in await box.pending(0, 10)] == seqs[1:]
    assert await _accept(box, 9) > seqs[-1]


async def test_a_delivery_is_known_by_its_guid(box: Inbox) -> None:
    """A UUID whatever comes with it, in any case; anything else together with its body; finished ones too."""
    seq = await _accept(box, 1)
    again = await box.accept(guid(1).upper(), "other", {}, b"another body")
    assert (again.new, again.seq) == (False, seq)
    await box.finish(seq)
    assert not (await box.accept(guid(1), "push", {}, b"")).new
    assert [(await box.accept("no-uuid", "push", {}, text)).new for text in (b"a", b"b", b"a")] == [True, True, False]


async def test_decisions_are_kept_until_the_delivery_is_finished(box: Inbox) -> None:
    """With the states last marked, for each plugin by itself; of a finished delivery nothing more is kept."""
    seq = await _accept(box, 1)
    assert await box.journal(seq) == []
    await box.decide(seq, "trigger", DECISION, ("sent", "sent"))
    await box.decide(seq, "lgtm", Decision((), "nothing"), ())
    await box.mark(seq, "trigger", ("done", "sent"))
    entries = {entry.plugin: entry for entry in await box.journal(seq)}
    assert (entries["trigger"].decision, entries["trigger"].states) == (DECISION, ("done", "sent"))
    assert (entries["lgtm"].decision, entries["lgtm"].states) == (Decision((), "nothing"), ())
    await box.finish(seq)
    await box.decide(seq, "trigger", DECISION, ("sent", "sent"))
    await box.mark(seq, "trigger", ("done", "done"))
    await box.finish(seq)
    assert await box.journal(seq) == []
    assert await box.pending(0, 10) == []


async def test_waiting_ends_with_news(box: Inbox) -> None:
    """At once when there is some already; what is finished is none."""
    await box.finish(await _accept(box, 1))
    async with anyio.create_task_group() as group:
        group.start_soon(box.wait_new, 0)
        await anyio.lowlevel.checkpoint()
        seq = await _accept(box, 2)
    await box.wait_new(seq - 1)
    with anyio.move_on_after(0.02) as scope:
        await box.wait_new(seq)
    assert scope.cancelled_caught


async def test_a_disk_that_fails_or_leaves_doubt_says_retry() -> None:
    """The lives' inbox fails as told: nothing is kept of a write that failed, all of one in doubt."""
    trouble = ""
    box = MemoryInbox(SetClock(), disk=lambda name: trouble)
    trouble = "full"
    with pytest.raises(Retry, match="full"):
        await box.accept(guid(1), "push", {}, b"")
    trouble = "doubt"
    with pytest.raises(Retry, match="did not say"):
        await box.accept(guid(2), "push", {}, b"")
    assert [delivery.guid for delivery in box.waiting] == [guid(2)]
