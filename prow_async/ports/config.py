"""The configuration in force. A reload replaces the whole snapshot, or nothing."""

from typing import Protocol

import msgspec

from prow_async.api.config import Config
from prow_async.api.plugin_config import PluginConfig


class Snapshot(msgspec.Struct, frozen=True):
    config: Config
    plugins: PluginConfig
    loaded_s: float
    digest: str
    """Of all files read; changes exactly when their content does."""


class ConfigSource(Protocol):
    def current(self) -> Snapshot:
        """The newest snapshot that loaded without errors. Take it once per decision."""
