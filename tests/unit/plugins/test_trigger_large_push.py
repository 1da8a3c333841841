"""trigger on pushes that touch very many files."""

import anyio
import anyio.lowlevel
import pytest

from prow_async.api.github import Commit
from prow_async.api.jobconfig import Postsubmit
from prow_async.api.plugin_config import Trigger
from prow_async.plugins import trigger as plugin
from tests.unit.core import samples
from tests.unit.plugins.test_trigger import World, created, push, reads

pytestmark = pytest.mark.anyio
FILES = tuple(f"vendor/lib{number}/file.md" for number in range(9999))
LARGE = push(commits=(Commit(added=FILES), Commit(modified=("cmd/last.go",))))


def job(name: str, **changes: str | tuple[str, ...]) -> Postsubmit:
    return Postsubmit(name=name, context=name, agent="kubernetes", cluster="default", namespace="pods", **changes)  # type: ignore[arg-type]  # each of its key


JOBS = (
    job("first", run_if_changed="^vendor/lib0/"),
    job("last", run_if_changed=r"\.go$"),
    job("none", run_if_changed=r"\.java$"),
    job("elsewhere", run_if_changed=r"\.go$", branches=("^release$",)),
    job("other", skip_if_only_changed="^vendor/"),
    job("nothing-else", skip_if_only_changed="^(vendor|cmd)/"),
    job("always"),
)


async def test_every_file_counts() -> None:
    assert [made.spec.job for made in await created(LARGE, World(), JOBS)] == ["first", "last", "other", "always"]


async def test_others_have_their_turn() -> None:
    """A large push does not keep the event loop, and with it every webhook, until all patterns have been tried."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    many = tuple(job(f"p{number}", run_if_changed=rf"^pkg/{number}/") for number in range(20))
    async with anyio.create_task_group() as group:
        group.start_soon(others)
        assert await plugin.gather(reads(World(), Trigger(), (), many), LARGE, samples.GUID) is not None
        group.cancel_scope.cancel()
    assert turns >= len(many) * 4
