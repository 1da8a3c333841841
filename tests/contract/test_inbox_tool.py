"""`prow-async inbox` on a real folder: beside a process that works on it, and without one."""

import json
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from prow_async import cli
from prow_async.adapters.inbox import reader
from prow_async.adapters.inbox.durable import DurableInbox
from prow_async.adapters.inbox.store import Settings
from prow_async.api.actions import Decision
from tests.contract.inbox_parts import TIDY_S, accept, guid, inbox, log_files, pass_through, tidied, waiting

pytestmark = pytest.mark.anyio
HISTORY = Settings(segment_bytes=256 << 10, spares=1, history_bytes=1 << 20)


class Tool:
    """The program, its output and its exit code."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.told = ""

    async def __call__(self, *words: str) -> Sequence[str]:
        code, out = await self.tried(*words)
        assert code == 0, self.told
        return out

    async def tried(self, *words: str) -> tuple[int, Sequence[str]]:
        self._capsys.readouterr()
        code = await anyio.to_thread.run_sync(cli.run, ["inbox", *words, f"--inbox-dir={self.folder}"])
        out, self.told = self._capsys.readouterr()
        return code, out.splitlines()


@pytest.fixture
def tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool(tmp_path, capsys)


async def until_waiting(box: DurableInbox, number: int) -> dict[str, bytes]:
    with anyio.fail_after(20):
        while len(found := await waiting(box)) != number:
            await anyio.sleep(0.02)
    return found


async def test_looking_beside_a_running_hook(tmp_path: Path, tool: Tool) -> None:
    """1. Three come, one is finished. 2. Two are listed as waiting, one as handled. 3. One is shown whole."""
    async with inbox(tmp_path, HISTORY) as box:
        seqs = [await accept(box, number) for number in range(3)]
        await box.finish(seqs[0], "p: nothing to do")
        await box.decide(seqs[1], "p", Decision((), "because"), ())
        assert [line.split()[2] for line in await tool("ls")] == [guid(1), guid(2)]
        assert [line.split()[2] for line in await tool("ls", "--limit=1")] == [guid(2)]
        (handled,) = await tool("ls", "--handled", "--json")
        assert json.loads(handled)["note"] == "p: nothing to do"
        assert await tool("ls", "--event=issues") == []
        shown = json.loads("\n".join(await tool("show", guid(1))))
        assert (shown["state"], shown["body"]["number"], shown["headers"]["X-GitHub-Event"]) == ("waiting", 1, "push")
        assert shown["decisions"][0]["decision"]["why"] == "because"
        assert json.loads("\n".join(await tool("show", str(seqs[0]))))["state"] == "handled"


async def test_a_replay_has_an_id_of_its_own(tmp_path: Path, tool: Tool) -> None:
    """1. One handled is replayed, twice. 2. Both are accepted, under ids that tell them apart, with the same body."""
    async with inbox(tmp_path, HISTORY) as box:
        await box.finish(await accept(box, 7))
        (first,) = await tool("replay", guid(7))
        (second,) = await tool("replay", guid(7))
        assert "within seconds" in tool.told
        found = await until_waiting(box, 2)
        assert {first.split()[-1], second.split()[-1]} == found.keys()
        assert len(set(found.values())) == 1
        (delivery, _) = await box.pending(0, 10)
        assert delivery.headers["X-Prow-Async-Replay-Of"] == guid(7)
        assert delivery.headers["X-GitHub-Delivery"] == delivery.guid


async def test_dropping_one_that_waits(tmp_path: Path, tool: Tool) -> None:
    async with inbox(tmp_path, HISTORY) as box:
        for number in range(2):
            await accept(box, number)
        await tool("drop", guid(0))
        assert (await until_waiting(box, 1)).keys() == {guid(1)}
        assert await box.fate(guid(0)) == "dropped by hand"
        code, _ = await tool.tried("drop", guid(0))
        assert (code, tool.told.splitlines()[0]) == (1, f"{guid(0)}: handled already")


async def test_letters_are_listed_replayed_and_dropped(tmp_path: Path, tool: Tool) -> None:
    async with inbox(tmp_path, HISTORY) as box:
        for number in range(3):
            await accept(box, number)
        for delivery in await box.pending(0, 10):
            await box.bury(delivery, f"p: failed: {delivery.guid[:8]}")
        assert {line.split()[2] for line in await tool("ls", "--dead")} == {guid(n) for n in range(3)}
        assert json.loads("\n".join(await tool("show", guid(1))))["note"].startswith("p: failed")
        await tool("drop", guid(0))
        assert len(await tool("replay", "--dead")) == 2
        assert await tool("ls", "--dead") == []
        found = await until_waiting(box, 2)
        assert {json.loads(body)["number"] for body in found.values()} == {1, 2}


async def test_without_a_hook_it_is_done_at_the_next_start(tmp_path: Path, tool: Tool) -> None:
    async with inbox(tmp_path, HISTORY) as box:
        for number in range(3):
            await accept(box, number)
        await box.finish(1)
    await tool("drop", guid(1))
    await tool("replay", guid(0))
    assert "when one starts" in tool.told
    async with inbox(tmp_path, HISTORY) as box:
        found = await waiting(box)
        assert guid(1) not in found
        assert len(found) == 2, "before anybody reads"


async def test_what_is_not_there_is_told(tmp_path: Path, tool: Tool) -> None:
    assert (await tool.tried("ls"))[0] == 2
    assert "holds no inbox" in tool.told
    async with inbox(tmp_path, HISTORY) as box:
        await accept(box, 1)
        for words in (("show", "nothing"), ("explode",), ("replay",), ("show", "1", "2"), ()):
            assert (await tool.tried(*words))[0] == 2
            assert "Traceback" not in tool.told
        assert (await tool.tried("replay", "nothing"))[0] == 1


async def test_history_is_kept_up_to_its_size(tmp_path: Path, tool: Tool) -> None:
    """Handled deliveries stay to be looked at while the log is small, and leave then, the oldest first."""
    async with inbox(tmp_path, HISTORY) as box:
        await pass_through(box, range(2000), 3000)
        await accept(box, 5000)
        handled = await tool("ls", "--handled", "--limit=0")
        with anyio.fail_after(TIDY_S):
            while len(handled) >= 500:
                await anyio.sleep(0.1)
                handled = await tool("ls", "--handled", "--limit=0")
        assert 150 < len(handled) < 500
        assert guid(1999) in handled[-1] or guid(1999) in "".join(handled)
        assert len(log_files(tmp_path)) < 12
        assert [line.split()[2] for line in await tool("ls")] == [guid(5000)]


@pytest.mark.parametrize(("history", "most", "kept"), [(16, 1024, 16), (40, 42, 21)])
async def test_history_of_many_files_is_kept_and_leaves_room(
    history: int, most: int, kept: int, tmp_path: Path
) -> None:
    """1. Much passes through, bit by bit. 2. What was wished for is kept, but no more than half of all room."""
    size = 64 << 10
    wished = Settings(size, spares=1, carry_above=2, history_bytes=history * size, max_bytes=most * size)
    async with inbox(tmp_path, wished) as box:
        for first in range(0, 1500, 100):
            await pass_through(box, range(first, first + 100), 3000)
            await tidied(tmp_path, kept + 4)
        assert kept <= len([name for name in log_files(tmp_path) if not name.startswith("spare")])


async def test_looking_while_much_is_written(tmp_path: Path) -> None:
    """Segments are emptied, renamed and written anew all the while; what is seen is whole."""
    async with inbox(tmp_path, HISTORY) as box, anyio.create_task_group() as group:
        kept = {guid(await_number) for await_number in (90_001, 90_002)}
        for number in (90_001, 90_002):
            await accept(box, number)
        group.start_soon(pass_through, box, range(3000), 4000)
        for _ in range(15):
            found = await anyio.to_thread.run_sync(reader.look, tmp_path)
            assert kept <= {row.guid for row in found.rows.values() if row.finished_s is None}
            for row in list(found.rows.values())[:50]:
                body = reader.read(row.spot)
                assert body is None or len(body) == row.spot.size_bytes
