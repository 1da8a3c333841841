"""The document at `/plugin-help`: which plugin is on where, and what each says of itself.

Source: upstream pkg/pluginhelp/pluginhelp.go (shape), pkg/pluginhelp/hook/hook.go. Deviation: an external plugin
that is configured with two addresses under one name is asked at the first that comes in the order of the scopes.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from prow_async.api.plugin_config import ExternalPlugin, PluginConfig


class CommandHelp(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    usage: str = ""
    featured: bool = False
    description: str = ""
    examples: tuple[str, ...] | None = None
    who_can_use: str = ""


class PluginHelp(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a plugin says of itself. `config` is by `org/repo`; "" is every repo."""

    description: str = ""
    config: dict[str, str] | None = None
    events: tuple[str, ...] | None = None
    commands: tuple[CommandHelp, ...] | None = None
    snippet: str | msgspec.UnsetType = msgspec.UNSET
    """An example of its section in plugins.yaml; left out where there is none."""


class Document(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Repos are `org/repo`; in the two maps "" stands for all of them and names every plugin that is on somewhere."""

    all_repos: tuple[str, ...] = ()
    repo_plugins: dict[str, tuple[str, ...]] = {}
    repo_external_plugins: dict[str, tuple[str, ...]] = {}
    plugin_help: dict[str, PluginHelp] = {}
    external_plugin_help: dict[str, PluginHelp] = {}


class Asked(msgspec.Struct, frozen=True, rename="pascal"):
    """A repo an external plugin is asked about, as it is sent to `ENDPOINT/help`."""

    org: str
    repo: str


def orgs(config: PluginConfig) -> tuple[str, ...]:
    """Return the orgs whose repositories have to be known, in order."""
    scopes = {*config.plugins, *config.external_plugins}
    return tuple(sorted(scope for scope in scopes if "/" not in scope))


def repos(config: PluginConfig, by_org: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return every repo plugins are on for: those named, and those of orgs as far as they are known."""
    named = [scope for scope in (*config.plugins, *config.external_plugins) if "/" in scope]
    of_orgs = [f"{org}/{name}" for org in orgs(config) for name in by_org.get(org, ())]
    return tuple(sorted({*named, *of_orgs}))


def enabled(
    config: PluginConfig, every: Iterable[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the plugins, and the external ones, of each repo."""
    own: dict[str, tuple[str, ...]] = {
        "": tuple(sorted({name for entry in config.plugins.values() for name in entry.plugins}))
    }
    external: dict[str, tuple[str, ...]] = {
        "": tuple(sorted({one.name for listed in config.external_plugins.values() for one in listed}))
    }
    for full_name in every:
        org, _, repo = full_name.partition("/")
        own[full_name] = tuple(sorted(config.enabled(org, repo)))
        external[full_name] = tuple(sorted({one.name for one in config.external_for(org, repo)}))
    return own, external


def endpoints(config: PluginConfig, every: Iterable[str]) -> list[tuple[ExternalPlugin, tuple[Asked, ...]]]:
    """Return each external plugin, and the repos it is on for; in the order of their names."""
    known: dict[str, ExternalPlugin] = {}
    for scope in sorted(config.external_plugins):
        for one in config.external_plugins[scope]:
            known.setdefault(one.name, one)
    about: dict[str, list[Asked]] = {name: [] for name in known}
    for full_name in every:
        org, _, repo = full_name.partition("/")
        for name in {one.name for one in config.external_for(org, repo)}:
            about[name].append(Asked(org, repo))
    return [(known[name], tuple(about[name])) for name in sorted(known)]
