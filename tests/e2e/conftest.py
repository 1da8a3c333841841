"""The real kube-apiserver for stories told from outside."""

from tests.realkube import pytest_collection_modifyitems, pytest_terminal_summary, real_kube

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary", "real_kube"]
