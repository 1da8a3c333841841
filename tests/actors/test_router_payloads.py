"""What a webhook tells of its pull request, and what we have done to that since it was written."""

from pathlib import Path

import pytest

from prow_async.plugins import hold, lgtm
from tests.actors import inbox as inboxes
from tests.actors.inbox import StoreInbox
from tests.actors.test_router import ORG, REPO, deliver, hook, town_with
from tests.actors.worlds import Town, passes, settle, story


def labels(town: Town, number: int) -> list[str]:
    return town.github.issue(ORG, REPO, number).labels


def say(town: Town, number: int, body: str) -> None:
    town.github.comment(ORG, REPO, number, "bob", body, now_s=town.clock.now())


async def pass_on(town: Town, inbox: StoreInbox, number: int) -> None:
    """Put the next so many webhooks into the inbox; what GitHub tells behind them has not come yet."""
    (hook_id,) = town.github.outbox.hooks_waiting()
    for _ in range(number):
        delivery = town.github.outbox.take(hook_id)
        assert delivery is not None
        await inbox.accept(delivery.guid, delivery.event, delivery.headers(), delivery.body)


@pytest.mark.parametrize("late_s", [None, 0, 10])
@story
async def test_a_command_sees_what_the_one_before_it_did(tmp_path: Path, late_s: float | None) -> None:
    """1. Two commands: GitHub writes both webhooks before the first has had its effect. 2. The second takes the first
    back, whether they come together, or it comes when the first is done."""
    town = town_with(plugins=("hold",))
    number, _ = town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        say(town, number, "/hold")
        say(town, number, "/hold cancel")
        await pass_on(town, inbox, 2 if late_s is None else 1)
        async with hook(town, inbox, hold.PLUGIN):
            if late_s is not None:
                assert labels(town, number) == ["do-not-merge/hold"]
                await passes(late_s)
                await pass_on(town, inbox, 1)
                await settle()
            assert labels(town, number) == []


@story
async def test_lgtm_goes_with_commits_that_came_before_it_was_set(tmp_path: Path) -> None:
    """1. A reviewer finds it good. 2. Before the label is there, new commits come. 3. They take it off."""
    town = town_with(plugins=("lgtm",))
    town.github.add_collaborator(ORG, REPO, "bob")
    number, _ = town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        say(town, number, "/lgtm")
        town.github.push_to_pull(ORG, REPO, number, ["b.py"], now_s=town.clock.now())
        await deliver(town, inbox)
        async with hook(town, inbox, lgtm.PLUGIN):
            assert labels(town, number) == []
