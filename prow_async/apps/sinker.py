"""sinker: sweeps away finished ProwJobs and old pods."""

from collections.abc import Sequence

import anyio
import structlog

from prow_async.apps import flag_groups, leases, process
from prow_async.apps.engine import Engine, Parts

log = structlog.get_logger()


def main(argv: Sequence[str]) -> int:
    return process.main("sinker", flag_groups.SINKER, argv, run)


async def run(shell: process.Shell) -> None:
    config = process.load_config(shell)
    now = config.current().config
    async with process.connect_clusters(shell, config) as kube:
        parts = Parts(
            components=frozenset({"sinker"}),
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
            leases=leases.candidacies(shell, kube, ["sinker"]),
        )
        engine = Engine(parts)
        if shell.flags["run-once"]:
            await _once(engine)
        else:
            await process.serve(shell, engine, config)


async def _once(engine: Engine) -> None:
    """List everything, sweep once (when the lease is ours), end."""
    async with anyio.create_task_group() as group:
        for service in engine.watches().values():
            group.start_soon(service)
        await engine.wait_listed()
        leader = engine.leaders.get("sinker")
        if leader is None:
            await _sweep(engine)
        else:
            swept = anyio.Event()

            async def act() -> None:
                await _sweep(engine)
                swept.set()

            group.start_soon(leader.run, act)
            await swept.wait()
            await leader.resign()
        group.cancel_scope.cancel()


async def _sweep(engine: Engine) -> None:
    assert engine.sinker is not None
    log.info("swept once", objects=await engine.sinker.sweep())
