"""From the inbox to the plugins: in order, each for itself; recorded, then done; continued, never decided again."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from prow_async.api import actions
from prow_async.api.actions import Decision
from prow_async.api.config import Config
from prow_async.api.errors import Retry
from prow_async.api.github import PullRequestEvent
from prow_async.api.jobconfig import Presubmit
from prow_async.api.plugin_config import OrgPlugins, PluginConfig
from prow_async.core import enablement
from prow_async.plugins import trigger
from prow_async.ports.plugin import Event, Help, Plugin, Reads
from tests.actors import inbox as inboxes
from tests.actors.inbox import StoreInbox
from tests.actors.script import DROP
from tests.actors.worlds import BOT, ORG, REPO, Configured, Town, passes, settle, story
from tests.unit.core import samples

Json = dict[str, Any]


def town_with(*jobs: Presubmit, plugins: tuple[str, ...] = ("trigger",)) -> Town:
    town = Town()
    config = town.config.current().config
    town.config = Configured(config, PluginConfig(plugins={ORG: OrgPlugins(plugins)}))
    town.config.change(presubmits={f"{ORG}/{REPO}": jobs})
    town.github.add_hook(ORG, "", "http://hook.invalid", b"", now_s=town.clock.now())
    town.github.outbox.take(town.github.outbox.hooks_waiting()[0])  # the ping
    return town


async def deliver(town: Town, inbox: StoreInbox) -> list[str]:
    """Put everything GitHub has to tell into the inbox; return the GUIDs."""
    guids = []
    for hook_id in town.github.outbox.hooks_waiting():
        while (delivery := town.github.outbox.take(hook_id)) is not None:
            await inbox.accept(delivery.guid, delivery.event, delivery.headers(), delivery.body)
            guids.append(delivery.guid)
    return guids


def hook(town: Town, inbox: StoreInbox, *plugins: Plugin, **more: Any) -> Any:
    return town.engine("hook", inbox=inbox, plugins=plugins or (trigger.PLUGIN,), **more)


def job_names(town: Town) -> list[str]:
    return sorted(job.spec.job for job in town.kube.all_jobs())


def said(town: Town, number: int) -> int:
    return sum(comment.user.login == BOT for comment in town.github.comments(ORG, REPO, number))


def plugin(
    name: str,
    look: Callable[[int], Awaitable[None]],
    decide: Callable[[int], Decision] = lambda number: Decision((), f"saw #{number}"),
) -> Plugin:
    """Make a plugin that handles new and changed pull requests by their number."""

    async def gather(reads: Reads, event: Event, guid: str) -> int:
        assert isinstance(event, PullRequestEvent)
        await look(event.number)
        return event.number

    return Plugin(name, Help(name), frozenset({"pull_request"}), gather, decide)


async def nothing(number: int) -> None:
    await anyio.lowlevel.checkpoint()


def commenting(number: int) -> Decision:
    comment = actions.CreateComment(org=ORG, repo=REPO, number=number, body=f"hello #{number}", why="it is new")
    return Decision((comment,), "greets")


UNIT = samples.presubmit("unit", always_run=True)
LINT = samples.presubmit("lint", always_run=True)


@story
async def test_a_pull_request_starts_its_jobs(tmp_path: Path) -> None:
    """1. A member opens a pull request. 2. Its jobs are created. 3. The delivery is finished, with what was decided."""
    town = town_with(UNIT, LINT)
    number, sha = town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox) as engine:
            assert job_names(town) == ["lint", "unit"]
            (job, _) = town.kube.all_jobs()
            assert job.spec.refs is not None
            assert (job.spec.refs.pulls[0].number, job.spec.refs.pulls[0].sha) == (number, sha)
            assert job.metadata.labels["event-GUID"] == guid
            assert (await inbox.fate(guid) or "").startswith("trigger: pull request o/r#1 opened")
            assert engine.idle
            assert inbox.words == ["Accepted", "Decided", "Finished"]
    assert town.metrics.total("prow_plugin_handle_duration_seconds", plugin="trigger", took_action="true") == 1


@story
async def test_what_came_before_the_start(tmp_path: Path) -> None:
    """Deliveries accepted by a process that died unhandled are handled by the next, in the order they came."""
    town = town_with(plugins=("p",))
    for _ in range(120):
        town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
    seen: list[int] = []

    async def look(number: int) -> None:
        seen.append(number)

    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, plugin("p", look)):
            assert sorted(seen) == list(range(1, 121))
            assert inbox.words == ["Finished"] * 120


@story
async def test_one_pull_request_in_order_others_beside_it(tmp_path: Path) -> None:
    """1. Two deliveries of #1; the first takes long. 2. The second waits. 3. #2 does not wait."""
    town = town_with(plugins=("p",))
    seen: list[str] = []

    async def look(number: int) -> None:
        seen.append(f"begin {number}")
        if seen.count("begin 1") == 1 and number == 1:
            await anyio.sleep(30)
        seen.append(f"end {number}")

    number, _ = town.open_pull()
    town.github.push_to_pull(ORG, REPO, number, ["b.py"], now_s=town.clock.now())
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", look)):
            await passes(10)
            assert sorted(seen) == ["begin 1", "begin 2", "end 2"]
            await passes(30)
            assert [line for line in seen if line.endswith("1")] == ["begin 1", "end 1"] * 2


@pytest.mark.slow
@story
async def test_one_plugins_bug_is_its_own(tmp_path: Path) -> None:
    """1. One plugin raises. 2. The other's action is performed. 3. The failure is counted and noted; no second try."""
    town = town_with(plugins=("bad", "good"))

    async def breaks(number: int) -> None:
        raise RuntimeError("no such thing")

    number, _ = town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, plugin("bad", breaks), plugin("good", nothing, commenting)):
            assert said(town, number) == 1
            assert "bad: failed: RuntimeError: no such thing" in (await inbox.fate(guid) or "")
            await passes(600)
            assert said(town, number) == 1
    assert town.metrics.total("prow_plugin_handle_errors", plugin="bad") == 1
    assert town.metrics.total("prow_plugin_handle_errors", plugin="good") == 0


@pytest.mark.slow
@story
async def test_a_plugin_that_hangs(tmp_path: Path) -> None:
    """A plugin that never comes back is given up after ten minutes, so that its pull request goes on."""
    town = town_with(plugins=("p",))
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", lambda number: anyio.sleep_forever())):
            await passes(590)
            assert await inbox.fate(guid) == "waiting"
            await passes(20)
            assert "p: failed" in (await inbox.fate(guid) or "")


@story
async def test_retry_keeps_the_place(tmp_path: Path) -> None:
    """1. GitHub is away while #1 is looked at. 2. Its next delivery waits behind. 3. Back: both, in order, once."""
    town = town_with(plugins=("p", "q"))
    away, seen, beside = [True], [], []

    async def look(number: int) -> None:
        if away[0]:
            raise Retry("GitHub is away")
        seen.append(number)

    async def look_beside(number: int) -> None:
        beside.append(number)

    number, _ = town.open_pull()
    town.github.push_to_pull(ORG, REPO, number, ["b.py"], now_s=town.clock.now())
    with inboxes.opened(tmp_path, town.clock) as inbox:
        guids = await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", look, commenting), plugin("q", look_beside, commenting)):
            await passes(300)
            assert [await inbox.fate(guid) for guid in guids] == ["waiting", "waiting"]
            assert said(town, number) == 2, "q does not wait for p"
            away[0] = False
            await passes(120)
            assert len(seen) == 2
            assert said(town, number) == 4
            assert "waiting" not in [await inbox.fate(guid) for guid in guids]
    assert town.metrics.total("prow_plugin_handle_errors") == 0


@story
async def test_nothing_is_done_before_the_decision_is_recorded(tmp_path: Path) -> None:
    """1. The process dies while it records a decision. 2. Nothing was done. 3. The next decides, and does it once."""
    town = town_with(UNIT)
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        inbox.stop_at = "Decided"
        async with hook(town, inbox):
            await inbox.stopped.wait()
    assert town.kube.faults.writes() == []
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox):
            assert job_names(town) == ["unit"]


@story
async def test_a_disk_that_takes_no_decision(tmp_path: Path) -> None:
    """1. The disk is full: the decision cannot be recorded. 2. Nothing is done, again and again. 3. Room: all right."""
    town = town_with(UNIT)
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        inbox.full = True
        async with hook(town, inbox):
            await passes(300)
            assert town.kube.faults.writes() == []
            inbox.full = False
            await passes(120)
            assert job_names(town) == ["unit"]
            assert inbox.words == ["Accepted", "Decided", "Finished"]


@pytest.mark.parametrize("write", [1, 2, 3])
@story
async def test_a_recorded_decision_is_continued(write: int, tmp_path: Path) -> None:
    """1. Three jobs decided; death after the nth. 2. The configuration changes. 3. All three are made, once."""
    jobs = (UNIT, LINT, samples.presubmit("more", always_run=True))
    town = town_with(*jobs)
    town.open_pull()
    town.kube.faults.stop_after_write(write)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            await town.kube.faults.stopped.wait()
    town.kube.faults.renew()
    town.config.change(presubmits={f"{ORG}/{REPO}": (samples.presubmit("other", always_run=True),)})
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox):
            await passes(5)
            assert job_names(town) == ["lint", "more", "unit"]
            assert inbox.words == ["Finished"]


@pytest.mark.parametrize("write", [1, 2])
@story
async def test_a_comment_is_not_said_twice(write: int, tmp_path: Path) -> None:
    """1. A stranger's pull request: welcome and label. 2. Killed after the nth write. 3. One welcome, the label on."""
    town = town_with(UNIT)
    number, _ = town.open_pull("eve")
    town.github_faults.stop_after_write(write)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            await town.github_faults.stopped.wait()
    await passes(3600)
    town.github_faults.renew()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox):
            await passes(5)
    assert said(town, number) == 1
    assert await town.client.labels(ORG, REPO, number) == ("needs-ok-to-test",)
    assert town.kube.all_jobs() == []


@story
async def test_a_write_that_fails_for_long(tmp_path: Path) -> None:
    """1. The API server takes nothing for minutes, then the second job only. 2. In the end each job is there, once."""
    town = town_with(UNIT, LINT)
    town.open_pull()
    town.kube.faults.fail("POST", "/prowjobs", DROP, times=-1)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox):
            await passes(200)
            assert await inbox.fate(guid) == "waiting"
            town.kube.faults.heal()
            town.kube.faults.fail("POST", "/prowjobs", DROP, times=3, done=True)
            await passes(200)
            assert job_names(town) == ["lint", "unit"]
            assert await inbox.fate(guid) != "waiting"
            assert inbox.words.count("Decided") == 1


@story
async def test_a_refused_action_stops_nothing_else(tmp_path: Path) -> None:
    """1. A strange ProwJob has a derived name. 2. That creation is refused and counted. 3. The other is made."""
    town = town_with(UNIT, LINT)
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox):
            names = {job.spec.job: job.metadata.name for job in town.kube.all_jobs()}
    other = town_with(UNIT, LINT)
    other.ids = town.ids
    other.kube.put(other.prowjob(names["unit"], job="stranger"))
    other.open_pull()
    with inboxes.opened(tmp_path / "other", other.clock) as inbox:
        (delivery,) = other.github.outbox.waiting()
        guid = town.kube.all_jobs()[0].metadata.labels["event-GUID"]
        await inbox.accept(guid, delivery.event, delivery.headers(), delivery.body)
        async with hook(other, inbox):
            await passes(60)
            assert job_names(other) == ["lint", "stranger"]
            assert await inbox.fate(guid) != "waiting"
    assert other.metrics.total("prow_plugin_handle_errors", plugin="trigger") == 1


@story
async def test_a_delivery_that_does_not_read(tmp_path: Path) -> None:
    """It is finished with a note for people, and what comes behind it goes on."""
    town = town_with(UNIT)
    with inboxes.opened(tmp_path, town.clock) as inbox:
        guid = town.ids.uuid4()
        await inbox.accept(guid, "pull_request", {}, b'{"number": [')
        town.open_pull()
        await deliver(town, inbox)
        async with hook(town, inbox):
            assert (await inbox.fate(guid) or "").startswith("unreadable: ")
            assert job_names(town) == ["unit"]


@story
async def test_the_same_delivery_twice(tmp_path: Path) -> None:
    """1. A delivery is handled. 2. GitHub sends it again under its GUID. 3. Nothing happens, also after a restart."""
    town = town_with(UNIT)
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox):
            await settle()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox):
            town.github.redeliver(guid, town.clock.now())
            await deliver(town, inbox)
            await settle()
            assert inbox.words == []
    assert len(town.kube.all_jobs()) == 1


@pytest.mark.parametrize(
    "lists",
    [((), (), (ORG,), ()), ((), (), (), (f"{ORG}/{REPO}",)), (("else",), (), (), ()), ((), ("o/else",), (), ())],
)
@story
async def test_not_enabled_here(lists: Any, tmp_path: Path) -> None:
    """A repository that the flags leave out is not handled, whatever plugins.yaml says; the note says so."""
    town = town_with(UNIT)
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, enablement=enablement.parse(*lists)):
            assert await inbox.fate(guid) == "o/r is not enabled in this process"
            assert town.kube.all_jobs() == []


@story
async def test_plugins_as_configured(tmp_path: Path) -> None:
    """A plugin that is not on for a repository is not asked; another repository's may be."""
    town = town_with(UNIT, plugins=())
    town.config = Configured(Config(), PluginConfig(plugins={f"{ORG}/else": OrgPlugins(("p",))}))
    town.open_pull()
    asked: list[int] = []

    async def look(number: int) -> None:
        asked.append(number)

    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, plugin("p", look)):
            assert asked == []
            assert await inbox.fate(guid) != "waiting"


@pytest.mark.parametrize("raises", [False, True])
@story
async def test_words_that_cannot_be_written_hold_up_nobody(raises: bool, tmp_path: Path) -> None:
    """1. What becomes of a delivery has no UTF-8 form: a file's name is in it. 2. It ends, and so does the next."""

    def decide(number: int) -> Decision:
        if raises:
            raise ValueError("no such file: \udcff.yaml")
        return Decision((), "read \udcff.yaml")

    town = town_with(plugins=("p",))
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, plugin("p", nothing, decide)):
            for _ in range(2):
                town.open_pull()
                (guid,) = await deliver(town, inbox)
                await passes(5)
                assert "?.yaml" in (await inbox.fate(guid) or "")
            assert inbox.statistics().waiting == 0
            assert len(inbox.aside.letters()) == 2 * raises


@story
async def test_dry_run(tmp_path: Path) -> None:
    """On dry run decisions are made and recorded, and nothing is written to anybody else."""
    town = town_with(UNIT)
    number, _ = town.open_pull("eve")
    town.open_pull()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        async with hook(town, inbox, dry_run=True):
            assert inbox.words.count("Finished") == 2
    assert town.kube.all_jobs() == []
    assert said(town, number) == 0
    assert town.kube.faults.writes() == town.github_faults.writes() == []
