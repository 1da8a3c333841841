"""Webhooks that did not come, on the small GitHub: asked for again, or their pull requests looked at."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from prow_async.actors import backstop, recovery
from prow_async.api.errors import Retry
from prow_async.apps import nets
from prow_async.sandbox.faults import Fault
from prow_async.sandbox.github.outbox import Delivery, Outcome
from tests.actors import inbox as inboxes
from tests.actors.inbox import StoreInbox
from tests.actors.test_router import LINT, ORG, REPO, UNIT, hook, job_names, town_with
from tests.actors.worlds import BOT, START_S, Town, passes, story

OURS = "http://hook.invalid"


class Post:
    """Carries the small GitHub's deliveries: while `down`, they fail and are only in GitHub's log."""

    def __init__(self, town: Town, inbox: StoreInbox) -> None:
        self.town = town
        self.inbox = inbox
        self.down = False
        self.sent: list[Delivery] = []

    async def carry(self) -> None:
        now_s = self.town.clock.now
        for hook_id in self.town.github.outbox.hooks_waiting():
            while (delivery := self.town.github.outbox.take(hook_id)) is not None:
                self.sent.append(delivery)
                if self.down:
                    delivery.outcome = Outcome(502, now_s(), "Bad Gateway")
                else:
                    await self.inbox.accept(delivery.guid, delivery.event, delivery.headers(), delivery.body)
                    delivery.outcome = Outcome(200, now_s())


class TroubledBox:
    """An inbox whose keys cannot be read for a while."""

    def __init__(self, inbox: StoreInbox) -> None:
        self._inbox = inbox
        self.trouble = True
        self.began_s = inbox.began_s
        self.last_before_start_s = inbox.last_before_start_s
        self.hooks_seen = inbox.hooks_seen
        self.accept = inbox.accept
        self.oldest_waiting_s = inbox.oldest_waiting_s

    async def known(self, guids: Sequence[str]) -> frozenset[str]:
        if self.trouble:
            raise Retry("the inbox cannot be read")
        return await self._inbox.known(guids)


def administered(*jobs: Any, owner: bool = True) -> Town:
    """A town whose bot may read the delivery log of the org's webhook, or may not."""
    town = town_with(*jobs)
    town.github.account(BOT).everywhere = owner
    return town


def looking_for_lost(town: Town, inbox: StoreInbox) -> AbstractAsyncContextManager[Any]:
    """Run a hook that reads the delivery log, and compares no pull requests."""
    return hook(town, inbox, nets=nets.Nets(inbox, hook_url=OURS, heads_a_minute=0))


@contextmanager
def two_inboxes(town: Town, folder: Path) -> Iterator[tuple[StoreInbox, StoreInbox]]:
    """Open ours, and that of another hook."""
    ours, other = folder / "ours", folder / "other"
    ours.mkdir()
    other.mkdir()
    with inboxes.opened(ours, town.clock) as mine, inboxes.opened(other, town.clock) as theirs:
        yield mine, theirs


async def handled_before(town: Town, folder: Path) -> None:
    """Let an inbox have had a delivery: what comes is no first start."""
    with inboxes.opened(folder, town.clock) as inbox:
        await inbox.accept("5b1f6bb6-3a2d-4b5c-9d11-0a2e2f2d7e33", "ping", {}, b"{}")
        await inbox.finish(1)


@story
async def test_deliveries_missed_while_we_were_down_are_asked_for_again(tmp_path: Path) -> None:
    """1. One comes. 2. Two fail while the hook is down. 3. It starts: both are asked for, handled, and once only."""
    town = administered(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        town.open_pull()
        await post.carry()
        async with hook(town, inbox):
            await passes(1)
        await passes(100)
        post.down = True
        for _ in range(2):
            town.open_pull()
            await post.carry()
        await passes(600)
        post.down = False
        async with looking_for_lost(town, inbox):
            await passes(10)
            await post.carry()
            await passes(10)
            assert job_names(town) == ["unit"] * 3
            await passes(1000)
            await post.carry()
            assert [delivery.redelivery for delivery in post.sent if delivery.event == "pull_request"] == [
                False,
                False,
                False,
                True,
                True,
            ]
            await passes(10)
            assert job_names(town) == ["unit"] * 3
    assert town.metrics.total("prow_async_recovered_deliveries_total", result="asked") == 2
    assert town.metrics.total("prow_async_recovered_deliveries_total", result="recovered") == 2


@story
async def test_what_another_hook_has_taken_is_not_asked_for(tmp_path: Path) -> None:
    """1. Two hooks, ours and another; each takes what comes to it. 2. Nothing comes again. 3. One fails: it does."""
    town = administered(UNIT)
    with two_inboxes(town, tmp_path) as (ours, other):
        async with looking_for_lost(town, ours):
            for inbox in (ours, other, ours, other):
                town.open_pull()
                await Post(town, inbox).carry()
            await passes(2 * recovery.EVERY_S)
            assert not town.github.outbox.hooks_waiting()
            down = Post(town, ours)
            down.down = True
            town.open_pull()
            await down.carry()
            await passes(2 * recovery.EVERY_S)
            again = Post(town, other)
            await again.carry()
            assert {(delivery.guid, delivery.redelivery) for delivery in again.sent} == {
                (delivery.guid, True) for delivery in down.sent
            }
            await passes(3 * recovery.EVERY_S)
            assert not town.github.outbox.hooks_waiting()
    assert job_names(town) == ["unit"] * 2
    assert town.metrics.total("prow_async_recovered_deliveries_total", result="recovered") == len(down.sent)


@story
async def test_one_that_never_comes_is_given_up_once(tmp_path: Path) -> None:
    """1. It fails, and so does every try that is asked for. 2. It is told of, and left alone from then on."""
    town = administered(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox, structlog.testing.capture_logs() as logged:
        post = Post(town, inbox)
        post.down = True
        await passes(100)
        town.open_pull()
        await post.carry()
        (first,) = post.sent
        async with looking_for_lost(town, inbox):
            for _ in range(10 * 6):
                await passes(600)
                await post.carry()
    assert [delivery.redelivery for delivery in post.sent] == [False, *[True] * 5]
    (line,) = [line for line in logged if line["event"].startswith("webhook lost for good")]
    assert (line["guid"], line["event_type"]) == (first.guid, "pull_request")
    assert not [line for line in logged if line["event"].startswith("service failed")]


@story
async def test_requests_that_come_to_nothing_do_not_count(tmp_path: Path) -> None:
    """1. Many fail. 2. For nine hours GitHub takes no request to send them again. 3. It does: all are asked for."""
    town = administered(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        post.down = True
        await passes(100)
        for _ in range(8):
            town.open_pull()
        await post.carry()
        post.down = False
        town.github_faults.fail("POST", "/attempts", Fault("answer", status=502), times=1_000_000)
        async with looking_for_lost(town, inbox):
            await passes(9 * 3600)
            assert not town.github.outbox.hooks_waiting()
            town.github_faults.heal()
            await passes(2 * recovery.EVERY_S)
            await post.carry()
            await passes(10)
    assert job_names(town) == ["unit"] * 8
    assert town.metrics.total("prow_async_recovered_deliveries_total", result="given up") == 0


@story
async def test_one_that_cannot_be_asked_for_holds_up_no_other(tmp_path: Path) -> None:
    town = administered(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        post.down = True
        await passes(100)
        for _ in range(5):
            town.open_pull()
            await post.carry()
            await passes(2)
        first = min(delivery.id for delivery in post.sent)
        town.github_faults.fail("POST", f"/{first}/attempts", Fault("answer", status=502), times=1_000_000)
        await passes(100)
        async with looking_for_lost(town, inbox):
            await passes(60)
    asked = town.metrics.total("prow_async_recovered_deliveries_total", result="asked")
    assert asked == len(post.sent) - 1


@story
async def test_what_was_read_of_the_log_is_kept_while_the_inbox_cannot_be_asked(tmp_path: Path) -> None:
    """1. One fails, long before a start and many others. 2. The first look at the inbox fails. 3. The next asks."""
    town = administered(UNIT)
    with two_inboxes(town, tmp_path) as (inbox, other):
        post = Post(town, inbox)
        await passes(100)
        post.down = True
        town.open_pull()
        await post.carry()
        await passes(7200)
        for _ in range(120):
            town.open_pull()
        await Post(town, other).carry()
        await passes(1800)
        box = TroubledBox(inbox)
        async with hook(town, inbox, nets=nets.Nets(box, hook_url=OURS, heads_a_minute=0)):
            await passes(60)
            assert not town.github.outbox.hooks_waiting()
            box.trouble = False
            await passes(2 * recovery.EVERY_S)
            assert town.github.outbox.hooks_waiting()


@story
async def test_a_log_too_long_to_be_read_at_once_is_read_in_parts(tmp_path: Path) -> None:
    """1. One fails, and very many come well after it. 2. The first look does not reach it. 3. Later ones do."""
    town = administered(UNIT)
    with two_inboxes(town, tmp_path) as (inbox, other), pytest.MonkeyPatch.context() as patched:
        patched.setattr(recovery, "PAGES", 1)
        post = Post(town, inbox)
        await passes(100)
        post.down = True
        town.open_pull()
        await post.carry()
        await passes(7200)
        for _ in range(250):
            town.open_pull()
        await Post(town, other).carry()
        await passes(1800)
        async with looking_for_lost(town, inbox):
            await passes(60)
            assert not town.github.outbox.hooks_waiting()
            await passes(4 * recovery.EVERY_S)
            assert town.github.outbox.hooks_waiting()


@story
async def test_two_hooks_do_not_both_ask(tmp_path: Path) -> None:
    """1. Two start together. 2. Deliveries fail, one after another. 3. In the end both do not ask for each of them."""
    town = administered(UNIT)
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    with inboxes.opened(tmp_path / "0", town.clock) as zero, inboxes.opened(tmp_path / "1", town.clock) as one:
        nets_of = {inbox: nets.Nets(inbox, hook_url=OURS, heads_a_minute=0) for inbox in (zero, one)}
        post = Post(town, zero)
        async with hook(town, zero, nets=nets_of[zero]), hook(town, one, nets=nets_of[one]):
            for _ in range(5):
                post.down = True
                town.open_pull()
                await post.carry()
                post.down = False
                for _ in range(200):
                    await passes(5)
                    await post.carry()
    asked = sum(delivery.redelivery for delivery in post.sent)
    assert 5 <= asked < 10


@story
async def test_webhooks_of_others_are_left_alone(tmp_path: Path) -> None:
    """Without an address ours are those deliveries came from; none came from this one."""
    town = administered(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        post.down = True
        await passes(100)
        town.open_pull()
        await post.carry()
        async with hook(town, inbox, nets=nets.Nets(inbox, heads_a_minute=0)):
            await passes(1000)
            assert not town.github.outbox.hooks_waiting()


@story
async def test_webhooks_are_known_by_what_came_from_them(tmp_path: Path) -> None:
    town = administered(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        town.open_pull()
        await post.carry()
        await passes(100)
        post.down = True
        town.open_pull()
        await post.carry()
        await passes(100)
        async with hook(town, inbox, nets=nets.Nets(inbox, heads_a_minute=0)):
            await passes(10)
            assert town.github.outbox.hooks_waiting()


@story
async def test_without_rights_it_is_told_once(tmp_path: Path) -> None:
    town = administered(UNIT, owner=False)
    with inboxes.opened(tmp_path, town.clock) as inbox, structlog.testing.capture_logs() as logged:
        async with looking_for_lost(town, inbox):
            await passes(5 * recovery.EVERY_S)
    (line,) = [line for line in logged if line["event"].startswith("delivery log cannot be read")]
    assert (line["log_level"], line["of"]) == ("warning", ORG)


@story
async def test_a_push_nobody_told_us_of_is_looked_at(tmp_path: Path) -> None:
    """1. A push while we were away, its webhook gone for good. 2. Start: its jobs run, once, however often we start."""
    town = administered(UNIT, LINT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        number, _ = town.open_pull()
        await post.carry()
        async with hook(town, inbox):
            await passes(5)
        await passes(3600)
        town.github.push_to_pull(ORG, REPO, number, ["b.py"], now_s=town.clock.now())
        post.down = True
        await post.carry()
        await passes(600)
    assert job_names(town) == ["lint", "unit"]
    for _ in range(3):
        with inboxes.opened(tmp_path, town.clock) as inbox:
            async with hook(town, inbox, nets=nets.Nets(inbox, log=False)):
                await passes(300)
    assert job_names(town) == ["lint", "lint", "unit", "unit"]
    assert town.metrics.total("prow_async_backstop_heads_total", result="handled") == 1


@story
async def test_a_first_start_only_reports(tmp_path: Path) -> None:
    """Pull requests that were there before us are nobody's business but their reporter's."""
    town = administered(UNIT)
    for _ in range(3):
        town.open_pull()
    await passes(1000)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, nets=nets.Nets(inbox, log=False)):
            await passes(3 * 3600)
    assert job_names(town) == []
    assert town.metrics.total("prow_async_backstop_heads_total", result="reported") == 3


@story
async def test_what_a_first_start_has_reported_stays_so(tmp_path: Path) -> None:
    """A pull request of a moment before the start is looked at in the second round too: nobody has pushed since."""
    town = administered(UNIT)
    await passes(1000)
    town.open_pull()
    await passes(10)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, nets=nets.Nets(inbox, log=False)):
            await passes(3 * 3600)
    assert job_names(town) == []


@story
async def test_a_push_whose_webhook_is_under_way_is_left_to_it(tmp_path: Path) -> None:
    """1. Just before a round, a push. 2. Its webhook comes just after. 3. Each runs once, also one nobody told of."""
    town = administered(UNIT)
    await handled_before(town, tmp_path)
    await passes(1000)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        async with hook(town, inbox, nets=nets.Nets(inbox, log=False)):
            await passes(backstop.SETTLE_S + backstop.EVERY_S - 2)
            town.open_pull()
            await passes(4)
            await post.carry()
            town.open_pull()
            post.down = True
            await post.carry()
            await passes(10)
            assert job_names(town) == ["unit"]
            await passes(2 * backstop.EVERY_S)
    assert job_names(town) == ["unit"] * 2


@story
async def test_a_push_whose_webhook_waits_in_the_inbox_is_left_to_it(tmp_path: Path) -> None:
    """1. A plugin asks for another try for half an hour. 2. Heads are looked at meanwhile. 3. The jobs run once."""
    town = administered(UNIT)
    await handled_before(town, tmp_path)
    await passes(1000)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        post = Post(town, inbox)
        town.open_pull()
        await post.carry()
        town.kube.faults.fail("POST", "/prowjobs", Fault("answer", status=503), times=1_000_000)
        async with hook(town, inbox, nets=nets.Nets(inbox, log=False)):
            await passes(1800)
            town.kube.faults.heal()
            await passes(2 * backstop.EVERY_S)
            assert inbox.statistics().waiting == 0
    assert job_names(town) == ["unit"]


@story
async def test_so_many_a_minute(tmp_path: Path) -> None:
    town = administered(UNIT)
    await handled_before(town, tmp_path)
    await passes(1000)
    for _ in range(10):
        town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, nets=nets.Nets(inbox, log=False, heads_a_minute=4)):
            await passes(121)
            assert len(job_names(town)) in (1, 2)
            await passes(60)
            assert len(job_names(town)) in (5, 6)
            await passes(120)
            assert len(job_names(town)) == 10


@story
async def test_what_began_before_the_inbox_is_not_asked_for(tmp_path: Path) -> None:
    town = administered(UNIT)
    await passes(100)
    town.open_pull()
    with inboxes.opened(tmp_path / "none", town.clock) as nowhere:
        post = Post(town, nowhere)
        post.down = True
        await post.carry()
    await passes(600)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with looking_for_lost(town, inbox):
            await passes(1000)
            assert not town.github.outbox.hooks_waiting()
            assert inbox.began_s > START_S + 600
