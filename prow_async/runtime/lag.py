"""How late the event loop serves its sleepers: the first sign that something blocks it."""

from collections.abc import Callable

import anyio


async def watch(observe: Callable[[float], None], every_s: float = 0.5) -> None:
    """Report, every `every_s` seconds, by how many seconds the wake-up came late. Runs until cancelled."""
    while True:
        due = anyio.current_time() + every_s
        await anyio.sleep(every_s)
        observe(max(0.0, anyio.current_time() - due))
