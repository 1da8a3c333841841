"""crier: reports ProwJobs to GitHub."""

from collections.abc import Sequence

from prow_async.api.errors import CannotStart
from prow_async.apps import flag_groups, leases, process
from prow_async.apps.engine import Engine, Parts

_WORKERS = tuple(flag.name for flag in flag_groups.CRIER if flag.name.endswith("-workers"))


def main(argv: Sequence[str]) -> int:
    return process.main("crier", flag_groups.CRIER, argv, run)


async def run(shell: process.Shell) -> None:
    if not any(shell.flags[name] > 0 for name in _WORKERS):
        raise CannotStart("no reporter is on; --github-workers=1 turns the GitHub reporter on")
    if shell.flags["github-workers"] <= 0:
        raise CannotStart("the reporters asked for do not exist yet; only --github-workers does")
    allowed = process.enabled(shell.flags)
    config = process.load_config(shell)
    now = config.current().config
    async with process.connect_clusters(shell, config) as kube, process.connect_github(shell) as github:
        parts = Parts(
            components=frozenset({"crier"}),
            jobs=kube.jobs,
            events=kube.events,
            github=github,
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation=process.installation(shell, now.prowjob_namespace),
            dry_run=shell.flags["dry-run"],
            leases=leases.candidacies(shell, kube, now.prowjob_namespace, ["crier"]),
            report_agent=shell.flags["report-agent"],
            enablement=allowed,
        )
        await process.serve(shell, Engine(parts), config)
