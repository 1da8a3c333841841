"""Two hundred seeded lives of the whole engine: 409, 410, 5xx, cut watches, late and doubled events, sudden death."""

import pytest

from tests.lives import life

SEEDS, EACH = 200, 10


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, EACH))
def test_every_life_ends_well(first: int) -> None:
    """Whatever fails on the way, the world that is left holds every promise; a failing seed prints its command."""
    outcomes = [life.live(seed) for seed in range(first, first + EACH)]
    assert [str(outcome) for outcome in outcomes if outcome.trouble] == []
    assert sum(outcome.jobs for outcome in outcomes) > EACH
    assert sum(outcome.writes for outcome in outcomes) > 0


@pytest.mark.slow
def test_the_same_seed_lives_the_same_life() -> None:
    """What a seed shows once it shows again: a failure can be looked at."""
    first, second = life.live(3), life.live(3)
    assert (first.writes, first.jobs, first.deliveries) == (second.writes, second.jobs, second.deliveries)
    assert first.story == second.story
