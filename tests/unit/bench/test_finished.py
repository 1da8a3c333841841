"""The ProwJobs that fill the cluster are what a busy installation has, and nothing acts on them."""

import msgspec
import pytest

from bench import finished
from prow_async.api import config, names
from prow_async.core import jobview, sinker

NOW_S = 1_800_000_000.0


@pytest.mark.parametrize("number", [0, 3, 4, 399, 19_999])
def test_each_is_whole_finished_reported_and_of_4_kb(number: int) -> None:
    """Crier has nothing to report, sinker nothing to sweep: what is measured is holding them."""
    raw = msgspec.json.encode(finished.prowjob(number, NOW_S))
    assert 3_800 <= len(raw) <= 4_300
    full, view = jobview.read_full(raw), jobview.read(raw)
    assert full.spec.pod_spec is not None
    assert view.complete
    assert view.reported == dict.fromkeys((names.GITHUB_REPORTER, names.BLOB_REPORTER, names.POD_REPORTER), view.state)
    assert sinker.plan([view], {}, frozenset(), config.Sinker(), NOW_S) == sinker.Plan((), {})


def test_they_differ_as_real_ones_do() -> None:
    """Names are unique; jobs, repositories and pull requests recur."""
    jobs = [finished.prowjob(number, NOW_S) for number in range(2_000)]
    assert len({job["metadata"]["name"] for job in jobs}) == 2_000
    assert len({job["spec"]["job"] for job in jobs}) == 400
    assert len({job["spec"]["refs"]["repo"] for job in jobs}) == 40
