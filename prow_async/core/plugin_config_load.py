"""Loads plugins.yaml and its supplemental files: which plugin is on where, and every plugin's section.

Names of plugins that are not there are kept; who starts plugins skips them.

Source: upstream pkg/plugins/plugins.go (Agent.Load), pkg/plugins/config.go.
"""

from collections.abc import Sequence

import msgspec

from prow_async.api.errors import ConfigErrors, Problem
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import plugin_config_check, plugin_config_complete, plugin_config_merge, plugin_config_parse
from prow_async.core.config_load import SourceFile


class Loaded(msgspec.Struct, frozen=True):
    """A plugin configuration without problems. `warnings` are worth a log line; `unknown` are keys nobody reads."""

    config: PluginConfig
    warnings: tuple[Problem, ...] = ()
    unknown: tuple[Problem, ...] = ()


def load(main: SourceFile, supplementals: Sequence[SourceFile] = (), known_plugins_only: bool = False) -> Loaded:
    """Load, merge, complete and check.

    Args:
        known_plugins_only: refuse names of plugins that nobody has; for checkconfig.

    Raises: ConfigErrors with every problem of every file.
    """
    files = [
        plugin_config_parse.parse(main, is_main=True),
        *(plugin_config_parse.parse(file, is_main=False) for file in supplementals),
    ]
    merged, doubled = plugin_config_merge.merge(files)
    config = plugin_config_complete.complete(merged)
    errors, warnings = plugin_config_check.check(config, known_plugins_only)
    places = plugin_config_merge.Places(files)
    problems = [problem for file in files for problem in file.errors] + doubled + list(places.problems(errors))
    if problems:
        raise ConfigErrors(problems)
    return Loaded(
        msgspec.structs.replace(config, config_updater=plugin_config_complete.resolve(config.config_updater)),
        (*(warning for file in files for warning in file.warnings), *places.problems(warnings)),
        tuple(key for file in files for key in file.unknown),
    )
