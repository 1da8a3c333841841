"""Deliveries shared out: external plugins, those that wait for another try, those nobody could handle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec

from prow_async.actors import router
from prow_async.api.errors import Retry
from prow_async.api.plugin_config import ExternalPlugin
from tests.actors import inbox as inboxes
from tests.actors.test_router import ORG, REPO, commenting, deliver, hook, nothing, plugin, said, town_with
from tests.actors.worlds import Configured, Town, passes, story

NEAR, FAR = ExternalPlugin("near", "http://near"), ExternalPlugin("far", "http://far", ("push",))


class Others:
    """Other people's programs, by their addresses: statuses they answer, in turn; the last one stays. 0: no answer."""

    def __init__(self, **answers: list[int]) -> None:
        self.answers = answers
        self.got: list[tuple[str, str, bytes]] = []
        self.tries = 0

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        await anyio.lowlevel.checkpoint()
        self.tries += 1
        name = url.removeprefix("http://")
        left = self.answers[name]
        status = left.pop(0) if len(left) > 1 else left[0]
        if status == 0:
            raise Retry("connection refused")
        self.got.append((name, headers["X-GitHub-Delivery"], body))
        return status, b""


def town_of(*plugins: str, external: tuple[ExternalPlugin, ...] = ()) -> Town:
    town = town_with(plugins=plugins)
    now = town.config.current()
    changed = msgspec.structs.replace(now.plugins, external_plugins={ORG: external} if external else {})
    town.config = Configured(now.config, changed)
    return town


@story
async def test_external_plugins_get_the_whole_body(tmp_path: Path) -> None:
    """1. Of two external plugins one wants other events. 2. The other gets body and headers, its refusal is noted."""
    town = town_of(external=(NEAR, FAR))
    town.open_pull()
    others = Others(near=[404], far=[200])
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        (delivery,) = await inbox.pending(0, 1)
        async with hook(town, inbox, forward=others):
            assert others.got == [("near", guid, delivery.body)]
            assert await inbox.fate(guid) == "external near: answered 404"
            assert others.tries == 1
    assert town.metrics.total("prow_async_external_deliveries_total", plugin="near", result="404") == 1


@story
async def test_on_dry_run_external_plugins_get_nothing(tmp_path: Path) -> None:
    """They would act upon it."""
    town = town_of(external=(NEAR,))
    town.open_pull()
    others = Others(near=[200])
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, forward=others, dry_run=True):
            assert others.tries == 0
            assert await inbox.fate(guid) == "external near: not forwarded on dry run"


@story
async def test_an_external_plugin_that_is_away(tmp_path: Path) -> None:
    """1. It does not answer for an hour. 2. Nobody else waits for it. 3. Back: it gets all, whole, in order."""
    town = town_of("p", external=(NEAR,))
    number, _ = town.open_pull()
    town.github.push_to_pull(ORG, REPO, number, ["b.py"], now_s=town.clock.now())
    others = Others(near=[0])
    with inboxes.opened(tmp_path, town.clock) as inbox:
        guids = await deliver(town, inbox)
        bodies = [delivery.body for delivery in await inbox.pending(0, 10)]
        async with hook(town, inbox, plugin("p", nothing, commenting), forward=others):
            await passes(3600)
            assert said(town, number) == 2
            assert [await inbox.fate(guid) for guid in guids] == ["waiting", "waiting"]
            assert others.tries < 600, "it is left alone most of the time"
            others.answers["near"] = [503, 200]
            await passes(300)
            assert [body for _, _, body in others.got if body] == [bodies[0], *bodies]
            assert [guid for _, guid, _ in others.got] == [guids[0], *guids], "503 is asked again, in its place"
            assert "waiting" not in [await inbox.fate(guid) for guid in guids]
            assert said(town, number) == 2


@story
async def test_waiting_deliveries_hold_nobody_up(tmp_path: Path, monkeypatch: Any) -> None:
    """More deliveries wait for an endpoint than are held in memory; another repository's plugin goes on."""
    monkeypatch.setattr(router, "IN_FLIGHT", 5)
    town = town_of("p", external=(NEAR,))
    others = Others(near=[0])
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, plugin("p", nothing, commenting), forward=others):
            for _ in range(30):
                number, _ = town.open_pull()
                await deliver(town, inbox)
                await passes(1)
            assert said(town, number) == 1
            others.answers["near"] = [200]
            await passes(600)
            assert len({guid for _, guid, body in others.got if body.startswith(b'{"action":"opened"')}) == 30
            assert inbox.statistics().waiting == 0


@story
async def test_what_nobody_could_handle_is_laid_aside_whole(tmp_path: Path) -> None:
    """1. A plugin breaks; another delivery does not read. 2. Both lie aside with the reason and the whole body."""
    town = town_of("bad")

    async def breaks(number: int) -> None:
        raise RuntimeError("no such thing")

    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        (delivery,) = await inbox.pending(0, 1)
        await inbox.accept("odd", "push", {}, b"[")
        async with hook(town, inbox, plugin("bad", breaks)):
            letters = {letter.delivery.guid: letter for letter in inbox.aside.letters(bodies=True)}
            assert "RuntimeError: no such thing" in letters[guid].why
            assert letters[guid].delivery.body == delivery.body
            assert letters["odd"].why.startswith("unreadable: ")
            assert inbox.statistics().waiting == 0
    assert town.metrics.total("prow_async_dead_letters_total") == 2


@story
async def test_another_try_is_not_granted_for_ever(tmp_path: Path) -> None:
    """A plugin that asks for another try for six hours is given up; its pull request goes on."""
    town = town_of("p")

    async def away(number: int) -> None:
        raise Retry("the git server is away")

    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", away)):
            await passes(5.9 * 3600)
            assert await inbox.fate(guid) == "waiting"
            await passes(0.2 * 3600)
            (letter,) = inbox.aside.letters()
            assert "given up after 6 h: the git server is away" in letter.why


@story
async def test_one_that_is_done_is_not_done_again_because_another_waits(tmp_path: Path) -> None:
    """1. One plugin decides to do nothing. 2. The other asks for another try again and again. 3. The first rests."""
    town, asked, away = town_of("done", "waits"), list[int](), [True]

    async def look(number: int) -> None:
        asked.append(number)

    async def wait(number: int) -> None:
        if away[0]:
            raise Retry("GitHub is away", after_s=30)

    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox, plugin("done", look), plugin("waits", wait)):
            await passes(600)
            away[0] = False
            await passes(60)
            assert inbox.statistics().waiting == 0
    assert asked == [1]


@story
async def test_dropped_by_hand_while_it_waits(tmp_path: Path) -> None:
    town = town_of("p")

    async def away(number: int) -> None:
        raise Retry("GitHub is away")

    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", away)) as engine:
            await passes(60)
            (delivery,) = await inbox.pending(0, 1)
            inbox.aside.ask("drop", delivery)
            await inbox.serve_once()
            await passes(120)
            assert await inbox.fate(guid) == "dropped by hand"
            assert engine.idle


@story
async def test_the_router_may_be_stopped_and_run_again(tmp_path: Path) -> None:
    """What was under way is handled by the next run, in the same process, once."""
    town = town_of("p")

    async def slow(number: int) -> None:
        await anyio.sleep(30)

    for _ in range(3):
        town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", slow, commenting)) as engine:
            assert engine.router is not None
            again = engine.router
        async with anyio.create_task_group() as group:
            group.start_soon(again.run)
            await passes(60)
            assert inbox.statistics().waiting == 0
            assert [said(town, one) for one in (1, 2, 3)] == [1, 1, 1]
            group.cancel_scope.cancel()
