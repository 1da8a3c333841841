"""What all long-running processes do the same way: logs, metrics, health, configuration, clusters, signals."""

import gc
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import structlog

from prow_async.adapters import clock as clocks
from prow_async.adapters import config_files, logs, outgoing, push_gateway
from prow_async.adapters import metrics as metrics_adapter
from prow_async.adapters.git.code import MirroredCode
from prow_async.adapters.git.command import Remote
from prow_async.adapters.git.inrepo import InRepoConfig
from prow_async.adapters.kube import clusters, collection, live, podinfo, podlogs
from prow_async.adapters.web import config_page, explain_page, health, metrics_page, pages, server
from prow_async.api.errors import CannotStart
from prow_async.apps import config_flags, github
from prow_async.apps import flags as flag_parser
from prow_async.apps.engine import Engine
from prow_async.core import cron_slots, enablement, selectors
from prow_async.ports import kube as kube_port
from prow_async.ports.config import Changes, Snapshot
from prow_async.ports.transport import Transport

log = structlog.get_logger()
STATE_DIR = "/var/lib/prow-async"
"""Where what outlives the process is kept by default."""
YOUNG = 5_000
"""So many more objects made than gone, and the collector looks at them: a busy moment has more than its usual 700."""
CREATED_BY_PROW = "created-by-prow=true"
_PUSHED_AS = {"controller-manager": "plank"}
"""Names of components in the `job` label of pushed metrics, where upstream has another one."""
Service = Callable[[], Coroutine[Any, Any, None]]
Fronts = Callable[[AsyncExitStack], Awaitable[None]]


class Shell(msgspec.Struct, frozen=True):
    """One process's surroundings."""

    name: str
    flags: flag_parser.Flags
    metrics: metrics_adapter.PrometheusMetrics
    clock: clocks.SystemClock
    ids: clocks.SystemIds
    censor: logs.Censor
    """Register every secret here before anything can log it."""


def main(
    name: str, table: Sequence[flag_parser.Flag], argv: Sequence[str], run: Callable[[Shell], Awaitable[None]]
) -> int:
    """Parse flags, set up logs, run until done or told to stop; return the exit code."""
    parsed = flag_parser.parse(f"prow-async {name}", table, argv)
    censor = logs.Censor()
    logs.set_up(name, censor)
    for warning in parsed.warnings:
        log.warning(warning)
    if parsed.values.get("dry-run"):
        log.warning("dry run: nothing at all will be written; --dry-run=false turns it off")
    run_loop(run, new_shell(name, parsed, censor))
    return 0


def new_shell(name: str, parsed: flag_parser.Flags, censor: logs.Censor) -> Shell:
    return Shell(name, parsed, metrics_adapter.PrometheusMetrics(), clocks.SystemClock(), clocks.SystemIds(), censor)


def run_loop(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """Run on asyncio, with uvloop where it is installed."""
    try:
        import uvloop  # noqa: F401 - only whether it is there
    except ImportError:
        return anyio.run(function, *arguments)
    return anyio.run(function, *arguments, backend_options={"use_uvloop": True})


def load_config(shell: Shell) -> config_files.ConfigFiles:
    """Load the configuration the flags name. Raises ConfigErrors (exit 1) or CannotStart (exit 2)."""
    values = shell.flags.values
    config_flags.in_repo_policy(values)  # a wrong one is told before anything is reached
    cache = values.get("config-cache-file", "")
    files = config_files.ConfigFiles(
        config_flags.paths(values),
        clock=shell.clock,
        metrics=shell.metrics,
        quarantine=values.get("quarantine-bad-config", False),
        cache=Path(cache) if cache else None,
    )
    shell.metrics.before_scrape(files.report)
    files.load()
    return files


def in_repo(shell: Shell, remote: Remote, folder: Path | None = None) -> InRepoConfig:
    """Read jobs that repositories keep themselves, from mirrors below a folder; by default the one the flags name."""
    values = shell.flags.values
    size, policy = values.get("in-repo-config-cache-size", 200), config_flags.in_repo_policy(values)
    return InRepoConfig(_mirrors(shell, folder), remote, shell.metrics, size, policy)


def repo_code(shell: Shell, remote: Remote, folder: Path | None = None) -> MirroredCode:
    """Read repositories' files from the same mirrors."""
    return MirroredCode(_mirrors(shell, folder), remote)


def _mirrors(shell: Shell, folder: Path | None) -> Path:
    return (folder or Path(shell.flags.values.get("cache-dir-base", "") or STATE_DIR)) / "mirrors"


class Clusters(msgspec.Struct, frozen=True):
    """The collections the engine works on. `pods`, `logs` and `infos` follow what `files` sees."""

    jobs: collection.KubeCollection
    events: collection.KubeCollection
    pods: Mapping[str, kube_port.Collection]
    logs: Mapping[str, kube_port.PodLogs]
    infos: Mapping[str, kube_port.PodInfo]
    lease: Callable[[str], collection.KubeCollection]
    """Makes the collection of the one Lease of a name, in the namespace of ProwJobs."""
    config_maps: kube_port.ConfigMaps
    files: live.LiveClusters | None = None


@asynccontextmanager
async def connect_clusters(shell: Shell, config: config_files.ConfigFiles) -> AsyncIterator[Clusters]:
    """Open every cluster the flags name; aliases of one and the same cluster share one connection and one watch."""
    values, now = shell.flags.values, config.current().config
    wanted = clusters.Flags(
        kubeconfig=values["kubeconfig"],
        kubeconfig_dir=values.get("kubeconfig-dir", ""),
        kubeconfig_suffix=values.get("kubeconfig-suffix", ""),
        in_cluster=not values.get("no-in-cluster-config", False),
        projected_token_file=values.get("projected-token-file", ""),
    )

    def disabled() -> Sequence[str]:
        return config.current().config.disabled_clusters

    pods_of = (now.pod_namespace, _pod_selector(values))
    async with live.LiveClusters(wanted, shell.name, disabled, pods_of, shell.metrics) as files:
        jobs = collection.KubeCollection(files.infra, "", collection.PROWJOBS, now.prowjob_namespace)
        events = collection.KubeCollection(files.infra, "", collection.EVENTS, now.prowjob_namespace)
        leases, maps = _leases(files.infra, now.prowjob_namespace), _config_maps(files.infra, files.transport)
        yield Clusters(jobs, events, files.pods, files.logs, files.infos, leases, maps, files)


def _config_maps(infra: Transport, transport: Callable[[str], Transport | None]) -> kube_port.ConfigMaps:
    def maps(alias: str, namespace: str) -> collection.KubeCollection | None:
        found = infra if alias == clusters.DEFAULT else transport(alias)
        return None if found is None else collection.KubeCollection(found, alias, collection.CONFIG_MAPS, namespace)

    return maps


def _leases(infra: Transport, namespace: str) -> Callable[[str], collection.KubeCollection]:
    return lambda name: collection.KubeCollection(
        infra, "", collection.LEASES, namespace, field_selector=f"metadata.name={name}"
    )


def _pod_selector(values: Mapping[str, Any]) -> str:
    """Return which pods are watched. Raises CannotStart for a --label-selector that does not read."""
    asked = values.get("label-selector", "")
    try:
        selectors.parse_labels(asked)
    except selectors.BadSelector as error:
        raise CannotStart(f"--label-selector={asked}: {error}") from error
    return f"{CREATED_BY_PROW},{asked}" if asked else CREATED_BY_PROW


def collections(transports: Mapping[str, Transport], prowjob_namespace: str, pod_namespace: str) -> Clusters:
    """Make the engine's collections. `transports` is keyed by alias; the empty one is the infrastructure cluster."""
    infra = transports[clusters.INFRA]
    made: dict[int, collection.KubeCollection] = {}
    pods = {}
    for alias, transport in transports.items():
        if alias != clusters.INFRA:
            if id(transport) not in made:
                made[id(transport)] = collection.KubeCollection(
                    transport, alias, collection.PODS, pod_namespace, CREATED_BY_PROW
                )
            pods[alias] = made[id(transport)]
    return Clusters(
        collection.KubeCollection(infra, "", collection.PROWJOBS, prowjob_namespace),
        collection.KubeCollection(infra, "", collection.EVENTS, prowjob_namespace),
        pods,
        {alias: podlogs.KubePodLogs(transport, alias) for alias, transport in transports.items()},
        {alias: podinfo.KubePodInfo(transport, alias) for alias, transport in transports.items()},
        _leases(infra, prowjob_namespace),
        _config_maps(infra, transports.get),
    )


connect_github = github.connect


async def serve(
    shell: Shell,
    engine: Engine,
    config: config_files.ConfigFiles,
    fronts: Fronts | None = None,
    services: Sequence[Service] = (),
    announce: Callable[[str, str], None] | None = None,
) -> None:
    """Run an engine until SIGTERM or SIGINT, then drain.

    Args:
        fronts: opens servers that take in work; they are closed first, so that the rest can finish.
        services: run beside the engine, ended after it.
        announce: told the addresses of the metrics and of the health server once everything is open.
    """
    values = shell.flags.values
    host = values["listen-host"]
    _follow_log_level(shell, config)
    async with AsyncExitStack() as outer:
        site = metrics_page.metrics_site(shell.metrics)
        config_page.add(site, config.status, shell.clock)
        pages.add_jobs(site, engine.describe, engine.describe_slots)
        if (explainer := engine.explainer()) is not None:
            explain_page.add(site, explainer.pull)
        metrics_url = await outer.enter_async_context(server.serving(site, host, values["metrics-port"]))
        probes = health.health_site(lambda: engine.ready)
        health_url = await outer.enter_async_context(server.serving(probes, host, values["health-port"]))
        async with anyio.create_task_group() as group, AsyncExitStack() as inner:
            group.start_soon(engine.run)
            group.start_soon(config.watch)
            if config.current().config.push_gateway.endpoint:
                group.start_soon(_push_metrics, shell, config)
            for service in services:
                group.start_soon(service)
            if fronts is not None:
                await fronts(inner)
            _rest_loaded()
            # Signals are heard before anybody is told that we run, and may stop us.
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as told:
                if announce is not None:
                    announce(metrics_url, health_url)
                log.info("started", components=sorted(engine.parts.components), dry_run=engine.parts.dry_run)
                await anext(told)
            _second_ends_at_once()
            log.info("stopping: draining what is under way", grace_period_s=values["grace-period"])
            await inner.aclose()
            await engine.resign()
            await drain(engine, values["grace-period"])
            group.cancel_scope.cancel()
    log.info("stopped")


async def _push_metrics(shell: Shell, config: config_files.ConfigFiles) -> None:
    """Push to the gateway that the configuration names."""
    async with outgoing.opened(shell.name) as sender:
        pusher = push_gateway.Pusher(shell.metrics, sender, _PUSHED_AS.get(shell.name, shell.name))
        await push_gateway.keep_pushing(pusher, lambda: config.current().config.push_gateway)


def _rest_loaded() -> None:
    """Have the collector leave alone what is loaded by now: it stays, and to look through it takes 30 ms each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)


def _follow_log_level(shell: Shell, config: config_files.ConfigFiles) -> None:
    """Log at the configuration's `log_level`, now and after each reload."""
    level = config.current().config.log_level
    if level != "info":
        logs.set_up(shell.name, shell.censor, level)

    def changed(before: Snapshot, after: Snapshot, changes: Changes) -> None:
        if before.config.log_level != after.config.log_level:
            logs.set_up(shell.name, shell.censor, after.config.log_level)

    config.subscribe(changed)


def _second_ends_at_once() -> None:
    """From now on a signal ends the process without draining."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))


async def drain(engine: Engine, grace_s: float) -> None:
    """Wait until no turn is under way, at most `grace_s`. What is cut off is continued from the inbox and cluster."""
    engine.hurry()
    with anyio.move_on_after(grace_s):
        while not engine.idle:  # noqa: ASYNC110 - idleness has no event: it is the absence of several
            await anyio.sleep(0.02)


def installation(shell: Shell, prowjob_namespace: str) -> str:
    return shell.flags.values["installation-id"] or prowjob_namespace


def slot_rules(flags: flag_parser.Flags) -> cron_slots.Rules:
    """Read what becomes of periodics' cron slots by default. Raises CannotStart."""
    try:
        return cron_slots.rules(flags["missed-slots"], flags["missed-slots-window"], flags["jitter"])
    except ValueError as error:
        raise CannotStart(f"--missed-slots, --missed-slots-window, --jitter: {error}") from error


def enabled(flags: flag_parser.Flags) -> enablement.Enablement:
    """Read which orgs and repos this process handles. Raises CannotStart for lists that contradict each other."""
    return enablement.parse(
        flags["github-enabled-org"],
        flags["github-enabled-repo"],
        flags["github-disabled-org"],
        flags["github-disabled-repo"],
    )
