"""Fresh identifiers."""

import itertools
import time
import uuid

from prow_async.adapters.clock import SNOWFLAKE_EPOCH_MS, SystemClock, SystemIds


def test_build_ids_grow_and_read_as_upstreams_snowflakes() -> None:
    """41 bits of milliseconds, 10 of node (1), 12 of step; more than fit into one millisecond are still in order."""
    ids = SystemIds()
    before_ms = time.time_ns() // 1_000_000
    found = [int(ids.build_id()) for _ in range(20_000)]
    assert all(earlier < later for earlier, later in itertools.pairwise(found))
    assert {number >> 12 & 1023 for number in found} == {1}
    assert 0 <= (found[0] >> 22) + SNOWFLAKE_EPOCH_MS - before_ms < 10_000
    assert len(str(found[0])) == 19


def test_uuids_are_random_ones() -> None:
    ids = SystemIds()
    found = {uuid.UUID(ids.uuid4()) for _ in range(100)}
    assert len(found) == 100
    assert {one.version for one in found} == {4}


def test_the_clock_is_the_walls() -> None:
    assert abs(SystemClock().now() - time.time()) < 60
