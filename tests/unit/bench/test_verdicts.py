"""What is asked is judged by the figures alone, and every figure has its place in the tables and in the page."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest

from bench import goals, jobs, load, processes, report, writes
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
    Saturated,
    Spread,
    Stage,
    Start,
    Taken,
    Uploads,
    Waiting,
    Writes,
)

LIFE = Life(
    created=100,
    done=100,
    posted_per_s=80.0,
    drain_s=0.3,
    pod_seen_ms=Spread(4.0, 9.0),
    done_ms=Spread(210.0, 230.0),
    ended_ms=Spread(3.0, 8.0),
    cpu_ms_per_job=1.5,
    writes_per_job=3.0,
    api_server_cpu_ms_per_job=15.0,
    foreign_share=0.01,
)
TAKEN = Taken(
    created=1_500, done=1_500, sustained_per_s=100.0, cpu_ms_per_job=2.0, writes_per_job=3.0, foreign_share=0.0
)
GOOD = Results(
    date="2026-01-01",
    kind="full",
    cpu="some processor",
    cpus=2,
    versions={"Python": "3.11"},
    jobs=[Rate(rate, 30, 2, LIFE, LIFE) for rate in (2.0, 20.0, 80.0)],
    lag=Lag(80, 2.5, None),
    saturated=Saturated(
        offered_per_s=300,
        in_flight=200,
        seconds=15,
        rounds=2,
        bare=TAKEN,
        ours=TAKEN,
        rate_ratio=0.95,
        cpu_ratio=1.8,
    ),
    writes=Writes(
        jobs=20,
        whole_per_job=6.5,
        finalizers_per_job=2.0,
        by_action={"CreatePod": 1.0},
        reports={"github-reporter": 60},
    ),
    waiting=Waiting(waiting=4_999, seconds=60, none_cpu_ms=110.0, waiting_cpu_ms=120.0, turns=0),
    memory=[Memory(20_000, 5_600, 120.0, 70.0, 5.0, 4.0, 2), Memory(100_000, 5_600, 280.0, 70.0, 25.0, 18.0, 1)],
    intake=Intake(10_000, 7_500, 0.75, 1.9),
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


def saturated(**fields: Any) -> Results:
    return changed(GOOD, saturated=changed(GOOD.saturated, **fields))


def waits(**fields: Any) -> Results:
    return changed(GOOD, waiting=changed(GOOD.waiting, **fields))


def holding(which: int, **fields: Any) -> Results:
    memory = [changed(one, **fields) if place == which else one for place, one in enumerate(GOOD.memory)]
    return changed(GOOD, memory=memory)


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
        (with_ours(20, pod_seen_ms=Spread(6.1, 9.0)), "p50 of created -> pod seen at 20 jobs/s, ours to bare"),
        (with_ours(20, pod_seen_ms=Spread(4.0, 27.1)), "p99 of created -> pod seen at 20 jobs/s, ours to bare"),
        (with_ours(20, pod_seen_ms=Spread(None, 9.0)), "p50 of created -> pod seen at 20 jobs/s, ours to bare"),
        (
            with_ours(20, ended_ms=Spread(4.6, 8.0)),
            "p50 of pod done -> ProwJob complete at 20 jobs/s, ours to bare",
        ),
        (
            with_ours(20, ended_ms=Spread(3.0, 24.1)),
            "p99 of pod done -> ProwJob complete at 20 jobs/s, ours to bare",
        ),
        (with_ours(80, cpu_ms_per_job=4.6), "CPU a job at 80 jobs/s, ours to bare"),
        (with_ours(80, drain_s=2.1), "80 jobs/s sustained"),
        (with_ours(80, posted_per_s=77.0), "80 jobs/s sustained"),
        (saturated(rate_ratio=0.84), "sustained rate, ours to bare, 300 jobs/s offered"),
        (saturated(cpu_ratio=2.01), "CPU a job, ours to bare, 300 jobs/s offered"),
        (saturated(cpu_ratio=0.0), "CPU a job, ours to bare, 300 jobs/s offered"),
        (saturated(ours=changed(TAKEN, done=1_499)), "all jobs done, 300 jobs/s offered"),
        (
            changed(GOOD, writes=changed(GOOD.writes, whole_per_job=7.05)),
            "writes in a job's whole life, with reports and deletion, pod finalizers aside",
        ),
        (waits(waiting_cpu_ms=231.0), "CPU beyond that with none: 4,999 jobs that wait, 60 s at rest"),
        (waits(turns=1), "turns of job actors: 4,999 jobs that wait, 60 s at rest"),
        (holding(0, peak_mb=160.1), "peak memory with 20,000 finished ProwJobs"),
        (holding(1, peak_mb=300.1), "peak memory with 100,000 finished ProwJobs"),
        (holding(0, ready_s=6.1), "start to ready with 20,000 finished ProwJobs, beyond the bare list"),
        (changed(GOOD, intake=changed(GOOD.intake, ratio=0.69)), "webhooks accepted a second, ours to bare"),
        (changed(GOOD, intake=changed(GOOD.intake, p99_ratio=2.01)), "p99 of accepting a webhook, ours to bare"),
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
            Results(date="", kind="", cpu="", cpus=2, versions={}), memory=[changed(GOOD.memory[0], prowjobs=4_000)]
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
        "280.0 MB",
        "| x 0.95",
        "6.5 ",
        "4,999 that wait",
        "7,500",
        "| sidecar",
        "500 MB/s",
        "at most 2.5 ms, the worst at most - ms",
        "| PASS",
    ):
        assert part in text
    assert "Note: it rained" in text
    assert "Memory" not in report.render(changed(GOOD, memory=[]))
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
    made = load.Report(len(seen_ms), len(seen_ms), 3 * len(seen_ms), 1.0, 0.2, seen_ms, seen_ms, seen_ms, 50.0)
    return jobs.Run(
        **{"report": made, "cpu_s": 0.1, "api_cpu_s": 1.0, "foreign_share": 0.0, "writes": 6, "lag": {}, **fields}
    )


def test_runs_of_one_system_are_pooled() -> None:
    """Costs are shared by all jobs; latencies are taken together; the worst round's wait and strangers count."""
    slow = load.Report(2, 1, 5, 1.0, 30.0, [9.0], [9.0], [9.0], 40.0)
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


def test_what_is_taken_of_too_much_is_pooled() -> None:
    """Rates and costs are medians of the rounds, so that one bad round does not speak for all; counts are sums."""
    runs = [run([1.0, 2.0], cpu_s=cpu_s) for cpu_s in (0.1, 0.2, 0.9)]
    assert jobs.taken(runs) == Taken(
        created=6, done=6, sustained_per_s=50.0, cpu_ms_per_job=100.0, writes_per_job=3.0, foreign_share=0.0
    )


PAGE = """
prow_async_executor_actions_total{action="CreatePod",outcome="done"} 2
prow_async_executor_actions_total{action="PatchPod",outcome="done"} 4
prow_async_executor_actions_total{action="PatchProwJob",outcome="stale"} 1
prow_async_executor_actions_total{action="PostStatus",outcome="done"} 6
crier_reporting_results{reporter="github-reporter",result="SUCCESS"} 6
crier_reporting_results{reporter="gcsreporter",result="SUCCESS"} 4
crier_reporting_results{reporter="gcsk8sreporter",result="SUCCESS"} 4
crier_reporting_results{reporter="gcsk8sreporter",result="ERROR"} 1
"""


def test_pod_finalizers_do_not_count_as_writes() -> None:
    """The API server's count is the figure; what never reached it, and GitHub's part, do not stand beside it."""
    found = writes.found(2, 18, PAGE)
    assert (found.whole_per_job, found.finalizers_per_job) == (7.0, 2.0)
    assert found.by_action == {"CreatePod": 1.0, "PatchPod": 2.0}


def test_few_writes_of_jobs_that_were_not_reported_prove_nothing() -> None:
    with pytest.raises(processes.Broken, match="gcsreporter has reported 0 times for 2 jobs"):
        writes.found(2, 8, PAGE.replace("gcsreporter", "other"))
