"""The real kube-apiserver, and the programs that read what is deployed."""

import os
from pathlib import Path

import pytest

from tests.realkube import pytest_collection_modifyitems, pytest_terminal_summary, real_kube
from tests.tools import install

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary", "real_kube"]


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus's checker of rules."""
    if os.environ.get(install.SKIP) == "1":
        pytest.skip(f"{install.SKIP}=1: promtool is not built")
    try:
        return install.ensure(tools=install.PROMTOOL) / "promtool"
    except install.CannotInstall as error:
        pytest.fail(str(error), pytrace=False)
