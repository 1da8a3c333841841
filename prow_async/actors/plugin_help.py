"""Gathers the help document: repositories of orgs, remembered for an hour, and the help of external plugins.

Source: upstream pkg/pluginhelp/hook/hook.go. An org or an external plugin that does not answer is left out.
"""

from collections.abc import Callable, Mapping, Sequence

import anyio
import msgspec
import structlog

from prow_async.api.errors import ProwError
from prow_async.api.plugin_config import ExternalPlugin, PluginConfig
from prow_async.core import plugin_help
from prow_async.core.plugin_help import CommandHelp, Document, PluginHelp
from prow_async.ports.config import Snapshot
from prow_async.ports.forward import Forward
from prow_async.ports.github import Repositories
from prow_async.ports.plugin import Plugin

log = structlog.get_logger()
REPOS_KEPT_S = 3600.0
EXTERNAL_S = 1.0
"""So long all external plugins together may take."""
_HEADERS = {"Content-Type": "application/json"}


class HelpDesk:
    """Answers `/plugin-help`."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        plugins: Sequence[Plugin],
        github: Repositories,
        forward: Forward,
    ) -> None:
        self._snapshot = snapshot
        self._plugins = plugins
        self._github = github
        self._forward = forward
        self._by_org: dict[str, tuple[str, ...]] = {}
        self._read_s: float | None = None
        self._asked: frozenset[str] = frozenset()
        self._reading = anyio.Lock()

    async def document(self) -> bytes:
        """Return the document as JSON, under upstream's names."""
        config = self._snapshot().plugins
        every = plugin_help.repos(config, await self._repos(plugin_help.orgs(config)))
        own, external = plugin_help.enabled(config, every)
        known = {plugin.name: _help(plugin, config, own) for plugin in self._plugins if plugin.name in own[""]}
        document = Document(
            all_repos=every,
            repo_plugins=own,
            repo_external_plugins=external,
            plugin_help={name: known[name] for name in own[""] if name in known},
            external_plugin_help=await self._external(plugin_help.endpoints(config, every)),
        )
        return msgspec.json.encode(document)

    async def _repos(self, orgs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        async with self._reading:
            now_s = anyio.current_time()
            new = not self._asked.issuperset(orgs)
            if new or self._read_s is None or now_s - self._read_s > REPOS_KEPT_S:
                found: dict[str, tuple[str, ...]] = {}
                for org in orgs:
                    try:
                        found[org] = tuple(repo.name for repo in await self._github.repos(org))
                    except ProwError as error:
                        log.warning("repositories not listed for help", org=org, why=str(error))
                self._by_org, self._read_s, self._asked = found, now_s, frozenset(orgs)
            return self._by_org

    async def _external(
        self, about: Sequence[tuple[ExternalPlugin, tuple[plugin_help.Asked, ...]]]
    ) -> dict[str, PluginHelp]:
        """Ask all at once. Which events they get is for the configuration to say, not for them."""
        found: dict[str, PluginHelp] = {}

        async def ask(plugin: ExternalPlugin, repos: tuple[plugin_help.Asked, ...]) -> None:
            try:
                url = f"{plugin.endpoint.rstrip('/')}/help"
                status, answer = await self._forward.post(url, _HEADERS, msgspec.json.encode(repos))
                if 200 <= status < 300:
                    told = msgspec.json.decode(answer, type=PluginHelp)
                    found[plugin.name] = msgspec.structs.replace(told, events=plugin.events or None)
                else:
                    log.warning("external plugin gives no help", plugin=plugin.name, status=status)
            except (ProwError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                log.warning("external plugin gives no help", plugin=plugin.name, why=str(error))

        with anyio.move_on_after(EXTERNAL_S):
            async with anyio.create_task_group() as group:
                for plugin, repos in about:
                    group.start_soon(ask, plugin, repos)
        return dict(sorted(found.items()))


def _help(plugin: Plugin, config: PluginConfig, enabled: Mapping[str, Sequence[str]]) -> PluginHelp:
    on = [repo for repo, names in enabled.items() if repo and plugin.name in names]
    commands = tuple(
        CommandHelp(
            usage=command.usage,
            featured=command.featured,
            description=command.description,
            examples=command.examples,
            who_can_use=command.who_can_use,
        )
        for command in plugin.help.commands
    )
    return PluginHelp(
        description=plugin.help.description,
        config={} if plugin.help.config is None else plugin.help.config(config, on),
        events=tuple(sorted(plugin.events)),
        commands=commands,
        snippet=plugin.help.snippet or msgspec.UNSET,
    )
