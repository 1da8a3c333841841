"""Job life: the same load on the bare loop and on ours in turn, at several rates."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec

from bench import cluster, exposition, load, processes, systems
from bench.results import Lag, Life, Rate, Saturated, Spread, SystemName, Taken
from tests import realkube

LAG = "prow_async_loop_lag_seconds"
SETTLE_S = 0.3
Start = Callable[[realkube.Server], AbstractContextManager[systems.System]]
Say = Callable[[str], None]
SYSTEMS: dict[SystemName, Start] = {"bare": systems.bare, "ours": systems.controller}


class Plan(msgspec.Struct, frozen=True):
    rate: float
    seconds: float
    in_flight: int = 0
    """So many jobs at most under way; 0: as many as the rate brings."""


class Run(msgspec.Struct, frozen=True):
    """One run of the load against one system."""

    report: load.Report
    cpu_s: float
    api_cpu_s: float
    foreign_share: float
    """Share of the machine's CPU that went to processes that have no part in this."""
    writes: int
    lag: exposition.Buckets


def measure(server: realkube.Server, plans: Sequence[Plan], rounds: int, say: Say) -> tuple[list[Rate], Lag | None]:
    """Run every plan; return one row a rate, and the loop lag at the highest. Raises Broken."""
    rates: list[Rate] = []
    lag: Lag | None = None
    for plan in plans:
        runs: dict[SystemName, list[Run]] = {name: [] for name in SYSTEMS}
        for turn in range(rounds):
            for name, start in _order(turn):
                say(f"job life at {plan.rate:g}/s for {plan.seconds:g} s, round {turn + 1} of {rounds}: {name}")
                with start(server) as system:
                    runs[name].append(one(server, system, plan))
                cluster.clean(server)
        rates.append(Rate(plan.rate, plan.seconds, rounds, together(runs["bare"]), together(runs["ours"])))
        lag = lag_of(plan.rate, runs["ours"])
    return rates, lag


def saturate(server: realkube.Server, plan: Plan, rounds: int, say: Say) -> Saturated:
    """Offer both more than they can take. Raises Broken."""
    runs: dict[SystemName, list[Run]] = {name: [] for name in SYSTEMS}
    for turn in range(rounds):
        for name, start in _order(turn):
            say(f"more jobs than it can take for {plan.seconds:g} s, round {turn + 1} of {rounds}: {name}")
            with start(server) as system:
                runs[name].append(one(server, system, plan))
            cluster.clean(server)
    pairs = list(zip(runs["ours"], runs["bare"], strict=True))
    return Saturated(
        offered_per_s=plan.rate,
        in_flight=plan.in_flight,
        seconds=plan.seconds,
        rounds=rounds,
        bare=taken(runs["bare"]),
        ours=taken(runs["ours"]),
        rate_ratio=round(
            statistics.median(_over(o.report.sustained_per_s, b.report.sustained_per_s) for o, b in pairs), 3
        ),
        cpu_ratio=round(statistics.median(_over(_cpu_ms(o), _cpu_ms(b)) for o, b in pairs), 3),
    )


def _order(turn: int) -> list[tuple[SystemName, Start]]:
    """Let another go first in each round: the servers grow slower with all they have seen, though it is deleted."""
    return list(SYSTEMS.items())[:: -1 if turn % 2 else 1]


def taken(runs: Sequence[Run]) -> Taken:
    """Pool what one system took of more than it could."""
    return Taken(
        created=sum(run.report.created for run in runs),
        done=sum(run.report.done for run in runs),
        sustained_per_s=round(statistics.median(run.report.sustained_per_s for run in runs), 1),
        cpu_ms_per_job=round(statistics.median(_cpu_ms(run) for run in runs), 3),
        writes_per_job=round(sum(run.writes for run in runs) / max(1, sum(run.report.created for run in runs)), 3),
        foreign_share=round(max(run.foreign_share for run in runs), 3),
    )


def _cpu_ms(run: Run) -> float:
    return run.cpu_s * 1e3 / max(1, run.report.created)


def _over(ours: float, bare: float) -> float:
    return ours / bare if bare else 0.0


def one(server: realkube.Server, system: systems.System, plan: Plan) -> Run:
    """Load a system that is ready; count what that cost."""
    lag = exposition.buckets(system.metrics(), LAG)
    writes = cluster.writes(server)
    before = _clocks(server, system)
    report = run_load(server, load.Asked(rate=plan.rate, seconds=plan.seconds, in_flight=plan.in_flight))
    took = {name: after - before[name] for name, after in _clocks(server, system).items()}
    lag = exposition.since(exposition.buckets(system.metrics(), LAG), lag)
    if not report.done:
        raise processes.Broken(f"{system.name} finished no job at {plan.rate:g}/s\n{system.child.output()[-2000:]}")
    time.sleep(SETTLE_S)  # what the load has seen may not be counted yet
    return Run(
        report=report,
        cpu_s=took["controller"],
        api_cpu_s=took["api"],
        foreign_share=max(0.0, took["busy"] - took["controller"] - took["api"] - took["load"]) / took["all"],
        writes=cluster.writes(server) - writes - report.writes,
        lag=lag,
    )


def run_load(server: realkube.Server, asked: load.Asked) -> load.Report:
    """Run the load to its end. Raises Broken."""
    command = processes.module("bench.load", server.url, server.token, msgspec.json.encode(asked).decode())
    said = processes.run(command, asked.seconds + asked.runs_s + load.DRAIN_S + 60.0)
    return msgspec.json.decode(said, type=load.Report)


def _clocks(server: realkube.Server, system: systems.System) -> dict[str, float]:
    """Return CPU seconds so far, by who has used them; `all` is what there was to use."""
    return {
        "controller": processes.cpu_s(system.child.pid),
        "api": sum(map(processes.cpu_s, server.pids)),
        "load": processes.children_s(),
        "busy": processes.busy_s(),
        "all": time.monotonic() * (os.cpu_count() or 1),
    }


def together(runs: Sequence[Run]) -> Life:
    """Pool the runs of one system at one rate."""
    created = sum(run.report.created for run in runs)
    jobs = max(1, created)
    return Life(
        created=created,
        done=sum(run.report.done for run in runs),
        posted_per_s=round(min(run.report.created / max(run.report.posting_s, 0.001) for run in runs), 2),
        drain_s=round(max(run.report.drain_s for run in runs), 2),
        pod_seen_ms=spread([run.report.pod_seen_ms for run in runs]),
        done_ms=spread([run.report.done_ms for run in runs]),
        ended_ms=spread([run.report.ended_ms for run in runs]),
        cpu_ms_per_job=round(sum(run.cpu_s for run in runs) * 1e3 / jobs, 3),
        writes_per_job=round(sum(run.writes for run in runs) / jobs, 3),
        foreign_share=round(max(run.foreign_share for run in runs), 3),
        api_server_cpu_ms_per_job=round(sum(run.api_cpu_s for run in runs) * 1e3 / jobs, 2),
    )


def spread(lists: Sequence[Sequence[float]]) -> Spread:
    values = sorted(value for one_list in lists for value in one_list)
    return Spread(quantile(values, 0.5), quantile(values, 0.99))


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that this share of sorted values lies below."""
    return round(values[min(len(values) - 1, int(len(values) * share))], 1) if values else None


def lag_of(rate: float, runs: Sequence[Run]) -> Lag:
    pooled: exposition.Buckets = {}
    for run in runs:
        pooled = exposition.added(pooled, run.lag)
    return Lag(rate, _ms(exposition.upper_edge(pooled, 0.99)), _ms(exposition.upper_edge(pooled, 1.0)))


def _ms(edge_s: float | None) -> float | None:
    return None if edge_s is None or edge_s == float("inf") else round(edge_s * 1e3, 1)
