"""Why a request is made: known where the work begins, needed where the request is sent.

It travels as a context variable, so that tasks started on the way inherit it and no method has to pass it on.
"""

import contextlib
import contextvars
from typing import Literal

import msgspec

from prow_async.ports import context

Urgency = Literal["merge", "status", "comment", "sync"]
"""What goes first when a budget runs short, most urgent first. `sync` is work that nobody waits for."""

URGENCIES: tuple[Urgency, ...] = ("merge", "status", "comment", "sync")


class Cause(msgspec.Struct, frozen=True):
    """`id`: delivery GUID or object name, for logs. `origin`: plugin or kind of action: few values, for metrics."""

    id: str = ""
    origin: str = ""
    urgency: Urgency = "comment"


_SYNC: Urgency = "sync"
_current: contextvars.ContextVar[Cause] = contextvars.ContextVar("cause", default=Cause())  # noqa: B039 - an immutable value


def current() -> Cause:
    return _current.get()


def unhurried() -> contextlib.AbstractContextManager[None]:
    """Let everything in the block be done for the same cause as before, when nothing more urgent is to be done."""
    return because(msgspec.structs.replace(current(), urgency=_SYNC))


def because(cause: Cause) -> contextlib.AbstractContextManager[None]:
    """Let everything in the block, and every task started in it, be done for this cause."""
    return context.Set(_current, cause)
