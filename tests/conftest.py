"""Fixtures for every kind of test."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.github_form import github_form

__all__ = ["github_form"]
SOAK = Path(__file__).parent / "soak"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests of tests/soak too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        skip = pytest.mark.skip(reason="long runs: make soak")
        for item in items:
            if SOAK in item.path.parents:
                item.add_marker(skip)


@pytest.fixture
def anyio_backend() -> str:
    """The shipped loop. Tests of virtual time run on trio with a MockClock of their own (tests/virtual.py)."""
    return "asyncio"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Programs that run in this process set up its logs; those of the next test go where they went before."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = [*root.handlers], root.level
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
