"""Hundreds of seeded lives, beyond those of every test run."""

import pytest

from tests.lives import life

FIRST, SEEDS, EACH = 1000, 500, 50


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, EACH))
def test_every_life_ends_well(first: int) -> None:
    """Whatever fails on the way, the world that is left holds every promise; a failing seed prints its command."""
    with life.many():
        outcomes = [life.live(seed) for seed in range(first, first + EACH)]
    assert [str(outcome) for outcome in outcomes if outcome.trouble] == []
    assert sum(outcome.jobs for outcome in outcomes) > EACH
