"""Hooks of the soak: one worker first, and alone, runs what true time counts for; the lives, of low priority, give way.

Only what is left needs the processor for itself, and comes last.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests import realkube
from tests.realkube import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
SERVERS = ("test_memory.py", "test_servers_killed.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort: the servers, the run of a quarter of an hour before all; then the lives; then the rest."""
    realkube.pytest_collection_modifyitems(items)
    items.sort(key=lambda item: (not _on_servers(item.nodeid), "test_lives.py" not in item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Give the servers' tests to one worker, one after the other; all others to whoever is free."""
    return _Scheduling(config, log)


class _Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return "servers" if _on_servers(nodeid) else nodeid


def _on_servers(nodeid: str) -> bool:
    return any(name in nodeid for name in SERVERS)
