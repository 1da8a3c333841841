"""When periodics run, and under which key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.api.jobconfig import Periodic, Retry
from prow_async.api.views import JobView
from prow_async.core import horologium, instants
from tests.unit.core import samples

NOON = instants.seconds("2026-01-02T12:00:00Z")
HOURLY = Periodic(name="p", cron="0 * * * *")
EVERY = Periodic(name="p", cron="@every 1h")
INTERVAL = Periodic(name="p", interval="1h")
MINIMUM = Periodic(name="p", minimum_interval="1h")


def run(started_ago_s: float, ended_ago_s: float | None = None, **changes: Any) -> JobView:
    end_s = None if ended_ago_s is None else NOON - ended_ago_s
    times = {"start_s": NOON - started_ago_s, "completion_s": end_s}
    return samples.view(**{"type": "periodic", "state": "success", **times, **changes})


def ask(periodic: Periodic, last: JobView | None, tick_ago_s: float | None = 60.0, now_s: float = NOON) -> str:
    tick_s = None if tick_ago_s is None else now_s - tick_ago_s
    verdict = horologium.decide(periodic, last, tick_s, now_s)
    assert verdict.why
    return f"{verdict.key} {verdict.retry}" if verdict.start else "no"


@pytest.mark.parametrize(
    ("periodic", "last", "expected"),
    [
        (INTERVAL, None, "first 0"),
        (INTERVAL, run(3601, 10), "uid-1 0"),
        (INTERVAL, run(3600, 10), "no"),
        (INTERVAL, run(9999), "no"),
        (INTERVAL, run(3601, 3000, start_s=None, created_s=NOON - 10), "no"),
        (MINIMUM, None, "first 0"),
        (MINIMUM, run(9999, 3601), "uid-1 0"),
        (MINIMUM, run(9999, 3600), "no"),
        (MINIMUM, run(9999), "no"),
        (EVERY, None, "first 0"),
        (EVERY, run(3601, 10), "uid-1 0"),
        (EVERY, run(3599, 10), "no"),
        (EVERY, run(9999), "no"),
        (Periodic(name="p", cron="TZ=UTC @every 1h"), run(3601, 10), "uid-1 0"),
    ],
)
def test_intervals(periodic: Periodic, last: JobView | None, expected: str) -> None:
    """Interval kinds run at once when they never ran, then count from the last run, whose UID is the key."""
    assert ask(periodic, last) == expected


@pytest.mark.parametrize(
    ("last", "tick_ago_s", "now_s", "expected"),
    [
        (None, 60, NOON, "2026-01-02T12:00:00Z 0"),
        (None, 60, NOON + 30, "2026-01-02T12:00:00Z 0"),
        (None, 60, NOON + 60, "no"),
        (None, 60, NOON - 1, "no"),
        (None, 86400, NOON + 30, "2026-01-02T12:00:00Z 0"),
        (run(3600, 10), 60, NOON, "2026-01-02T12:00:00Z 0"),
        (run(3600), 60, NOON, "no"),
        # never asked before: a slot missed while we were away fires, an old one does not
        (None, None, NOON + 30, "no"),
        (run(3600, 10), None, NOON + 30, "2026-01-02T12:00:00Z 0"),
        (run(3600, 10), None, NOON + 599, "2026-01-02T12:00:00Z 0"),
        (run(3600, 10), None, NOON + 601, "no"),
        (run(0, -20), None, NOON + 30, "no"),
    ],
)
def test_cron(last: JobView | None, tick_ago_s: float | None, now_s: float, expected: str) -> None:
    """A cron fires once for the latest slot since the last tick, unless its last run goes on."""
    assert ask(HOURLY, last, tick_ago_s, now_s) == expected


@pytest.mark.parametrize(
    ("cron", "tick_ago_s", "expected"),
    [
        ("@daily", 86_400, "2026-01-02T00:00:00Z 0"),
        ("*/5 * * * * *", 7, "2026-01-02T12:00:00Z 0"),
        ("0 0 30 2 *", 60, "no"),
        ("30 11 * * *", 86_400, "2026-01-02T11:30:00Z 0"),
    ],
)
def test_cron_slots(cron: str, tick_ago_s: float, expected: str) -> None:
    """Slots are found over short and long spans, with seconds and descriptors."""
    assert ask(Periodic(name="p", cron=cron), None, tick_ago_s) == expected


@given(st.integers(0, 86_400), st.integers(1, 100_000), st.integers(1, 100_000))
def test_replicas_agree(offset_s: int, one_tick_s: int, other_tick_s: int) -> None:
    """Two that both see a slot derive the same key, whenever each looked before."""
    now_s = NOON + offset_s
    keys = {ask(HOURLY, None, tick, now_s) for tick in (one_tick_s, other_tick_s)} - {"no"}
    assert len(keys) <= 1


def failed(**changes: Any) -> JobView:
    return run(600, 300, **{"state": "failure", **changes})


@pytest.mark.parametrize(
    ("retry", "last", "expected"),
    [
        (Retry(attempts=2, interval="5m"), failed(), "uid-1 1"),
        (Retry(attempts=2, interval="5m"), failed(rerun=1), "uid-1 2"),
        (Retry(attempts=2, interval="5m"), failed(rerun=2), "no"),
        (Retry(attempts=99, interval="5m"), failed(rerun=9), "uid-1 10"),
        (Retry(attempts=99, interval="5m"), failed(rerun=10), "no"),
        (Retry(attempts=2, interval="10m"), failed(), "no"),
        (Retry(attempts=2, interval="5m"), failed(state="success"), "no"),
        (Retry(attempts=2, interval="5m"), failed(state="aborted"), "uid-1 1"),
        (Retry(attempts=2, interval="5m"), failed(completion_s=None), "no"),
        (Retry(attempts=2, interval="5m", run_all=True), failed(state="success"), "uid-1 1"),
        (Retry(attempts=2, interval="5m", run_all=True), failed(completion_s=None), "uid-1 1"),
        (Retry(interval="5m"), failed(), "no"),
        (None, failed(), "no"),
    ],
)
@pytest.mark.parametrize("kind", [{"interval": "24h"}, {"minimum_interval": "24h"}, {"cron": "0 0 * * *"}])
def test_retries(retry: Retry | None, last: JobView, expected: str, kind: dict[str, Any]) -> None:
    """Every kind of periodic is run again after a failure, on its own interval, so many times and no more."""
    assert ask(Periodic(name="p", retry=retry, **kind), last) == expected


def test_own_time_beats_retry() -> None:
    """When the periodic is due anyway, that run counts as no retry."""
    periodic = Periodic(name="p", interval="5m", retry=Retry(attempts=3, interval="1m"))
    assert ask(periodic, failed()) == "uid-1 0"
