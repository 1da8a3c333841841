"""Peak memory and the way to ready with many finished ProwJobs, beside a bare paged list of the same."""

import time
from collections.abc import Callable, Sequence

import msgspec

from bench import cluster, processes, systems
from bench.results import Memory
from tests import realkube

MB = 1e6
FILL_PATIENCE_S = 900.0
Say = Callable[[str], None]


class Listed(msgspec.Struct, frozen=True):
    took_s: float
    objects: int
    size_bytes: int


class Size(msgspec.Struct, frozen=True):
    """How many finished ProwJobs, and how often a start on them is measured."""

    prowjobs: int
    rounds: int


def measure(server: realkube.Server, sizes: Sequence[Size], settle_s: float, say: Say) -> list[Memory]:
    """Fill the cluster step by step; at each, list it and start on it in turn. Raises Broken.

    Args:
        sizes: the smallest first.
        settle_s: how long the process is left to itself after ready, before its peak is read.
    """
    say("memory: every component in one process, no ProwJobs")
    resting_bytes, _ = start(server, settle_s)
    found: list[Memory] = []
    there = 0
    for size in sizes:
        say(f"memory: filling the cluster with {size.prowjobs} finished ProwJobs")
        numbers = str(there), str(size.prowjobs - there)
        processes.run(processes.module("bench.finished", server.url, server.token, *numbers), FILL_PATIENCE_S)
        there = size.prowjobs
        cluster.quiet(server)
        found.append(_of(server, size, settle_s, resting_bytes, say))
    return found


def _of(server: realkube.Server, size: Size, settle_s: float, resting_bytes: int, say: Say) -> Memory:
    prowjobs, rounds = size.prowjobs, size.rounds
    lists: list[Listed] = []
    peaks_bytes: list[int] = []
    starts_s: list[float] = []
    for turn in range(rounds):
        say(f"memory: round {turn + 1} of {rounds}, bare list, then prow-async up")
        lists.append(bare_list(server))
        if lists[-1].objects != prowjobs:
            raise processes.Broken(f"{prowjobs} ProwJobs were made, {lists[-1].objects} are there")
        peak_bytes, ready_s = start(server, settle_s)
        peaks_bytes.append(peak_bytes)
        starts_s.append(ready_s)
    if bare_list(server).objects != prowjobs:
        raise processes.Broken("ProwJobs were swept away while they were measured")
    return Memory(
        prowjobs=prowjobs,
        served_bytes_per_prowjob=lists[0].size_bytes // max(1, prowjobs),
        peak_mb=round(max(peaks_bytes) / MB, 1),
        resting_mb=round(resting_bytes / MB, 1),
        ready_s=round(sum(starts_s) / rounds, 2),
        bare_list_s=round(sum(one.took_s for one in lists) / rounds, 2),
        rounds=rounds,
    )


def bare_list(server: realkube.Server) -> Listed:
    said = processes.run(processes.module("bench.barelist", server.url, server.token), 120.0)
    return msgspec.json.decode(said, type=Listed)


def start(server: realkube.Server, settle_s: float) -> tuple[int, float]:
    """Start everything in one process; return its peak after a while and a scrape, and how long ready took."""
    with systems.everything(server) as system:
        time.sleep(settle_s)
        system.metrics()
        return processes.peak_bytes(system.child.pid), system.ready_s
