"""One life, told again and again, each time with the death of a process after another write."""

import pytest

from tests.lives import life

SEED, SHARES = 9, 8


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
def test_a_kill_after_every_write(share: int) -> None:
    """Whichever write was the last, what is started again ends as it must."""
    writes = life.live(SEED, kill=0).writes
    outcomes = [life.live(SEED, kill) for kill in range(1 + share, writes + 1, SHARES)]
    assert [str(outcome) for outcome in outcomes if outcome.trouble] == []
    assert sum(outcome.deaths for outcome in outcomes) == len(outcomes)
