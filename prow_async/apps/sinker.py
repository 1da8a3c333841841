"""sinker: sweeps away finished ProwJobs and old pods."""

from collections.abc import Sequence

import anyio
import structlog

from prow_async.adapters import configmap_sizes
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
            return
        services: list[process.Service] = []
        if job_config := shell.flags["job-config-path"]:
            services.append(lambda: configmap_sizes.watch(job_config, shell.metrics))
        await process.serve(shell, engine, config, services=services)


async def _once(engine: Engine) -> None:
    """List everything, sweep once (when the lease is ours), print what went and why (on a dry run: would), end."""
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
    lines = 0

    def tell(line: str) -> None:
        nonlocal lines
        lines += 1
        print(line, flush=True)

    swept = await engine.sinker.sweep(tell)
    if not lines:
        print("nothing to sweep")
    log.info("swept once", objects=swept)
