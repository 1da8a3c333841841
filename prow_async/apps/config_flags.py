"""Where a configuration is, by the flags of flag_groups.CONFIG and flag_groups.PLUGINS."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prow_async.adapters import config_reader
from prow_async.api.config import Config
from prow_async.api.errors import CannotStart
from prow_async.api.inrepo import PodPolicy
from prow_async.core import inrepo_pods


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


def load(where: config_reader.Paths, values: Mapping[str, Any], who: str) -> Config:
    """Load a configuration once, for a tool; say on standard error what `--quarantine-bad-config` leaves out.

    Raises ConfigErrors and CannotStart.
    """
    cache = values["config-cache-file"]
    reader = config_reader.Reader(where, values["quarantine-bad-config"], Path(cache) if cache else None)
    reader.check_paths()
    read = reader.read()
    for problem in read.quarantined:
        print(f"{who}: left out: {problem}", file=sys.stderr)
    if cache:
        reader.save_cache()
    return read.config


def in_repo_policy(values: Mapping[str, Any]) -> PodPolicy:
    """Read what pods of a repository's own jobs may not ask for. Raises CannotStart."""
    try:
        return inrepo_pods.policy(values.get("in-repo-forbid", ()))
    except inrepo_pods.PolicyError as error:
        raise CannotStart(f"--in-repo-forbid: {error}") from error
