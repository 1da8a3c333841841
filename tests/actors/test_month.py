"""Some days of production's periodics; the whole month is in tests/soak."""

import pytest

from tests.actors import month


@pytest.mark.slow
@pytest.mark.timeout(900)
@month.needs_production
def test_three_days_of_production() -> None:
    """Three tickers that die and come back, an outage of all: nothing runs twice, nothing owed is missed."""
    month.live(seed=1, days=3, outages=1, owed=700)
