"""Work that blocks, asked for by the world and done by its doors.

The world is synchronous and does no I/O. A handler that needs git is a generator: it yields `Work`, is sent what came
of it, and returns its answer. The doors do the work in threads (`run`); whoever may block does it here (`run_here`).
"""

from collections.abc import Callable, Generator
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread
import msgspec

T = TypeVar("T")

Work = Callable[[], Any]
"""One blocking piece of work. It touches git alone, never the world."""


class Turn(msgspec.Struct, frozen=True):
    """Asks to be alone with a repository's git from here on, until another turn is asked for or the generator ends.

    At most one is held, so that no two requests wait for each other.
    """

    lock: anyio.Lock


Steps = Generator[Work | Turn, Any, T]


def ask(work: Callable[[], T]) -> Steps[T]:
    """Have one piece of work done: `found = yield from ask(work)`."""
    return cast("T", (yield work))


def run_here(steps: Steps[T]) -> T:
    """Do all the work in this thread. For those who may block and are alone with the world."""
    try:
        asked = next(steps)
        while True:
            if isinstance(asked, Turn):
                asked = steps.send(None)
                continue
            try:
                result = asked()
            except Exception as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(result)
    except StopIteration as ended:
        return cast("T", ended.value)


async def run(steps: Steps[T]) -> T:
    """Do the work in threads, the steps between on the event loop. A piece of work that began is waited for."""
    held: anyio.Lock | None = None
    try:
        asked = next(steps)
        while True:
            if isinstance(asked, Turn):
                if asked.lock is not held:
                    if held is not None:
                        held.release()
                    held = None
                    await asked.lock.acquire()
                    held = asked.lock
                asked = steps.send(None)
                continue
            try:
                result = await anyio.to_thread.run_sync(asked)
            except Exception as error:
                asked = steps.throw(error)
            else:
                asked = steps.send(result)
    except StopIteration as ended:
        return cast("T", ended.value)
    finally:
        steps.close()
        if held is not None:
            held.release()
