"""`python -m bench`: measure on a real kube-apiserver, each figure beside the bare loop's of the same run.

Exit code 0 when all that is asked was found, 1 when something was not, 2 when it could not be measured.
"""

import argparse
import importlib.metadata
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench import (
    censoring,
    cluster,
    config,
    config_tree,
    decorated,
    goals,
    jobs,
    memory,
    processes,
    report,
    runs,
    starts,
    triggering,
    uploads,
    waiting,
    webhooks,
    writes,
)
from bench.results import Results
from tests import realkube
from tests.tools import install

STRANGERS = 0.1
"""The share of the machine's CPU that other programs may use before the run says so."""
PARTS = (
    *("config", "jobs", "saturated", "writes", "waiting", "memory", "intake", "uploads"),
    *("podutils", "censor", "run", "decorated", "triggering"),
)
ON_CLUSTER = frozenset({"jobs", "saturated", "writes", "waiting", "memory", "triggering"})
VERSIONS = ("aiohttp", "uvloop", "msgspec", "anyio")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    plans: tuple[jobs.Plan, ...]
    saturated: jobs.Plan
    rounds: int
    written: int
    waiting: int
    resting_s: float
    finished: tuple[memory.Size, ...]
    settle_s: float
    intake_s: float
    intake_rounds: int
    config_rounds: int
    log_mb: int
    artifacts: int
    starts: int
    censored_mb: int
    runs: int
    decorated: int
    pushed: int


FULL = Size(
    plans=(jobs.Plan(2, 10), jobs.Plan(20, 20), jobs.Plan(80, 20)),
    saturated=jobs.Plan(300, 15, in_flight=200),
    rounds=2,
    written=20,
    waiting=5_000,
    resting_s=60.0,
    finished=(memory.Size(20_000, 2), memory.Size(100_000, 1)),
    settle_s=10.0,
    intake_s=5.0,
    intake_rounds=3,
    config_rounds=5,
    log_mb=1_000,
    artifacts=10_000,
    starts=20,
    censored_mb=1_000,
    runs=15,
    decorated=30,
    pushed=30,
)
QUICK = Size(
    plans=(jobs.Plan(2, 5), jobs.Plan(20, 5), jobs.Plan(80, 8)),
    saturated=jobs.Plan(300, 8, in_flight=200),
    rounds=1,
    written=8,
    waiting=1_000,
    resting_s=20.0,
    finished=(memory.Size(4_000, 1),),
    settle_s=5.0,
    intake_s=2.0,
    intake_rounds=1,
    config_rounds=1,
    log_mb=100,
    artifacts=2_000,
    starts=5,
    censored_mb=64,
    runs=5,
    decorated=10,
    pushed=5,
)


def main(argv: Sequence[str] | None = None) -> int:
    flags = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # then everything that was started is ended too
    size = QUICK if flags.quick else FULL
    parts = (flags.only,) if flags.only else PARTS
    kind = "quick" if flags.quick else "full"
    try:
        results = measure(size, parts, Path(flags.config_tree), f"{kind}, {flags.only} only" if flags.only else kind)
    except (processes.Broken, realkube.NotStarted, realkube.Answered, install.CannotInstall) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report.write(results)
    print(f"\n{report.render(results)}\nwritten to {report.LATEST}", flush=True)
    failed = [check for check in results.checks if check.passed is False]
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short version: for trying things, not for figures")
    parser.add_argument("--only", choices=PARTS, help="only this part")
    tree = "a folder with prow/config.yaml and jobs/ whose copies are loaded"
    parser.add_argument("--config-tree", default=str(config_tree.REAL), help=tree)
    return parser


def measure(size: Size, parts: Sequence[str], tree: Path, kind: str) -> Results:
    """Measure these parts, one after the other. Raises Broken and what the real server raises."""
    started_s = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started_s:5.0f} s] {text}", flush=True)

    found = Results(
        date=time.strftime("%Y-%m-%d"), kind=kind, cpu=_cpu(), cpus=os.cpu_count() or 0, versions=_versions()
    )
    notes: list[str] = []
    if "config" in parts:
        found = _config(found, tree, size, notes, say)
    if "uploads" in parts:
        carried = uploads.measure(size.log_mb, size.artifacts, size.intake_rounds, say)
        found = msgspec.structs.replace(found, uploads=carried)
    found = _programs(found, parts, size, say)
    if "intake" in parts:
        found = _intake(found, size, notes, say)
    if ON_CLUSTER & set(parts):
        say("starting etcd and kube-apiserver")
        with cluster.running() as server:
            versions = {**found.versions, "kube-apiserver": cluster.version(server)}
            found = _on_cluster(msgspec.structs.replace(found, versions=versions), server, parts, size, say)
        notes += _strangers(found)
    missing = [goals.unmeasured("webhooks accepted a second")] if "intake" in parts and found.intake is None else []
    if "config" in parts and found.config is None:
        missing.append(goals.unmeasured("loading configuration"))
    return msgspec.structs.replace(found, notes=notes, checks=goals.checks(found) + missing)


def _on_cluster(found: Results, server: realkube.Server, parts: Sequence[str], size: Size, say: jobs.Say) -> Results:
    """Measure what needs the real API server. Raises Broken."""
    cluster.quiet(server)
    if "jobs" in parts:
        rates, lag = jobs.measure(server, size.plans, size.rounds, say)
        found = msgspec.structs.replace(found, jobs=rates, lag=lag)
    if "saturated" in parts:
        found = msgspec.structs.replace(found, saturated=jobs.saturate(server, size.saturated, 2 * size.rounds, say))
    if "writes" in parts:
        found = msgspec.structs.replace(found, writes=writes.measure(server, size.written, say))
        cluster.clean(server)
    if "waiting" in parts:
        found = msgspec.structs.replace(found, waiting=waiting.measure(server, size.waiting, size.resting_s, say))
    if "triggering" in parts:
        found = msgspec.structs.replace(found, triggering=triggering.measure(server, size.pushed, say))
        cluster.clean(server)
    if "memory" in parts:
        held = memory.measure(server, size.finished, size.settle_s, say)
        found = msgspec.structs.replace(found, memory=held)
    return found


def _programs(found: Results, parts: Sequence[str], size: Size, say: jobs.Say) -> Results:
    """Measure what needs no API server but our own: the programs of a pod, and those that run one. Raises Broken."""
    if "podutils" in parts:
        found = msgspec.structs.replace(found, podutils=starts.measure(size.starts, say))
    if "censor" in parts:
        cleaned = censoring.measure(size.censored_mb, size.intake_rounds, say)
        found = msgspec.structs.replace(found, censor=cleaned)
    if "run" in parts:
        found = msgspec.structs.replace(found, run=runs.measure(size.runs, say))
    if "decorated" in parts:
        found = msgspec.structs.replace(found, decorated=decorated.measure(size.decorated, say))
    return found


def _config(found: Results, tree: Path, size: Size, notes: list[str], say: jobs.Say) -> Results:
    """Measure loading; where that cannot be done the rest still counts, and a note says so."""
    try:
        loading = config.measure(tree, size.config_rounds, say)
    except processes.Broken as error:
        notes.append(f"loading configuration was not measured: {error}")
        say(notes[-1])
        return found
    return msgspec.structs.replace(found, config=loading)


def _intake(found: Results, size: Size, notes: list[str], say: jobs.Say) -> Results:
    """Measure webhooks; where that cannot be done the rest still counts, and a note says so."""
    say("webhooks accepted")
    try:
        intake = webhooks.measure(size.intake_s, size.intake_rounds)
    except processes.Broken as error:
        notes.append(f"webhooks were not measured: {error}")
        say(notes[-1])
        return found
    return msgspec.structs.replace(found, intake=intake)


def _strangers(found: Results) -> list[str]:
    shares = [life.foreign_share for rate in found.jobs for life in (rate.bare, rate.ours)]
    if found.saturated is not None:
        shares += [found.saturated.bare.foreign_share, found.saturated.ours.foreign_share]
    share = max(shares, default=0.0)
    if share <= STRANGERS:
        return []
    return [f"other programs used up to {share:.0%} of this machine's CPU: measure again on one that does nothing else"]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    ours = {"Python": platform.python_version(), "Linux": platform.release()}
    return ours | {name: importlib.metadata.version(name) for name in VERSIONS}


if __name__ == "__main__":
    sys.exit(main())
