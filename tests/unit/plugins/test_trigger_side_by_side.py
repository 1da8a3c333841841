"""Two reads side by side, and what ends them."""

import anyio
import pytest

from prow_async.api.errors import Retry
from prow_async.plugins import trigger as plugin
from tests import virtual


def test_the_first_error_is_raised_as_it_was() -> None:
    async def fails() -> None:
        raise Retry("GitHub is away")

    with pytest.raises(Retry, match="GitHub is away"):
        virtual.run(lambda: plugin.both(fails, anyio.sleep_forever))


def test_who_is_cancelled_ends_so_whatever_fails_beside() -> None:
    """An error that came with the cancellation would outlive the scope, and end whoever opened it."""

    async def body() -> bool:
        with anyio.CancelScope() as scope:

            async def fails() -> None:
                scope.cancel()
                raise Retry("GitHub is away")

            await plugin.both(fails, anyio.sleep_forever)
        return scope.cancelled_caught

    assert virtual.run(body)
