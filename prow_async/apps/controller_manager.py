"""prow-controller-manager: runs ProwJobs as pods, and finds their clusters."""

import functools
from collections.abc import Sequence
from pathlib import Path

from prow_async.actors.reporters.reads import Reports
from prow_async.adapters import storage, web_client
from prow_async.adapters.storage.threads import ThreadedStorage
from prow_async.api.errors import CannotStart
from prow_async.apps import flag_groups, leases, process
from prow_async.apps.engine import Engine, Parts
from prow_async.core import tot


def main(argv: Sequence[str]) -> int:
    return process.main("controller-manager", flag_groups.CONTROLLER_MANAGER, argv, run)


async def run(shell: process.Shell) -> None:
    unknown = set(shell.flags["enable-controller"]) - {"plank", "scheduler"}
    if unknown:
        raise CannotStart(f"--enable-controller: no such controller: {', '.join(sorted(unknown))}")
    if shell.flags["tot-url"] and (wrong := tot.problem(shell.flags["tot-url"])):
        raise CannotStart(f"--tot-url: {wrong}")
    config = process.load_config(shell)
    now = config.current().config
    async with process.connect_clusters(shell, config) as kube, web_client.connect(shell.name) as web:
        parts = Parts(
            components=frozenset(shell.flags["enable-controller"]),
            web=web,
            tot_url=shell.flags["tot-url"],
            looks_at_access="plank" in shell.flags["enable-controller"],
            reports=Reports(storage=_storage(shell)),
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


def _storage(shell: process.Shell) -> ThreadedStorage:
    """Open storage for the build cluster status file; nothing else is written there."""
    files = {"gcs_credentials_file": "gcs-credentials-file", "s3_credentials_file": "s3-credentials-file"}
    values = {name: shell.flags[flag] for name, flag in files.items()}
    for path in filter(None, values.values()):
        if not Path(path).is_file():
            raise CannotStart(f"the credentials file {path} does not exist")
    return ThreadedStorage(functools.partial(storage.open_bucket, **values))
