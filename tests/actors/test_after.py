"""A plugin that reacts to what became of its actions: durably, once, to what really became of them."""

from pathlib import Path

import anyio
import pytest

from prow_async.api import actions
from prow_async.api.actions import Decision
from prow_async.ports.inbox import ActionState
from prow_async.ports.plugin import Event, Help, Plugin, Reads
from tests.actors import inbox as inboxes
from tests.actors.test_router import deliver, hook, said, town_with
from tests.actors.worlds import ORG, REPO, Town, passes, story


class Labeller:
    """Adds two labels, the second to a pull request that is not there; then says what became of them."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[ActionState, ...]] = []
        self.decided = 0
        self.plugin = Plugin("p", Help("p"), frozenset({"pull_request"}), self._gather, self._decide, after=self._after)

    async def _gather(self, reads: Reads, event: Event, guid: str) -> int:
        await anyio.lowlevel.checkpoint()
        return event.number  # type: ignore[union-attr] - a pull request has one

    def _decide(self, number: int) -> Decision:
        self.decided += 1
        place = {"org": ORG, "repo": REPO, "label": "l", "why": "it is new"}
        acts = [actions.AddLabel(number=each, **place) for each in (number, 999)]  # type: ignore[arg-type]
        return Decision(tuple(acts), "labels", kept=str(number).encode())

    def _after(self, decision: Decision, outcomes: tuple[ActionState, ...]) -> Decision | None:
        self.outcomes.append(outcomes)
        if "refused" not in outcomes:
            return None
        body = f"{outcomes.count('refused')} refused"
        comment = actions.CreateComment(
            org=ORG, repo=REPO, number=int(decision.kept), body=body, why="some were refused"
        )
        return Decision((comment,), "tells")


def town_of_one() -> tuple[Town, int]:
    town = town_with(plugins=("p",))
    return town, town.open_pull()[0]


def texts(town: Town, number: int) -> list[str | None]:
    return [comment.body for comment in town.github.comments(ORG, REPO, number)]


@story
async def test_it_sees_what_was_done_and_what_refused(tmp_path: Path) -> None:
    town, number = town_of_one()
    labeller = Labeller()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        async with hook(town, inbox, labeller.plugin):
            assert labeller.outcomes == [("done", "refused")]
            assert texts(town, number) == ["1 refused"]
            assert inbox.words == ["Accepted", "Decided", "Marked", "Decided", "Finished"]
            assert await inbox.fate(guid) == "p: labels; tells"


@pytest.mark.parametrize("word", ["Marked", "Finished"])
@story
async def test_it_is_continued_after_a_crash(tmp_path: Path, word: str) -> None:
    """1. The process dies before or after the reaction. 2. The next one tells once, and decides nothing again."""
    town, number = town_of_one()
    first, second = Labeller(), Labeller()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        await deliver(town, inbox)
        inbox.stop_at = word
        async with hook(town, inbox, first.plugin):
            await inbox.stopped.wait()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        async with hook(town, inbox, second.plugin):
            assert texts(town, number) == ["1 refused"]
            assert (first.decided, second.decided) == (1, 0)
            assert inbox.statistics().waiting == 0


@story
async def test_a_reaction_that_has_to_wait_is_continued(tmp_path: Path) -> None:
    """GitHub takes no comment for a while: what was done is not done again, and the reaction is not decided again."""
    town, number = town_of_one()
    labeller = Labeller()
    with inboxes.opened(tmp_path, town.clock) as inbox:
        (guid,) = await deliver(town, inbox)
        town.github_faults.fail("POST", f"/issues/{number}/comments", times=6)
        async with hook(town, inbox, labeller.plugin):
            await passes(120)
            assert texts(town, number) == ["1 refused"]
            assert labeller.decided == 1
            assert labeller.outcomes == [("done", "refused")]
            assert said(town, number) == 1
            assert await inbox.fate(guid) == "p: labels; tells"
