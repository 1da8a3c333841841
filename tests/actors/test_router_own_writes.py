"""What we have done to a pull request and nobody has told us of yet: the next of its deliveries sees it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from prow_async.plugins import hold, lgtm
from tests.actors import inbox as inboxes
from tests.actors.inbox import StoreInbox
from tests.actors.test_router import LINT, ORG, REPO, UNIT, deliver, hook, town_with
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


class LateNews:
    """ProwJobs whose watch tells everything late."""

    def __init__(self, jobs: Any, late_s: float) -> None:
        self._jobs = jobs
        self.late_s = late_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    @asynccontextmanager
    async def watch(self, resource_version: str, initial: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        async def late(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            async for piece in pieces:
                await anyio.sleep(self.late_s)
                yield piece

        async with self._jobs.watch(resource_version, initial) as pieces:
            yield late(pieces)


@pytest.mark.parametrize("late_s", [0, 0.05, 30])
@story
async def test_an_abort_finds_what_the_delivery_before_it_started(tmp_path: Path, late_s: float) -> None:
    """1. A pull request is opened and closed at once. 2. The watch shows its jobs later. 3. They are aborted before."""
    town = town_with(UNIT, LINT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, jobs=LateNews(town.kube.jobs, late_s)) as engine:
            await passes(100)
            number, _ = town.open_pull()
            town.github.close(ORG, REPO, number, by="ann", now_s=town.clock.now())
            await deliver(town, inbox)
            await settle()
            assert [job.status.state for job in town.kube.all_jobs()] == ["aborted", "aborted"]
            await passes(100)
            assert not len(engine._starts), "what the watch shows need not be remembered"
