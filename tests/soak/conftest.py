"""Fixtures and hooks of the soak."""

from tests.realkube import pytest_collection_modifyitems, pytest_terminal_summary

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]
