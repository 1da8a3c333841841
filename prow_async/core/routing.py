"""Who is to handle a delivery: the plugins that are on and asked for its events, and the external ones.

Source: upstream pkg/hook/server.go demuxEvent, needDemux.
"""

from collections.abc import Mapping

import msgspec

from prow_async.api.plugin_config import ExternalPlugin, PluginConfig
from prow_async.core import forwarding
from prow_async.core.webhook_decode import Event, Parsed


class Plan(msgspec.Struct, frozen=True):
    """Who handles a delivery: events by plugin, in the order of the plugins' names; and the external plugins."""

    plugins: dict[str, tuple[Event, ...]]
    external: tuple[ExternalPlugin, ...] = ()


def plan(config: PluginConfig, asked: Mapping[str, frozenset[str]], event: str, parsed: Parsed) -> Plan:
    """Make the plan of a delivery whose repository is enabled in this process.

    Args:
        asked: the kinds of event each plugin of this process handles, by its name.
        event: the `X-GitHub-Event` header.
    """
    own: dict[str, tuple[Event, ...]] = {}
    if parsed.events:
        enabled = set(config.enabled(parsed.org, parsed.repo))
        for name, kinds in asked.items():
            events = tuple(found for kind, found in parsed.events if kind in kinds) if name in enabled else ()
            if events:
                own[name] = events
    return Plan(own, forwarding.targets(config, parsed.repository_org, parsed.repository_name, event))
