"""horologium: starts periodic jobs."""

from collections.abc import Sequence

import anyio

from prow_async.api.errors import CannotStart
from prow_async.apps import flag_groups, leases, process
from prow_async.apps.engine import Engine, Parts


def main(argv: Sequence[str]) -> int:
    return process.main("horologium", flag_groups.HOROLOGIUM, argv, run)


async def run(shell: process.Shell) -> None:
    config = process.load_config(shell)
    now = config.current().config
    async with process.connect_clusters(shell, config) as kube:
        parts = Parts(
            components=frozenset({"horologium"}),
            jobs=kube.jobs,
            events=kube.events,
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation=process.installation(shell, now.prowjob_namespace),
            periodics=process.slot_rules(shell.flags),
            dry_run=shell.flags["dry-run"],
            leases=leases.candidacies(shell, kube, ["horologium"]),
        )
        engine, limit_s = Engine(parts), shell.flags["timeout-listing-prowjobs"]
        await process.serve(shell, engine, config, services=[lambda: listed(engine, limit_s)])


async def listed(engine: Engine, limit_s: float) -> None:
    """Return once the ProwJobs have been listed. Raises CannotStart when that takes too long."""
    with anyio.move_on_after(limit_s):
        await engine.jobs.wait_synced()
        return
    raise CannotStart(
        f"ProwJobs are not listed after {limit_s:g} s (--timeout-listing-prowjobs); the log says what the API server "
        "answers, if anything"
    )
