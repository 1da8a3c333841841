"""horologium: starts periodic jobs."""

from collections.abc import Sequence

from prow_async.apps import flag_groups, process
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
        )
        await process.serve(shell, Engine(parts), config)
