"""What many jobs that wait for a slot cost the controller while nothing happens.

`python -m bench.waiting URL TOKEN COUNT` fills a cluster with runs of one job, of which one may run at a time.
"""

import sys
import time
import uuid
from collections.abc import Callable

import msgspec
import uvloop

from bench import cluster, exposition, finished, load, processes, systems
from bench.results import Waiting
from tests import realkube

PATIENCE_S = 300.0
SETTLE_S = 3.0
GAUGE, TURNS = "prow_async_jobs_waiting", "prow_async_event_age_seconds_count"
Say = Callable[[str], None]


def measure(server: realkube.Server, count: int, seconds: float, say: Say) -> Waiting:
    """Watch one controller at rest, without jobs and with jobs that wait. Raises Broken."""
    with systems.controller(server) as system:
        say(f"waiting: {seconds:g} s at rest without jobs")
        time.sleep(SETTLE_S)
        none_ms = rest(system, seconds)
        say(f"waiting: {count} jobs, of which one may run")
        processes.run(processes.module("bench.waiting", server.url, server.token, str(count)), PATIENCE_S)
        end = time.monotonic() + PATIENCE_S
        while exposition.total(system.metrics(), GAUGE, lambda _: True) < count - 1:
            if time.monotonic() > end:
                raise processes.Broken(f"{count} jobs were posted, not all of them wait")
            time.sleep(1.0)
        cluster.quiet(server)
        time.sleep(SETTLE_S)
        say(f"waiting: {seconds:g} s at rest with {count - 1} jobs that wait")
        before = turns(system)
        waiting_ms = rest(system, seconds)
        counted = turns(system) - before
    cluster.clean(server)
    return Waiting(
        waiting=count - 1,
        seconds=seconds,
        none_cpu_ms=round(none_ms, 1),
        waiting_cpu_ms=round(waiting_ms, 1),
        turns=counted,
    )


def rest(system: systems.System, seconds: float) -> float:
    """Return the milliseconds of CPU it uses in this time."""
    before = processes.cpu_s(system.child.pid)
    time.sleep(seconds)
    return (processes.cpu_s(system.child.pid) - before) * 1e3


def turns(system: systems.System) -> int:
    return int(exposition.total(system.metrics(), TURNS, lambda labels: labels.get("actor") == "job"))


def main(url: str, token: str, count: int) -> None:
    names = (str(uuid.uuid4()) for _ in range(count))
    bodies = (msgspec.json.encode(load.prowjob(name, {"max_concurrency": 1})) for name in names)
    uvloop.run(finished.post_all(url, token, bodies))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
