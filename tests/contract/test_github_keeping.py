"""The small GitHub's state file: what comes back after a restart, and what is refused."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from prow_async.api.errors import CannotStart
from prow_async.sandbox.github import ground, keeping, landing, steps
from prow_async.sandbox.github.direct import DirectTransport
from prow_async.sandbox.github.git import reading, writing
from prow_async.sandbox.github.git.store import Repositories
from prow_async.sandbox.github.outbox import Outcome
from prow_async.sandbox.github.person import Person
from prow_async.sandbox.github.world import World
from tests.unit.sandbox_github import sample
from tests.unit.sandbox_github.sample import NOW_S, OWNER_TOKEN

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def lived(folder: Path) -> AsyncIterator[tuple[World, Person]]:
    """Live with a world in a folder, as `prow-async up` does."""
    world = World(sample.NumberedIds())
    world.git = Repositories(folder / "repositories")
    state = keeping.read(folder / "state")
    if state is None:
        world = sample.make_people()
        world.git = Repositories(folder / "repositories")
        await steps.run(landing.make_repo(world, ("acme", "app"), now_s=NOW_S))
    else:
        keeping.restore(world, state)
        await steps.run(keeping.catch_up(world, NOW_S))
    world.add_user("olga", OWNER_TOKEN)
    async with keeping.kept(world, folder / "state"):
        yield world, Person(DirectTransport(world, sample.FixedClock(), OWNER_TOKEN))


async def test_all_that_is_said_comes_back(tmp_path: Path) -> None:
    app = "/repos/acme/app"

    async def seen(person: Person) -> list[Any]:
        paths = ("", "/pulls/1", "/pulls/1/files", "/issues/1/comments", "/pulls/1/reviews", "/labels", "/hooks")
        found = [await person.ask("GET", app + path) for path in paths]
        return [*found, await person.ask("GET", "/orgs/acme/teams"), await person.ask("GET", "/orgs/acme/members")]

    async with lived(tmp_path) as (world, person):
        world.add_team("acme", "leads", ["bob"])
        world.add_hook("acme", "app", "http://127.0.0.1:1/hook", b"s", now_s=NOW_S)
        await person.push("acme", "app", "topic", "m", {"a": b"1"})
        number = await person.open_pull("acme", "app", "T", "topic")
        await person.comment("acme", "app", number, "said")
        await person.ask("POST", f"{app}/issues/1/labels", {"labels": ["lgtm"]})
        await person.ask("POST", f"{app}/pulls/1/reviews", {"event": "COMMENT", "body": "hm"})
        before = await seen(person)
        ids = world.next_id()
    async with lived(tmp_path) as (world, person):
        assert await seen(person) == before
        assert world.next_id() > ids
        await person.comment("acme", "app", number, "more")
        assert len(world.comments("acme", "app", number)) == 2
        assert await person.merge("acme", "app", number) == world.repo("acme", "app").refs["heads/main"]
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o600


async def test_deliveries_come_back_in_order(tmp_path: Path) -> None:
    async with lived(tmp_path) as (world, _):
        hook = world.own_hook("acme", "http://127.0.0.1:1/hook", b"old", now_s=NOW_S)
        tried = world.outbox.take(hook.id)
        assert tried is not None
        tried.outcome = Outcome(200, NOW_S)
        world.open_issue("acme", "app", "alice", "One", now_s=NOW_S)
        world.open_issue("acme", "app", "alice", "Two", now_s=NOW_S)
        waiting = [one.guid for one in world.outbox.waiting()]
    async with lived(tmp_path) as (world, _):
        assert [one.guid for one in world.outbox.waiting()] == waiting
        assert [(one.guid, one.outcome) for one in world.outbox.log()] == [(tried.guid, Outcome(200, NOW_S))]
        moved = world.own_hook("acme", "http://127.0.0.1:2/hook", b"new", now_s=NOW_S)
        assert [one.hook.url for one in world.outbox.waiting()] == [moved.url] * 3
        assert len(world.org("acme").hooks) == 1


async def test_a_push_that_the_state_has_missed_is_told(tmp_path: Path) -> None:
    """The process died after git took a push and before the state was written."""
    async with lived(tmp_path) as (world, _):
        world.own_hook("acme", "http://127.0.0.1:1/hook", b"s", now_s=NOW_S)
        git = Repositories(tmp_path / "repositories").at("acme", "app")
        old = reading.refs(git)["heads/main"]
    by = ground.sign("bob", NOW_S)
    new = writing.commit_files(git, old, {"b": b"2"}, "m", by)
    assert writing.move(git, [writing.RefMove("heads/main", new, old)])
    async with lived(tmp_path) as (world, _):
        (told,) = [one for one in world.outbox.waiting() if one.event == "push"]
        assert new.encode() in told.body
        assert world.repo("acme", "app").refs["heads/main"] == new


async def test_a_change_is_written_while_it_runs(tmp_path: Path) -> None:
    async with lived(tmp_path) as (world, _):
        world.open_issue("acme", "app", "alice", "A title to look for", now_s=NOW_S)
        with anyio.fail_after(30):
            while b"A title to look for" not in (keeping.read(tmp_path / "state") or b""):
                await anyio.sleep(0.01)
    assert sorted(os.listdir(tmp_path)) == ["repositories", "state"]


@pytest.mark.parametrize("damage", ["cut", "other", "version", "empty"])
async def test_states_that_cannot_be_read_are_named(tmp_path: Path, damage: str) -> None:
    world = sample.make()
    data = keeping.dump(world)
    changed = {
        "cut": data[:-9],
        "other": data.replace(b"small GitHub", b"large GitHub"),
        "version": data.replace(b"\xa7version\x01", b"\xa7version\x02"),
        "empty": b"",
    }[damage]
    assert changed != data
    with pytest.raises(CannotStart):
        keeping.restore(World(sample.NumberedIds()), changed)


async def test_no_token_is_in_the_state() -> None:
    assert OWNER_TOKEN.encode() not in keeping.dump(sample.make())
