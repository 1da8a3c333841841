"""crier: reports ProwJobs to GitHub, blob storage, Slack and Pub/Sub."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from prow_async.apps import flag_groups, leases, process, reports
from prow_async.apps.engine import Engine, Parts


def main(argv: Sequence[str]) -> int:
    return process.main("crier", flag_groups.CRIER, argv, run)


async def run(shell: process.Shell) -> None:
    reports.chosen(shell)
    allowed = process.enabled(shell.flags)
    config = process.load_config(shell)
    now = config.current().config
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(process.connect_clusters(shell, config))
        told = await reports.opened(shell, config, kube.infos, stack)
        github = None
        if shell.flags["github-workers"] > 0:
            github = await stack.enter_async_context(process.connect_github(shell))
        parts = Parts(
            components=frozenset({"crier"}),
            jobs=kube.jobs,
            events=kube.events,
            pods=kube.pods,
            cluster_files=kube.files,
            github=github,
            reports=told,
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation=process.installation(shell, now.prowjob_namespace),
            dry_run=shell.flags["dry-run"],
            leases=leases.candidacies(shell, kube, ["crier"]),
            enablement=allowed,
        )
        await process.serve(shell, Engine(parts), config)
