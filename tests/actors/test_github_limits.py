"""GitHub's limits and the engine: whoever has to wait waits elsewhere, and nothing is lost."""

from pathlib import Path

import pytest

from prow_async.sandbox.faults import Fault
from prow_async.sandbox.github.limits import Secondary
from tests.actors import inbox as inboxes
from tests.actors.test_router import LINT, UNIT, deliver, hook, job_names, town_with
from tests.actors.worlds import BOT, Town, passes, story

HOUR_S = 3600.0


def sent(town: Town) -> int:
    return len(town.github_faults.asked)


@story
async def test_a_delivery_outlives_the_hour_of_a_used_up_budget(tmp_path: Path) -> None:
    """1. Others have used the token up. 2. A pull request comes. 3. In that hour next to nothing is sent.
    4. Then its jobs start.
    """
    town = town_with(UNIT, LINT)
    budget = town.github.limits.bucket(BOT, town.clock.now())
    budget.used = budget.limit
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            await passes(HOUR_S - 120)
            assert job_names(town) == []
            assert sent(town) <= 3
            await passes(300)
            assert job_names(town) == ["lint", "unit"]


@story
async def test_secondary_limits_slow_down_and_lose_nothing(tmp_path: Path) -> None:
    """Eight pull requests at a GitHub that takes few requests a minute: all their jobs start, none twice."""
    town = town_with(UNIT)
    town.github.secondary = Secondary(points=1)
    for _ in range(8):
        town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            await passes(30)
            assert len(job_names(town)) < 8
            await passes(HOUR_S)
            assert job_names(town) == ["unit"] * 8


@pytest.mark.parametrize("status", [403, 429])
@story
async def test_a_pause_is_kept_by_everybody(tmp_path: Path, status: int) -> None:
    """One refusal that asks for two minutes: until they are over no plugin of any pull request sends anything."""
    town = town_with(UNIT)
    town.github_faults.fail("GET", "", Fault("answer", status=status, retry_after_s=120))
    for _ in range(3):
        town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            await passes(5)
            before = sent(town)
            await passes(105)
            assert (sent(town), before <= 9) == (before, True)
            started = len(job_names(town))
            await passes(300)
            assert (started < 3, len(job_names(town))) == (True, 3)
