"""A month of production's periodics."""

import pytest

from tests.actors import month


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [1, 2])
@month.needs_production
def test_a_month_of_production(seed: int) -> None:
    """170 periodics, three tickers that die and come back, five outages: duplicates 0, missed 0 by each policy."""
    month.live(seed, days=30, outages=5, owed=10_000)
