"""Metrics pages are read as their format says."""

import math

from bench import exposition

PAGE = """\
# HELP writes_total Writes.
# TYPE writes_total counter
writes_total{verb="PATCH",resource="pods",note="a \\"quoted\\", word"} 3
writes_total{verb="GET",resource="pods"} 40
writes_total{verb="POST",resource="prowjobs"} 2.5e+01 1700000000000
writes_total_of_others{verb="POST"} 7
plain 5
lag_seconds_bucket{le="0.001"} 90
lag_seconds_bucket{le="0.01"} 99
lag_seconds_bucket{le="+Inf"} 100
lag_seconds_count 100
"""


def test_counters_are_added_up_by_their_labels() -> None:
    """Only samples of this very name count, and only those whose labels are wanted."""
    wanted = {"POST", "PATCH"}
    assert exposition.total(PAGE, "writes_total", lambda labels: labels["verb"] in wanted) == 28
    assert exposition.total(PAGE, "plain", lambda labels: not labels) == 5
    assert exposition.total(PAGE, "absent", lambda _: True) == 0
    noted = [labels["note"] for labels, _ in exposition.samples(PAGE, "writes_total") if "note" in labels]
    assert noted == ['a \\"quoted\\", word']


def test_a_histogram_tells_what_its_observations_do_not_exceed() -> None:
    """The edge of the first bucket that holds the share; infinite in the last; nothing where nothing was seen."""
    found = exposition.buckets(PAGE, "lag_seconds")
    assert exposition.upper_edge(found, 0.5) == 0.001
    assert exposition.upper_edge(found, 0.99) == 0.01
    assert exposition.upper_edge(found, 1.0) == math.inf
    assert exposition.upper_edge({}, 0.5) is None
    assert exposition.upper_edge(exposition.since(found, found), 0.5) is None


def test_readings_are_subtracted_and_added_bucket_by_bucket() -> None:
    """What lies before the first reading is not counted; runs are pooled."""
    before, after = {0.1: 2.0, math.inf: 3.0}, {0.1: 7.0, math.inf: 9.0}
    run = exposition.since(after, before)
    assert run == {0.1: 5.0, math.inf: 6.0}
    assert exposition.since(after, {}) == after
    assert exposition.added({}, run) == run
    assert exposition.added(run, run) == {0.1: 10.0, math.inf: 12.0}
