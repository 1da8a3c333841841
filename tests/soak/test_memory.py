"""A quarter of an hour of jobs that come, run and are swept away: the process that does it all does not grow."""

import statistics
import time

import pytest

from bench import wire
from tests.soak import standing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.timeout(1500),
]
RATE, MINUTES, WARM_MINUTES, KEPT_S = 20.0, 15, 5, 120
GROWTH = 0.03
LOOK_S = 2.0
CONFIG = f"""{standing.CONFIG}
sinker: {{resync_period: 15s, max_prowjob_age: {KEPT_S}s, max_pod_age: {KEPT_S}s, terminated_pod_ttl: {KEPT_S}s}}
"""


def test_memory_is_flat() -> None:
    """The medians of the last minute and of the minute that ends when the process is warm are compared."""
    with standing.server() as server, standing.engine(server, CONFIG) as engine:
        pid = engine.start()
        with standing.load(server, RATE, MINUTES * 60) as load:
            began_s = time.monotonic()
            sizes: list[tuple[float, int]] = []
            while (now_s := time.monotonic() - began_s) < MINUTES * 60:
                sizes.append((now_s, standing.resident_bytes(pid)))
                assert load.process.poll() is None, load.output()
                time.sleep(LOOK_S)
            kept = len(server.request("GET", wire.JOBS)["items"])
            by_minute = _by_minute(sizes)
            print("MB by minute:", " ".join(f"{size / 1e6:.1f}" for size in by_minute), f"; {kept} ProwJobs kept")
            report = standing.report(load, 400.0)
            print(report)
    assert report.ends == {"success": int(RATE * MINUTES * 60)}
    assert report.lost == report.ran_twice == report.changed == []
    assert RATE * KEPT_S * 0.8 < kept < RATE * KEPT_S * 1.5, "what is kept must be two minutes' worth"
    grown = by_minute[-1] / by_minute[WARM_MINUTES - 1] - 1
    assert grown < GROWTH, f"grown by {grown:.1%}, from minute {WARM_MINUTES} to {MINUTES}"


def _by_minute(sizes: list[tuple[float, int]]) -> list[float]:
    return [
        statistics.median(size for at_s, size in sizes if minute * 60 <= at_s < (minute + 1) * 60)
        for minute in range(MINUTES)
    ]
