"""Where a configuration is, by the flags of flag_groups.CONFIG and flag_groups.PLUGINS."""

from collections.abc import Mapping
from typing import Any

from prow_async.adapters import config_reader


def paths(values: Mapping[str, Any]) -> config_reader.Paths:
    """Return where the flags say that the configuration is."""
    prow_suffix = values.get("supplemental-prow-configs-filename-suffix", "")
    plugin_suffix = values.get("supplemental-plugin-configs-filename-suffix", "")
    return config_reader.Paths(
        config_path=values["config-path"],
        job_config_path=values["job-config-path"],
        supplemental_prow_config_dirs=tuple(values.get("supplemental-prow-config-dir", ())),
        supplemental_prow_configs_suffix=prow_suffix or config_reader.PROW_CONFIG_SUFFIX,
        plugin_config=values.get("plugin-config", ""),
        supplemental_plugin_config_dirs=tuple(values.get("supplemental-plugin-config-dir", ())),
        supplemental_plugin_configs_suffix=plugin_suffix or config_reader.PLUGIN_CONFIG_SUFFIX,
    )
