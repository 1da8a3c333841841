"""A disk that is full, or fails: refused for now, and the process goes on."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("case", ["no_room", "broken_write"])
def test_trouble_with_the_disk_is_survived(tmp_path: Path, case: str) -> None:
    """The case is told in tests/contract/inbox_cramped.py."""
    command = [sys.executable, "-m", "tests.contract.inbox_cramped", str(tmp_path), case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
