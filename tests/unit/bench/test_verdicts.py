"""What is asked is judged by the figures alone, and every figure has its place in the tables and in the page."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest

from bench import goals, jobs, load, report
from bench.results import (
    Added,
    Censoring,
    Config,
    Decorated,
    Intake,
    Lag,
    Life,
    Memory,
    Rate,
    Results,
    Spread,
    Stage,
    Start,
    Uploads,
)

LIFE = Life(
    created=100,
    done=100,
    posted_per_s=80.0,
    drain_s=0.3,
    pod_seen_ms=Spread(4.0, 9.0),
    done_ms=Spread(210.0, 230.0),
    cpu_ms_per_job=1.5,
    writes_per_job=3.0,
    api_server_cpu_ms_per_job=15.0,
    foreign_share=0.01,
)
GOOD = Results(
    date="2026-01-01",
    kind="full",
    cpu="some processor",
    cpus=2,
    versions={"Python": "3.11"},
    jobs=[Rate(rate, 30, 2, LIFE, LIFE) for rate in (2.0, 20.0, 80.0)],
    lag=Lag(80, 2.5, None),
    memory=Memory(20_000, 5_600, 120.0, 70.0, 6.0, 4.0, 2),
    intake=Intake(10_000, 7_500, 0.75),
    config=Config(
        copies=10,
        jobs=3_550,
        size_mb=5.3,
        bare_s=1.6,
        cold_s=1.2,
        cold_ratio=0.8,
        cached_s=0.3,
        cached_ratio=0.2,
        one_ms=20.0,
        one_parse_ms=2.0,
        linearity=1.0,
        peak_mb=90.0,
        stall_ms=20.0,
        rounds=5,
    ),
    uploads=Uploads(log_mb=1_000, artifacts=10_000, bare_s=2.0, ours_s=2.2, ratio=1.1, peak_mb=30.0, rounds=3),
    podutils=[
        Start(program="sidecar", starts=20, bare_ms=10.0, ours_ms=55.0, ratio=5.5, bare_peak_mb=9.0, peak_mb=19.0)
    ],
    censor=Censoring(
        log_mb=1_000,
        secrets=200,
        masked=3_800,
        bare_mb_per_s=2_000.0,
        ours_mb_per_s=500.0,
        ours_mb_per_cpu_s=600.0,
        ratio=4.0,
        peak_mb=30.0,
        rounds=3,
    ),
    run=[
        Added(job="undecorated", runs=15, bare_ms=2.0, ours_ms=290.0, added_ms=288.0, stages=[Stage("imports", 171.0)])
    ],
    decorated=Decorated(
        jobs=30,
        whole_ms=Spread(900.0, 1_600.0),
        git_ms=Spread(300.0, 400.0),
        test_ms=Spread(2.0, 3.0),
        own_ms=Spread(598.0, 800.0),
        bare_ms=Spread(310.0, 410.0),
        ratio=2.9,
    ),
)


Thing = TypeVar("Thing", bound=msgspec.Struct)


def changed(thing: Thing | None, **fields: Any) -> Thing:
    assert thing is not None
    return msgspec.structs.replace(thing, **fields)


def with_ours(rate: float, **fields: Any) -> Results:
    rows = [changed(row, ours=changed(LIFE, **fields)) if row.rate == rate else row for row in GOOD.jobs]
    return changed(GOOD, jobs=rows)


def loading(**fields: Any) -> Results:
    return changed(GOOD, config=changed(GOOD.config, **fields))


def failed(results: Results) -> list[str]:
    return [check.what for check in goals.checks(results) if check.passed is False]


def test_a_good_run_passes_everything() -> None:
    """Nothing fails, nothing is left unjudged; the rates at which nothing is asked of the CPU are not judged by it."""
    assert [check for check in goals.checks(GOOD) if not check.passed] == []
    assert failed(with_ours(2, cpu_ms_per_job=9.0, pod_seen_ms=Spread(40.0, 50.0))) == []


@pytest.mark.parametrize(
    ("results", "what"),
    [
        (with_ours(2, done=99), "all jobs done at 2 jobs/s"),
        (with_ours(2, writes_per_job=3.01), "controller writes a job at 2 jobs/s"),
        (with_ours(20, cpu_ms_per_job=4.6), "CPU a job at 20 jobs/s, ours to bare"),
        (with_ours(20, pod_seen_ms=Spread(8.1, 9.0)), "p50 of created -> pod seen at 20 jobs/s, ours to bare"),
        (with_ours(20, pod_seen_ms=Spread(None, None)), "p50 of created -> pod seen at 20 jobs/s, ours to bare"),
        (with_ours(80, cpu_ms_per_job=4.6), "CPU a job at 80 jobs/s, ours to bare"),
        (with_ours(80, drain_s=2.1), "80 jobs/s sustained"),
        (with_ours(80, posted_per_s=77.0), "80 jobs/s sustained"),
        (changed(GOOD, memory=changed(GOOD.memory, peak_mb=200.1)), "peak memory with 20,000 finished ProwJobs"),
        (
            changed(GOOD, memory=changed(GOOD.memory, ready_s=8.1)),
            "start to ready with 20,000 finished ProwJobs, beyond the bare list",
        ),
        (changed(GOOD, intake=changed(GOOD.intake, ratio=0.69)), "webhooks accepted a second, ours to bare"),
        (changed(GOOD, uploads=changed(GOOD.uploads, ratio=1.31)), "uploads to a folder, to a bare copy"),
        (changed(GOOD, uploads=changed(GOOD.uploads, peak_mb=100.1)), "peak memory of uploading"),
        (
            changed(GOOD, censor=changed(GOOD.censor, ours_mb_per_s=149.0)),
            "a log censored on one core (200 secrets)",
        ),
        (
            changed(GOOD, run=[changed(GOOD.run[0], added_ms=301.0)]),
            "prow-async run of an undecorated job, added",
        ),
        (
            changed(GOOD, decorated=changed(GOOD.decorated, whole_ms=Spread(1_500.0, 1_600.0))),
            "a decorated job, webhook to status, median",
        ),
        (
            changed(GOOD, decorated=changed(GOOD.decorated, own_ms=Spread(700.0, 800.0))),
            "a decorated job, our own share, median",
        ),
        (loading(cold_ratio=1.51), "configuration cold, to CSafeLoader alone (10 copies, 3,550 jobs)"),
        (loading(one_ms=23.1), "one changed file (10 copies, 3,550 jobs)"),
        (loading(stall_ms=50.1), "event-loop stall while all is reloaded (10 copies, 3,550 jobs)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_thing_asked_fails_alone(results: Results, what: str) -> None:
    assert failed(results) == [what]


def test_a_bare_loop_that_costs_too_much_is_no_yardstick() -> None:
    """Then every ratio would be flattering."""
    slow = changed(GOOD.jobs[2], bare=changed(LIFE, cpu_ms_per_job=2.1))
    assert failed(changed(GOOD, jobs=[slow])) == ["the bare loop's CPU a job at 80 jobs/s"]


def test_fewer_prowjobs_prove_nothing_of_the_peak() -> None:
    found = goals.checks(
        msgspec.structs.replace(
            Results(date="", kind="", cpu="", cpus=2, versions={}), memory=changed(GOOD.memory, prowjobs=4_000)
        )
    )
    assert [check.passed for check in found] == [None, True]


def test_the_tables_hold_the_figures_and_their_ratios() -> None:
    """Each part has its table; a part that was not run has none."""
    text = report.render(changed(with_ours(20, cpu_ms_per_job=3.0), checks=goals.checks(GOOD), notes=["it rained"]))
    for part in (
        "x 2.00",
        "| ours / bare |",
        "120.0 MB",
        "7,500",
        "| sidecar",
        "500 MB/s",
        "at most 2.5 ms, the worst at most - ms",
        "| PASS",
    ):
        assert part in text
    assert "Note: it rained" in text
    assert "Memory" not in report.render(changed(GOOD, memory=None))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


def test_figures_replace_only_what_stands_between_the_marks() -> None:
    """Twice gives the same as once; a page without the marks is not written to."""
    page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.with_figures(page, "new\n")
    assert once == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert report.with_figures(once, "new\n") == once
    assert report.BEGIN in report.PAGE.read_text()
    with pytest.raises(ValueError, match="lacks the marks"):
        report.with_figures("before\nafter\n", "new\n")


def test_results_survive_their_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(GOOD), type=Results) == GOOD


def run(seen_ms: list[float], **fields: Any) -> jobs.Run:
    made = load.Report(len(seen_ms), len(seen_ms), 3 * len(seen_ms), 1.0, 0.2, seen_ms, seen_ms)
    return jobs.Run(
        **{"report": made, "cpu_s": 0.1, "api_cpu_s": 1.0, "foreign_share": 0.0, "writes": 6, "lag": {}, **fields}
    )


def test_runs_of_one_system_are_pooled() -> None:
    """Costs are shared by all jobs; latencies are taken together; the worst round's wait and strangers count."""
    slow = load.Report(2, 1, 5, 1.0, 30.0, [9.0], [9.0])
    life = jobs.together([run([1.0, 2.0]), run([], report=slow, cpu_s=0.3, writes=5, foreign_share=0.4)])
    assert (life.created, life.done, life.drain_s, life.foreign_share) == (4, 3, 30.0, 0.4)
    assert (life.cpu_ms_per_job, life.writes_per_job, life.api_server_cpu_ms_per_job) == (100.0, 2.75, 500.0)
    assert life.pod_seen_ms == Spread(2.0, 9.0)


@pytest.mark.parametrize(
    ("pick", "want"),
    [
        (lambda: jobs.quantile([], 0.5), None),
        (lambda: jobs.quantile([7.04], 0.99), 7.0),
        (lambda: jobs.quantile(list(map(float, range(100))), 0.5), 50.0),
        (lambda: jobs.quantile(list(map(float, range(100))), 0.99), 99.0),
        (lambda: jobs.lag_of(80, [run([], lag={0.001: 9.0, float("inf"): 10.0})]), Lag(80, None, None)),
        (lambda: jobs.lag_of(80, [run([], lag={0.0025: 9.0, float("inf"): 9.0})] * 2), Lag(80, 2.5, 2.5)),
    ],
)
def test_quantiles(pick: Callable[[], object], want: object) -> None:
    assert pick() == want
