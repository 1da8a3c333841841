"""Criers paused, killed, left behind: whatever arrives late, the last word on GitHub and its record are the job's."""

from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.github.wire import Ask, Pass
from prow_async.ports.transport import Transport
from tests.actors.replicas import leads, two
from tests.actors.watched import Watched, complete, is_write, overtaken, posted, take_over
from tests.actors.worlds import Town, passes, settle, story


@story
async def test_a_status_under_way_does_not_stand_in_the_end() -> None:
    """1. `pending` waits on the wire while the other reports success. 2. It arrives last. 3. Success is told again."""
    town = Town()
    seen = Watched(town)
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        first.hub.out.hold(is_write("POST", "/statuses/"))
        town.kube.put(town.presubmit("a", number, sha))
        on_its_way = await overtaken(first.hub, first, second)
        complete(town, "a", "success")
        await settle()
        assert seen.statuses(sha) == {"unit": "success"}
        on_its_way.open()
        await settle()
        assert seen.statuses(sha) == {"unit": "pending"}
        await first.go_on()
        await passes(90)
        assert seen.statuses(sha) == {"unit": "success"}
        assert town.kube.job("a").status.prev_report_states["github-reporter"] == "success"
        seen.judge()


@story
async def test_a_successor_that_goes_in_its_turn_leaves_its_doubts_behind() -> None:
    """1. As before, but the other dies before it tells again. 2. Whoever leads then tells it, and it stands."""
    town = Town()
    seen = Watched(town)
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        first.hub.out.hold(is_write("POST", "/statuses/"))
        town.kube.put(town.presubmit("a", number, sha))
        on_its_way = await overtaken(first.hub, first, second)
        complete(town, "a", "success")
        await passes(15)
        on_its_way.open()
        await settle()
        second.die()
        assert seen.statuses(sha) == {"unit": "pending"}
        await first.go_on()
        await passes(100)
        assert first.leader.leading
        assert seen.statuses(sha) == {"unit": "success"}
        assert town.kube.job("a").status.prev_report_states["github-reporter"] == "success"
        seen.judge()


@story
async def test_an_old_record_under_way_does_not_take_the_place_of_ours() -> None:
    """1. The other's record of success is under way. 2. A late one of `triggered` is faster. 3. Success is recorded."""
    town = Town()
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        town.kube.put(town.presubmit("a", number, sha))
        await settle()
        first.hub.out.hold(is_write("POST", "/statuses/"))
        first.kube.out.hold(is_write("PATCH", "/prowjobs/"))
        complete(town, "a", "success")
        await passes(32)
        assert first.kube.out.held
        old = first.kube.leave_held()
        second.kube.out.hold(is_write("PATCH", "/prowjobs/"))
        await take_over(first, second)
        await passes(70)
        assert second.kube.out.held
        second.kube.back.hold(is_write("WATCH", "/prowjobs"))
        old.open()
        await settle()
        assert town.kube.job("a").status.prev_report_states == {"github-reporter": "triggered"}
        second.kube.out.open()
        await settle()
        second.kube.back.open()
        await passes(100)
        assert town.kube.job("a").status.prev_report_states == {"github-reporter": "success"}


@story
async def test_a_comment_under_way_does_not_stand_twice() -> None:
    town = Town()
    seen = Watched(town)
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        town.kube.put(town.presubmit("a", number, sha))
        await settle()
        first.hub.out.hold(is_write("POST", "/comments"))
        complete(town, "a", "failure")
        on_its_way = await overtaken(first.hub, first, second)
        assert len(seen.comments(number)) == 1
        on_its_way.open()
        await settle()
        assert len(seen.comments(number)) == 2
        await first.go_on()
        told = posted(town, sha)
        await passes(90)
        assert len(seen.comments(number)) == 1
        assert seen.statuses(sha) == {"unit": "failure"}
        assert posted(town, sha) == told, "a status that stands was posted again"


@story
async def test_a_record_under_way_does_not_bring_an_old_state_back() -> None:
    """1. The record of `triggered` waits on the wire; the other records success. 2. It arrives: success stays told."""
    town = Town()
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        first.kube.out.hold(is_write("PATCH", "/prowjobs/"))
        town.kube.put(town.presubmit("a", number, sha))
        await passes(32)
        on_its_way = await overtaken(first.kube, first, second)
        complete(town, "a", "success")
        await passes(2)
        told = posted(town, sha)
        on_its_way.open()
        await first.go_on()
        await passes(100)
        assert town.kube.job("a").status.prev_report_states["github-reporter"] == "success"
        assert posted(town, sha) == told


@story
async def test_a_successor_whose_watches_are_behind_says_nothing_old() -> None:
    """1. The other saw a job begin; then its watches fall silent. 2. The leader tells and records failure, and dies.

    3. The other leads, and says nothing of what it knows until its watches have caught up: it has been told.
    """
    town = Town()
    seen = Watched(town)
    number, sha = town.open_pull()
    async with two(town, "crier") as (first, second):
        town.kube.put(town.presubmit("a", number, sha))
        await settle()
        second.kube.back.hold(lambda method, path: method == "WATCH" and "/leases" not in path)
        complete(town, "a", "failure")
        await passes(2)
        assert town.kube.job("a").status.prev_report_states == {"github-reporter": "failure"}
        told = posted(town, sha)
        first.die()
        await leads(second, 20.0)
        await passes(5)
        assert posted(town, sha) == told
        second.kube.back.open()
        await passes(5)
        number, sha = town.open_pull()
        town.kube.put(town.presubmit("b", number, sha))
        await settle()
        assert seen.statuses(sha) == {"unit": "pending"}


class _Asked(FixedToken):
    """A token that is asked for before each write, as a GitHub App's is when it has run out."""

    def __init__(self, hub: Transport) -> None:
        super().__init__("bot-token")
        self._hub = hub

    async def travel(self, ask: Ask) -> Pass:
        if not ask.reads:
            async with self._hub.send("GET", "/rate_limit", {"authorization": "Bearer bot-token"}) as reply:
                await reply.read()
        return await super().travel(ask)


@story
async def test_a_status_that_waits_for_its_token_is_not_sent_by_who_leads_no_more() -> None:
    """1. Its token is under way: the process stops. 2. The other tells the end. 3. `pending` never goes."""
    town = Town()
    seen = Watched(town)
    number, sha = town.open_pull()
    async with two(town, "crier", credentials=_Asked) as (first, second):

        def strikes(method: str, path: str) -> bool:
            if path == "/rate_limit" and not first.paused:
                first.pause()
            return first.paused

        first.hub.back.hold(strikes)
        town.kube.put(town.presubmit("a", number, sha))
        await settle()
        assert first.hub.back.held == ["GET /rate_limit"]
        await leads(second, 10.0)
        complete(town, "a", "success")
        await passes(300)
        await first.go_on()
        await passes(300)
        assert seen.statuses(sha) == {"unit": "success"}
        seen.judge()
