"""Two hooks, both at work, each with an inbox of its own: a delivery that both get has one effect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from prow_async.sandbox.github import outbox
from tests.actors import inbox as inboxes
from tests.actors.inbox import StoreInbox
from tests.actors.test_router import LINT, UNIT, hook, job_names, town_with
from tests.actors.worlds import ORG, REPO, Town, passes, settle, story

Json = dict[str, Any]


def told(town: Town) -> list[outbox.Delivery]:
    """Take everything GitHub has to tell."""
    found = []
    for hook_id in town.github.outbox.hooks_waiting():
        while (delivery := town.github.outbox.take(hook_id)) is not None:
            found.append(delivery)
    return found


async def accept(inbox: StoreInbox, deliveries: list[outbox.Delivery]) -> None:
    for one in deliveries:
        await inbox.accept(one.guid, one.event, one.headers(), one.body)


@asynccontextmanager
async def two_hooks(town: Town, folder: Path) -> AsyncIterator[tuple[StoreInbox, StoreInbox]]:
    for name in ("0", "1"):
        (folder / name).mkdir()
    with inboxes.opened(folder / "0", town.clock) as zero, inboxes.opened(folder / "1", town.clock) as one:
        async with hook(town, zero), hook(town, one):
            yield zero, one


@pytest.mark.slow
@pytest.mark.parametrize("apart_s", [0, 1, 300])
@story
async def test_the_same_delivery_to_both(apart_s: float, tmp_path: Path) -> None:
    """1. A pull request is opened, and pushed to. 2. Each delivery comes to both hooks, at once or one after another.

    3. Each job stands once; those of the first commit are aborted, those of the second are not.
    """
    town = town_with(UNIT, LINT)
    async with two_hooks(town, tmp_path) as (zero, one):
        number, _ = town.open_pull()
        opened = told(town)
        await accept(zero, opened)
        await passes(apart_s)
        await accept(one, opened)
        await passes(5)
        assert job_names(town) == ["lint", "unit"]

        town.github.push_to_pull(ORG, REPO, number, ["b.py"], now_s=town.clock.now())
        head = town.github.pull(ORG, REPO, number).head.sha
        pushed = told(town)
        await accept(one, pushed)
        await passes(apart_s)
        await accept(zero, pushed)
        await passes(5)
        states = sorted(
            (job.spec.job, job.spec.refs.pulls[0].sha == head, job.status.state)
            for job in town.kube.all_jobs()
            if job.spec.refs is not None
        )
        assert states == [
            ("lint", False, "aborted"),
            ("lint", True, "triggered"),
            ("unit", False, "aborted"),
            ("unit", True, "triggered"),
        ]
        await settle()
