"""prow-controller-manager: runs ProwJobs as pods."""

from collections.abc import Sequence

from prow_async.api.errors import CannotStart
from prow_async.apps import flag_groups, leases, process
from prow_async.apps.engine import Engine, Parts


def main(argv: Sequence[str]) -> int:
    return process.main("controller-manager", flag_groups.CONTROLLER_MANAGER, argv, run)


async def run(shell: process.Shell) -> None:
    unknown = set(shell.flags["enable-controller"]) - {"plank", "scheduler"}
    if unknown:
        raise CannotStart(f"--enable-controller: no such controller: {', '.join(sorted(unknown))}")
    if "plank" not in shell.flags["enable-controller"]:
        raise CannotStart("--enable-controller: the scheduler does not exist yet; only plank does")
    if "scheduler" in shell.flags["enable-controller"]:
        process.log.warning("--enable-controller=scheduler has no effect: the scheduler is not there yet")
    config = process.load_config(shell)
    now = config.current().config
    async with process.connect_clusters(shell, config) as kube:
        parts = Parts(
            components=frozenset({"plank"}),
            jobs=kube.jobs,
            events=kube.events,
            pods=kube.pods,
            cluster_files=kube.files,
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation=process.installation(shell, now.prowjob_namespace),
            dry_run=shell.flags["dry-run"],
            leases=leases.candidacies(shell, kube, ["plank"]),
        )
        await process.serve(shell, Engine(parts), config)
