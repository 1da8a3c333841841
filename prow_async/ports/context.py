"""What travels with the work instead of through every call: context variables, set for a block."""

import contextvars
from typing import Generic, TypeVar

T = TypeVar("T")


class Set(Generic[T]):
    """Give a variable a value in the block, and in every task that is started in it.

    A class, since a generator costs several times as much, for each delivery, each report and each write.
    """

    __slots__ = ("_before", "_value", "_variable")

    def __init__(self, variable: contextvars.ContextVar[T], value: T) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._before = self._variable.set(self._value)

    def __exit__(self, *story: object) -> None:
        self._variable.reset(self._before)
