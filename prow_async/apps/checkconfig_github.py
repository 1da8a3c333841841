"""Gathers from GitHub what checkconfig's warnings look at."""

from collections.abc import Sequence

import anyio

from prow_async.adapters import logs
from prow_async.api.errors import CannotStart, Missing, ProwError, Refused
from prow_async.api.plugin_config import PluginConfig
from prow_async.apps import flags, github, process
from prow_async.core import checkconfig_github
from prow_async.ports.github import GitHub

SIDE_BY_SIDE = 8


class Gathered:
    """What GitHub has said, and for each warning that it could not be asked for, why."""

    def __init__(self) -> None:
        self.without_owners: frozenset[str] = frozenset()
        self.app_installations: tuple[str, ...] | None = None
        self.failures: dict[str, str] = {}


def gather(parsed: flags.Flags, plugins: PluginConfig, names: Sequence[str]) -> Gathered:
    """Ask GitHub what the warnings of these names need. Raises CannotStart for flags that make no sense."""
    found = Gathered()

    async def ask(shell: process.Shell) -> None:
        async with github.connect(shell) as forge:
            if checkconfig_github.OWNERS_PRESENCE in names:
                try:
                    found.without_owners = await _without_owners(forge, plugins)
                except ProwError as error:
                    found.failures[checkconfig_github.OWNERS_PRESENCE] = str(error)
            if checkconfig_github.APP_INSTALLATION in names:
                try:
                    found.app_installations = await _installations(forge, parsed)
                except ProwError as error:
                    found.failures[checkconfig_github.APP_INSTALLATION] = str(error)

    process.run_loop(ask, process.new_shell("checkconfig", parsed, logs.Censor()))
    return found


async def _installations(forge: GitHub, parsed: flags.Flags) -> tuple[str, ...]:
    if not parsed["github-app-id"]:
        raise CannotStart("it asks where a GitHub App is installed: give --github-app-id and its private key")
    return await forge.app_installations()


async def _without_owners(forge: GitHub, plugins: PluginConfig) -> frozenset[str]:
    """Return the repositories with plugins that read OWNERS files, and without one."""
    places = checkconfig_github.reading_owners(plugins).values()
    repos = {repo for where in places for repo in where.repos}
    for org in sorted({org for where in places for org in where.orgs}):
        listed = [repo for repo in await forge.repos(org) if not repo.archived]
        repos |= {repo.full_name for repo in listed if any(repo.full_name in where for where in places)}
    lacking: set[str] = set()
    lane = anyio.CapacityLimiter(SIDE_BY_SIDE)
    errors: list[ProwError] = []

    async def look(name: str) -> None:
        org, _, repo = name.partition("/")
        async with lane:
            if errors:
                return
            try:
                await forge.file_content(org, repo, checkconfig_github.OWNERS, "")
            except Missing:
                lacking.add(name)
            except Refused as refused:
                if refused.status:
                    errors.append(refused)
            except ProwError as error:
                errors.append(error)

    async with anyio.create_task_group() as group:
        for name in sorted(repos):
            group.start_soon(look, name)
    if errors:
        raise errors[0]
    return frozenset(lacking)
