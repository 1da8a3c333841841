"""Hooks of the soak: one worker first, and alone, runs what true time counts for; the lives, of low priority, give way.

Only what is left needs the processor for itself, and comes last.
"""

import pytest

from tests import realkube
from tests.realkube import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
SERVERS = "soak_servers"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort: the servers, the run of a quarter of an hour before all; then the lives; then the rest."""
    realkube.pytest_collection_modifyitems(items)
    items.sort(key=_place)


def _place(item: pytest.Item) -> tuple[bool, bool]:
    on_servers = any(mark.args == (SERVERS,) for mark in item.iter_markers("xdist_group"))
    return not on_servers, "test_lives.py" not in item.nodeid
