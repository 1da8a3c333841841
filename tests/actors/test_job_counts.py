"""The gauge of ProwJobs by state follows the store, and rests with it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prow_async.actors.job_counts import JobCounts
from prow_async.actors.store import Store
from prow_async.api.views import JobView
from tests.actors.worlds import Counted

STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([None, "triggered", "pending", "success"]),
        st.sampled_from(["kubernetes", "jenkins"]),
    )
)


class Gauge(Counted):
    """Keeps the rows of the gauge, and counts how often it was set."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Counter[str] = Counter()
        self.sets = 0

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        assert name == "prowjobs"
        self.sets += 1
        self.rows = Counter({labels["state"]: int(count) for labels, count in rows})


def job(name: str, state: Any, agent: str, version: int) -> JobView:
    return JobView(
        name=name,
        namespace="prow",
        uid=name,
        resource_version=str(version),
        created_s=0.0,
        type="periodic",
        agent=agent,
        job="nightly",
        state=state,
    )


@given(STEPS)
def test_it_counts_what_there_is(steps: list[tuple[str, str | None, str]]) -> None:
    """Whatever came, changed and went, other agents' jobs aside; a state that nobody is in has no row."""
    jobs: Store[JobView] = Store()
    gauge = Gauge()
    counts = JobCounts(jobs, gauge)
    for version, (name, state, agent) in enumerate(steps):
        if state is None:
            jobs.remove(name)
        else:
            jobs.put(job(name, state, agent, version), b"")
    counts.update()
    assert gauge.rows == Counter(one.state for one in jobs if one.agent == "kubernetes")


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_is_set_anew_while_no_state_changes(version: int) -> None:
    """Thousands that wait cost nothing; news of a job that concerns no count costs no page either."""
    jobs: Store[JobView] = Store()
    gauge = Gauge()
    counts = JobCounts(jobs, gauge)
    jobs.put(job("a", "triggered", "kubernetes", 1), b"")
    counts.update()
    jobs.put(job("a", "triggered", "kubernetes", version), b"")
    counts.update()
    assert gauge.sets == 1


def test_each_attempt_counts_once() -> None:
    """A state counts, and so does another build id; not the moment between two attempts, which has none."""
    jobs: Store[JobView] = Store()
    counted = Gauge()
    JobCounts(jobs, counted)
    life = [("triggered", ""), ("pending", "1"), ("pending", ""), ("pending", "2"), ("success", "2")]
    for version, (state, build_id) in enumerate(life):
        jobs.put(msgspec.structs.replace(job("a", state, "kubernetes", version), build_id=build_id), b"")
    states = [counted.total("prowjob_state_transitions", state=state) for state in ("triggered", "pending", "success")]
    assert states == [1, 2, 1]
