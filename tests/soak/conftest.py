"""Hooks of the soak: what takes longest begins first, so that one worker waits for it while the other does the rest."""

import pytest

from tests import realkube
from tests.realkube import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
FIRST = "soak_memory"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the run of a quarter of an hour before everything else."""
    realkube.pytest_collection_modifyitems(items)
    items.sort(key=lambda item: not any(mark.args == (FIRST,) for mark in item.iter_markers("xdist_group")))
