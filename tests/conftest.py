"""Fixtures for every kind of test."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The shipped loop. Tests of virtual time run on trio with a MockClock of their own (tests/virtual.py)."""
    return "asyncio"
