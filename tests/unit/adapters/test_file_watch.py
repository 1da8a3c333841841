"""Watching folders: whoever leaves is not met by news that come at that moment."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import watchfiles

from prow_async.adapters import file_watch

pytestmark = pytest.mark.anyio


async def test_news_that_come_while_we_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """watchfiles waits in a thread, which may still bring some after its cancellation."""

    async def late(*_: Any, **__: Any) -> AsyncIterator[set[Any]]:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            yield set()
            raise

    monkeypatch.setattr(watchfiles, "awatch", late)
    async with file_watch.changes([([str(tmp_path)], False)]) as woken:
        await anext(woken)
        await anyio.sleep(0.01)
    with anyio.move_on_after(0.05):
        async with file_watch.changes([([str(tmp_path)], False)]):
            await anyio.sleep_forever()
