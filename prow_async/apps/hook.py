"""hook: receives webhooks durably, runs plugins."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from prow_async.actors import plugin_help
from prow_async.adapters import decisions, logs
from prow_async.adapters.inbox import durable
from prow_async.adapters.inbox.store import Settings
from prow_async.adapters.web import help_page, posting, server
from prow_async.adapters.web import hook as web_hook
from prow_async.api.errors import CannotStart
from prow_async.apps import flag_groups, nets, process
from prow_async.apps.engine import Engine, Parts
from prow_async.core import webhook
from prow_async.plugins import config_updater, hold, label, lgtm, size, trigger
from prow_async.plugins import help as help_plugin

PLUGINS = (
    config_updater.PLUGIN,
    help_plugin.PLUGIN,
    hold.PLUGIN,
    label.PLUGIN,
    lgtm.PLUGIN,
    size.PLUGIN,
    trigger.PLUGIN,
)
"""Every plugin there is, named one by one."""


def main(argv: Sequence[str]) -> int:
    return process.main("hook", flag_groups.HOOK, argv, run)


def inbox_settings(values: Mapping[str, Any]) -> Settings:
    """Read how big the inbox may become. Raises CannotStart."""
    most, history = values["inbox-max-mib"], values["inbox-history-mib"]
    if most < 64 or not 0 <= history < most:
        raise CannotStart("--inbox-max-mib must be 64 or more, --inbox-history-mib less than it and not negative")
    return Settings(max_bytes=most << 20, history_bytes=history << 20)


def nets_of(values: Mapping[str, Any], inbox: durable.DurableInbox, alone: bool = False) -> nets.Nets:
    """Read which nets are out for webhooks that do not come.

    Args:
        alone: no other process takes webhooks of this installation.
    """
    return nets.Nets(
        inbox,
        app=bool(values.get("github-app-id", "")),
        hook_url=values["webhook-url"],
        alone=alone,
        log=values["recover-deliveries"],
        heads_a_minute=values["backstop-per-minute"],
    )


def read_tokens(path: str) -> webhook.Tokens:
    """Read the webhook secrets. Raises CannotStart when the file does not read or is empty."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CannotStart(f"--hmac-secret-file={path} cannot be read: {error.strerror}") from error
    if not content.strip():
        raise CannotStart(f"--hmac-secret-file={path} is empty: without a secret nothing can be trusted")
    return webhook.parse_tokens(content)


class TokenFile:
    """The webhook secrets, read again whenever the file changes; a change that does not read keeps the last ones."""

    def __init__(self, path: str, censor: logs.Censor) -> None:
        self._path = path
        self._censor = censor
        self._tokens = self._read()
        self._stamp = self._now()

    def _read(self) -> webhook.Tokens:
        tokens = read_tokens(self._path)
        self._censor.add(token for level in tokens.levels.values() for token in level)
        return tokens

    def _now(self) -> tuple[int, int]:
        try:
            stat = Path(self._path).stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_size)

    def __call__(self) -> webhook.Tokens:
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._tokens = self._read()
            except CannotStart as error:
                process.log.warning("webhook secrets not reloaded; the last good ones stay", why=str(error))
        return self._tokens


async def run(shell: process.Shell) -> None:
    flags = shell.flags
    tokens = TokenFile(flags["hmac-secret-file"], shell.censor)
    config = process.load_config(shell)
    now = config.current().config
    allowed = process.enabled(flags)
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(process.connect_clusters(shell, config))
        github = await stack.enter_async_context(process.connect_github(shell))
        inbox = await stack.enter_async_context(
            durable.opened(Path(flags["inbox-dir"]), shell.clock, inbox_settings(flags.values))
        )
        forward = await stack.enter_async_context(posting.opened())
        shell.metrics.before_scrape(lambda: inbox.report(shell.metrics))
        kept = Path(flags["inbox-dir"]) / decisions.NAME
        explained = await stack.enter_async_context(decisions.opened(kept, shell.clock, shell.metrics))
        parts = Parts(
            components=frozenset({"hook"}),
            jobs=kube.jobs,
            events=kube.events,
            config_maps=kube.config_maps,
            github=github,
            inbox=inbox,
            forward=forward,
            nets=nets_of(flags.values, inbox),
            plugins=PLUGINS,
            decisions=explained,
            explain_in_help=flags["explain-in-help"],
            inrepo=process.in_repo(shell, github.remote()),
            code=process.repo_code(shell, github.remote()),
            config=config,
            clock=shell.clock,
            ids=shell.ids,
            metrics=shell.metrics,
            installation=process.installation(shell, now.prowjob_namespace),
            dry_run=flags["dry-run"],
            enablement=allowed,
        )

        async def fronts(inner: AsyncExitStack) -> None:
            site = web_hook.hook_site(tokens, inbox, shell.metrics, flags["webhook-path"])
            help_page.add(site, plugin_help.HelpDesk(config.current, PLUGINS, github, forward).document)
            await inner.enter_async_context(server.serving(site, flags["listen-host"], flags["port"]))

        await process.serve(shell, Engine(parts), config, fronts, [] if kube.files is None else [kube.files.follow])
