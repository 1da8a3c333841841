"""hold: who says what, and what becomes of the label."""

from typing import Any

import pytest

from prow_async.plugins import hold
from tests.unit.plugins.parts import World, run, said

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("body", "labels", "done"),
    [
        ("/hold", (), ["+do-not-merge/hold"]),
        ("/HOLD until friday", (), ["+do-not-merge/hold"]),
        ("text\r\n/hold\r\ntext", (), ["+do-not-merge/hold"]),
        ("/hold", ("do-not-merge/hold",), []),
        ("/hold", ("Do-Not-Merge/Hold",), []),
        ("/hold cancel", ("do-not-merge/hold",), ["-do-not-merge/hold"]),
        ("/hold  cancel please", ("do-not-merge/hold",), ["-do-not-merge/hold"]),
        ("/unhold", ("do-not-merge/hold",), ["-do-not-merge/hold"]),
        ("/remove-hold now", ("do-not-merge/hold",), ["-do-not-merge/hold"]),
        ("/hold\n/hold cancel", ("do-not-merge/hold",), ["-do-not-merge/hold"]),
        ("/hold cancel", (), []),
        ("/holdup", (), None),
        (" /hold", (), None),
        ("on /hold", (), None),
        ("/hold canceled", (), ["+do-not-merge/hold"]),
    ],
)
async def test_commands(body: str, labels: tuple[str, ...], done: list[str] | None) -> None:
    assert await run(hold.PLUGIN, said(body), World(labels_=labels)) == done


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        ({"issue_state": "closed"}, ["+do-not-merge/hold"]),
        ({"is_pr": False}, None),
        ({"action": "edited"}, None),
        ({"action": "deleted"}, None),
    ],
)
async def test_where_it_works(changes: dict[str, Any], done: list[str] | None) -> None:
    assert await run(hold.PLUGIN, said("/hold", **changes), World()) == done


async def test_nothing_is_read_without_a_command() -> None:
    world = World(asked=[])
    assert await run(hold.PLUGIN, said("looks good"), world) is None
    assert world.asked == []
