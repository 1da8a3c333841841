"""Webhooks that come late, behind newer ones of the same pull request: asked for again, replayed, or held up."""

from pathlib import Path

from prow_async.sandbox.github.outbox import Delivery
from tests.actors import inbox as inboxes
from tests.actors.inbox import StoreInbox
from tests.actors.test_router import ORG, REPO, UNIT, deliver, hook, town_with
from tests.actors.worlds import Town, passes, story

LATE_S = 300


def next_of(town: Town) -> Delivery:
    """Take the next webhook off GitHub's hands."""
    (hook_id,) = town.github.outbox.hooks_waiting()
    found = town.github.outbox.take(hook_id)
    assert found is not None
    return found


async def arrives(inbox: StoreInbox, delivery: Delivery) -> None:
    await inbox.accept(delivery.guid, delivery.event, delivery.headers(), delivery.body)


def jobs(town: Town) -> dict[str, str]:
    """State of each ProwJob by the commit it tests."""
    return {job.spec.refs.pulls[0].sha: job.status.state for job in town.kube.all_jobs() if job.spec.refs}


def push(town: Town, number: int, name: str) -> str:
    return town.github.push_to_pull(ORG, REPO, number, [name], now_s=town.clock.now())


@story
async def test_a_push_that_is_heard_of_after_the_next_one(tmp_path: Path) -> None:
    """1. The webhook of a push is lost, that of the next comes. 2. The lost one is brought: nothing changes."""
    town = town_with(UNIT)
    number, opened = town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            push(town, number, "b.py")
            lost = next_of(town)
            await passes(5)
            newest = push(town, number, "c.py")
            await deliver(town, inbox)
            await passes(5)
            await passes(LATE_S)
            await arrives(inbox, lost)
            await passes(5)
            assert jobs(town) == {opened: "aborted", newest: "triggered"}
            assert f"too late: {newest[:10]} is the newest commit" in (await inbox.fate(lost.guid) or "")


@story
async def test_pushes_that_waited_are_handled_one_after_the_other(tmp_path: Path) -> None:
    """1. Three commits come while hook is away. 2. Minutes later each has its turn: only the last one's job goes on."""
    town = town_with(UNIT)
    number, opened = town.open_pull()
    heads = [push(town, number, name) for name in ("b.py", "c.py")]
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        await passes(LATE_S)
        async with hook(town, inbox):
            assert jobs(town) == {opened: "aborted", heads[0]: "aborted", heads[1]: "triggered"}
