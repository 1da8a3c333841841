"""Why a request is made: known where the work begins, needed where the request is sent.

It travels as a context variable, so that tasks started on the way inherit it and no method has to pass it on.
"""

import contextlib
import contextvars
from typing import Literal

import msgspec

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
    return _Because(cause)


class _Because:
    """A class, since a generator costs several times as much, for each delivery and each report."""

    def __init__(self, cause: Cause) -> None:
        self._cause = cause

    def __enter__(self) -> None:
        self._before = _current.set(self._cause)

    def __exit__(self, *story: object) -> None:
        _current.reset(self._before)
