"""200,000 webhooks through the whole way of a delivery: the process holds no more after them than after the first."""

from pathlib import Path

import psutil
import pytest

from bench import intake

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
NUMBER, WARM = 200_000, 60_000
GROWTH_BYTES = 24 << 20


def test_memory_is_flat(tmp_path: Path) -> None:
    """Warm means that the log has come to its size and is used again."""
    with intake.serving("ours", tmp_path / "ours") as (pid, port):
        done, warm_bytes, process = 0, 0, psutil.Process(pid)
        while done < NUMBER:
            load = intake.Load(5.0)
            intake.run_loop(load.run(port, 32))
            assert not load.refused, load.first_refusal
            done += len(load.latencies_s)
            if done >= WARM and not warm_bytes:
                warm_bytes = process.memory_info().rss
        grown = process.memory_info().rss - warm_bytes
        print(f"{done} deliveries; {warm_bytes >> 20} MB when warm, {grown / (1 << 20):+.1f} MB after them")
        assert grown < GROWTH_BYTES
