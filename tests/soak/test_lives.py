"""Thousands of seeded lives, beyond those of every test run."""

import re
import subprocess
import sys

import pytest

FIRST, SEEDS, EACH = 1000, 5000, 50


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, EACH))
def test_every_life_ends_well(first: int) -> None:
    """Whatever fails on the way, the world that is left holds every promise; a failing seed prints its command.

    They take what time the others leave: whoever runs beside them has true clocks and servers to wait for.
    """
    words = ("nice", "-n", "19", sys.executable, "-m", "tests.lives", str(first), "--to", str(first + EACH - 1))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    told = re.search(rf"^{EACH} lives, (\d+) ProwJobs: 0 went wrong$", done.stdout, re.MULTILINE)
    assert told is not None, done.stdout
    assert int(told[1]) > EACH
