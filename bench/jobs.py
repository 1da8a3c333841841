"""Job life: the same load on the bare loop and on ours in turn, at several rates."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import msgspec

from bench import cluster, exposition, load, processes, systems
from bench.results import Lag, Life, Rate, Spread, SystemName
from tests import realkube

LAG = "prow_async_loop_lag_seconds"
SETTLE_S = 0.3
Start = Callable[[realkube.Server], AbstractContextManager[systems.System]]
Say = Callable[[str], None]
SYSTEMS: dict[SystemName, Start] = {"bare": systems.bare, "ours": systems.controller}


class Plan(msgspec.Struct, frozen=True):
    rate: float
    seconds: float


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
            for name, start in SYSTEMS.items():
                say(f"job life at {plan.rate:g}/s for {plan.seconds:g} s, round {turn + 1} of {rounds}: {name}")
                with start(server) as system:
                    runs[name].append(one(server, system, plan))
                cluster.clean(server)
        rates.append(Rate(plan.rate, plan.seconds, rounds, together(runs["bare"]), together(runs["ours"])))
        lag = lag_of(plan.rate, runs["ours"])
    return rates, lag


def one(server: realkube.Server, system: systems.System, plan: Plan) -> Run:
    """Load a system that is ready; count what that cost."""
    lag = exposition.buckets(system.metrics(), LAG)
    writes = cluster.writes(server)
    before = _clocks(server, system)
    command = processes.module("bench.load", server.url, server.token, str(plan.rate), str(plan.seconds))
    said = processes.run(command, plan.seconds + load.DRAIN_S + 60.0)
    took = {name: after - before[name] for name, after in _clocks(server, system).items()}
    lag = exposition.since(exposition.buckets(system.metrics(), LAG), lag)
    report = msgspec.json.decode(said, type=load.Report)
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
