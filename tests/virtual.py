"""Virtual time: an async test body on trio with a clock that jumps whenever everybody waits."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing


def run(body: Callable[[], Awaitable[Any]], limit_s: float = 1e7) -> Any:
    """Run `body` to its end. Raises TooSlowError when it needs more than `limit_s` virtual seconds."""

    async def bounded() -> Any:
        with trio.fail_after(limit_s):
            return await body()

    return trio.run(bounded, clock=trio.testing.MockClock(autojump_threshold=0))
