"""Fixtures for every kind of test."""

from pathlib import Path

import pytest

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
