"""Whether a write may still be sent: asked where it leaves, after it has waited for its turn, for a budget or a token.

It travels as a context variable, as its cause does: the adapters in between need not know of it.
"""

import contextlib
import contextvars
from collections.abc import Callable

from prow_async.ports import context

Check = Callable[[], None]
"""Raises when nothing may be sent any more."""


def _always() -> None:
    return


_current: contextvars.ContextVar[Check] = contextvars.ContextVar("permit", default=_always)


def check() -> None:
    """Return if a write may be sent now. Raises what whoever ordered it wants raised."""
    _current.get()()


def needed(allowed: Check) -> contextlib.AbstractContextManager[None]:
    """Let every write in the block ask `allowed` as it leaves."""
    return context.Set(_current, allowed)
