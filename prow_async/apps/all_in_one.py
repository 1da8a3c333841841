"""`prow-async up`: every component in one process, on the embedded default or on parts of your own."""

import json
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

from prow_async.actors import plugin_help
from prow_async.adapters import config_files, decisions, storage, web_client
from prow_async.adapters.git.command import Remote
from prow_async.adapters.github import client, credentials
from prow_async.adapters.inbox import durable
from prow_async.adapters.kube import clusters
from prow_async.adapters.web import help_page, pages, posting, server, stored
from prow_async.adapters.web import hook as web_hook
from prow_async.api.errors import CannotStart
from prow_async.apps import embedded, flag_groups, leases, process, reports
from prow_async.apps import hook as hook_app
from prow_async.apps.engine import Component, Engine, Parts
from prow_async.core import webhook
from prow_async.ports.github import GitHub
from prow_async.sandbox.github import deliver
from prow_async.sandbox.github import http as github_http
from prow_async.sandbox.kubelet import kubelet

log = structlog.get_logger()
SAMPLE = Path(__file__).resolve().parent / "sample"
COMPONENTS: frozenset[Component] = frozenset({"hook", "plank", "scheduler", "crier", "sinker", "horologium"})
CONTAINER = "test"
"""The one container of an undecorated job."""


def main(argv: Sequence[str]) -> int:
    return process.main("up", flag_groups.UP, argv, run)


class Running(msgspec.Struct, frozen=True):
    """Everything that runs, and where to find it."""

    engine: Engine
    config: config_files.ConfigFiles
    folder: Path
    web_url: str
    """Webhooks at /hook, job pages at /job/NAME and /log/NAME, runs in storage at /view/..."""
    kube: embedded.Kube | None
    github: embedded.GitHub | None
    node: kubelet.Kubelet | None
    services: list[process.Service]


async def run(shell: process.Shell) -> None:
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(opened(shell))

        def announce(metrics_url: str, health_url: str) -> None:
            print(_introduction(up, metrics_url, health_url), flush=True)

        await process.serve(shell, up.engine, up.config, services=up.services, announce=announce)


def _introduction(up: Running, metrics_url: str, health_url: str) -> str:
    lines = [
        "prow-async is up; Ctrl-C ends it.",
        f"  webhooks     {up.web_url}/hook",
        f"  job pages    {up.web_url}/job/NAME, {up.web_url}/log/NAME; of what is stored: /view/...",
        f"  metrics      {metrics_url}/metrics",
        f"  health       {health_url}/healthz/ready",
    ]
    if up.kube is not None:
        lines.append(f"  Kubernetes   kubectl --kubeconfig {up.kube.kubeconfig} get prowjobs -w")
    if up.github is not None:
        token_file = up.folder / "github-token"
        lines.append(f"  GitHub       {up.github.url} (token in {token_file})")
        password = up.folder / "octocat-token"
        lines.append(f"  git          git clone {up.github.url}/octo-org/hello.git (octocat's password: {password})")
    if up.node is None:
        lines.append("  pods         are run by the cluster; none as processes here (--run-jobs-on-this-machine)")
    return "\n".join(lines)


@asynccontextmanager
async def opened(shell: process.Shell) -> AsyncIterator[Running]:
    """Put everything together. Nothing runs yet but the servers: run `engine` and `services`."""
    values = shell.flags.values
    async with AsyncExitStack() as stack:
        state = _state(values)
        # What belongs to kept objects is kept too: pods' folders, deliveries.
        folder = _folder(values["data-dir"] or (str(state / "data") if state else ""), stack)
        config = process.load_config(_with_sample(shell, folder))
        ports = values["kube-port"], values["github-port"]
        place = embedded.Place(folder, shell.clock, shell.ids, *ports, state, tuple(values["host-path"]))
        kube, cluster = await _kube(shell, config, place, stack)
        github, forge, remote = await _github(shell, place, stack)
        tokens, secret = _tokens(values["hmac-secret-file"], shell)
        settings = hook_app.inbox_settings(values)
        inbox = await stack.enter_async_context(durable.opened(folder / "inbox", shell.clock, settings))
        shell.metrics.before_scrape(lambda: inbox.report(shell.metrics))
        forward = await stack.enter_async_context(posting.opened())
        kept = folder / "inbox" / decisions.NAME
        explained = await stack.enter_async_context(decisions.opened(kept, shell.clock, shell.metrics))
        found: list[Engine] = []
        node = _node(shell, place, kube, (github, cluster))
        site = web_hook.hook_site(tokens, inbox, shell.metrics)
        help_page.add(site, plugin_help.HelpDesk(config.current, hook_app.PLUGINS, forge, forward).document)
        pages.add(site, lambda name: found[0].describe(name) if found else None, _logs(found, cluster, config, node))
        stored.add(site, reports.buckets(config), storage.open_bucket)
        web_url = await stack.enter_async_context(server.serving(site, values["listen-host"], values["port"]))
        parts = Parts(
            components=COMPONENTS,
            jobs=cluster.jobs,
            events=cluster.events,
            config_maps=cluster.config_maps,
            pods=cluster.pods,
            cluster_files=cluster.files,
            github=forge,
            reports=await reports.opened(shell, config, cluster.infos, stack),
            inbox=inbox,
            forward=forward,
            nets=hook_app.nets_of(values, inbox, alone=True),
            plugins=hook_app.PLUGINS,
            decisions=explained,
            explain_in_help=values["explain-in-help"],
            web=await stack.enter_async_context(web_client.connect(shell.name)),
            inrepo=process.in_repo(shell, remote, folder),
            code=process.repo_code(shell, remote, folder),
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation=process.installation(shell, config.current().config.prowjob_namespace),
            periodics=process.slot_rules(shell.flags),
            dry_run=values["dry-run"],
            leases=leases.candidacies(shell, cluster, COMPONENTS),
            job_pages=web_url,
        )
        found.append(Engine(parts))
        services: list[process.Service] = [] if node is None else [node.run]
        if github is not None:
            services.append(await _deliveries(shell, github, (f"{web_url}/hook", secret), stack))
        yield Running(found[0], config, folder, web_url, kube, github, node, services)


def _state(values: Mapping[str, Any]) -> Path | None:
    """Return where the embedded API server's objects are kept, None where they are not."""
    if not values["state-dir"]:
        return None
    if values["kubeconfig"] or values["in-cluster"]:
        raise CannotStart(
            "--state-dir keeps the embedded API server's objects; --kubeconfig and --in-cluster name another server"
        )
    state = Path(values["state-dir"])
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"--state-dir: {state} cannot be used: {error.strerror}") from error
    return state


def _folder(asked: str, stack: AsyncExitStack) -> Path:
    """Make the data folder; a temporary one goes away with the process."""
    if not asked:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prow-async-")))
    folder = Path(asked)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"--data-dir={asked} cannot be made: {error.strerror}") from error
    return folder.resolve()


def _with_sample(shell: process.Shell, folder: Path) -> process.Shell:
    """Fill in the sample where the person names no configuration of their own; its runs are stored in the folder."""
    values = dict(shell.flags.values)
    if not values["config-path"]:
        config = folder / "sample.yaml"
        storage = json.dumps((folder / "storage").as_uri())
        config.write_text((SAMPLE / "config.yaml").read_text().replace("STORAGE", storage))
        values["config-path"] = str(config)
        values["job-config-path"] = values["job-config-path"] or str(SAMPLE / "jobs.yaml")
    values["plugin-config"] = values["plugin-config"] or str(SAMPLE / "plugins.yaml")
    return msgspec.structs.replace(shell, flags=msgspec.structs.replace(shell.flags, values=values))


async def _kube(
    shell: process.Shell,
    config: config_files.ConfigFiles,
    place: embedded.Place,
    stack: AsyncExitStack,
) -> tuple[embedded.Kube | None, process.Clusters]:
    now = config.current().config
    if shell.flags["in-cluster"] and not os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise CannotStart("--in-cluster: this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set)")
    if shell.flags["kubeconfig"] or shell.flags["in-cluster"]:
        return None, await stack.enter_async_context(process.connect_clusters(shell, config))
    kube = await stack.enter_async_context(embedded.kube(place, now.prowjob_namespace, now.pod_namespace))
    aliases = dict.fromkeys([clusters.INFRA, clusters.DEFAULT], kube.transport)
    return kube, process.collections(aliases, now.prowjob_namespace, now.pod_namespace)


async def _github(
    shell: process.Shell, place: embedded.Place, stack: AsyncExitStack
) -> tuple[embedded.GitHub | None, GitHub, Remote]:
    if shell.flags["github-endpoint"]:
        real = await stack.enter_async_context(process.connect_github(shell))
        return None, real, real.remote()
    for name in ("github-token-path", "github-app-id"):
        if shell.flags[name]:
            raise CannotStart(f"--{name} is for a real GitHub: name it with --github-endpoint")
    small = await stack.enter_async_context(embedded.github(place))
    for name, token in (("github-token", small.token), ("octocat-token", small.person_token)):
        shell.censor.add([token.encode()])
        (place.folder / name).touch(mode=0o600)
        (place.folder / name).write_text(token)
    who = credentials.FixedToken(small.token)
    forge = client.on(small.transport, who, shell.metrics, shell.clock)
    return small, forge, Remote(small.url, lambda _: small.token)


def _tokens(path: str, shell: process.Shell) -> tuple[Callable[[], webhook.Tokens], bytes]:
    """Return the webhook secrets, and the one the small GitHub signs with."""
    if shell.flags["github-endpoint"] and not path:
        raise CannotStart("--github-endpoint needs --hmac-secret-file: the secret that GitHub signs webhooks with")
    if not path:
        secret = secrets.token_hex(20).encode()
        shell.censor.add([secret])
        made = webhook.parse_tokens(secret)
        return (lambda: made), secret
    tokens = hook_app.TokenFile(path, shell.censor)
    levels = tokens().levels
    found = next((levels[key] for key in ("octo-org/hello", "octo-org", "*") if levels.get(key)), ())
    if not found:
        raise CannotStart(f"--hmac-secret-file={path} holds no secret for octo-org, the small GitHub's organization")
    return tokens, found[0]


async def _deliveries(
    shell: process.Shell, github: embedded.GitHub, target: tuple[str, bytes], stack: AsyncExitStack
) -> process.Service:
    """Register our webhook at the small GitHub; return the service that delivers."""
    url, secret = target
    github.world.own_hook("octo-org", url, secret, now_s=shell.clock.now())
    send = await stack.enter_async_context(github_http.posting())

    async def service() -> None:
        await deliver.run(github.world, shell.clock, send)

    return service


def _node(
    shell: process.Shell,
    place: embedded.Place,
    kube: embedded.Kube | None,
    others: tuple[embedded.GitHub | None, process.Clusters],
) -> kubelet.Kubelet | None:
    """Choose who runs pods as processes here: nobody, where that could be a stranger's code nobody asked to run."""
    github, cluster = others
    embedded_only = kube is not None and github is not None
    if shell.flags["dry-run"] or not (embedded_only or shell.flags["run-jobs-on-this-machine"]):
        return None
    if kube is not None:
        return kube.kubelet
    return kubelet.Kubelet(cluster.pods[clusters.DEFAULT], place.folder / "pods", shell.clock, settings=place.node)


def _logs(
    found: list[Engine], cluster: process.Clusters, config: config_files.ConfigFiles, node: kubelet.Kubelet | None
) -> Callable[[str], AbstractAsyncContextManager[AsyncIterator[bytes]] | None]:
    """Return how a job's live log is read: from the processes here, or from its cluster."""

    def log_of(name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]] | None:
        job = found[0].jobs.get(name) if found else None
        if job is None or not job.pod_name:
            return None
        namespace = config.current().config.pod_namespace
        if node is not None:
            return _reading(node.logs.follow(namespace, job.pod_name, CONTAINER, follow=True))
        logs = cluster.logs.get(job.cluster)
        return None if logs is None else logs.follow(namespace, job.pod_name, CONTAINER)

    return log_of


@asynccontextmanager
async def _reading(pieces: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    yield pieces
