"""The configuration in force. A reload replaces the whole snapshot, or nothing."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from prow_async.api.config import Config
from prow_async.api.errors import Problem
from prow_async.api.plugin_config import PluginConfig


class Snapshot(msgspec.Struct, frozen=True):
    config: Config
    plugins: PluginConfig
    loaded_s: float
    digest: str
    """Of all files read; changes exactly when their content does."""


class JobKey(msgspec.Struct, frozen=True, order=True):
    """Names the jobs of one name: there may be several, on different branches. `repo` is "" for a periodic."""

    kind: str
    """presubmit, postsubmit or periodic."""
    repo: str
    name: str


class Changes(msgspec.Struct, frozen=True):
    """What a reload did to the jobs, each part sorted. A job that only moved within its file is none of them."""

    added: tuple[JobKey, ...] = ()
    removed: tuple[JobKey, ...] = ()
    changed: tuple[JobKey, ...] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the configuration stands, for operators."""

    paths: tuple[str, ...]
    """Where it comes from: files and folders, as the flags name them."""
    digest: str
    loaded_s: float
    """When the configuration in force was loaded."""
    jobs: dict[str, int]
    """How many, by kind."""
    failing_since_s: float | None = None
    """Since when what is on disk does not load; None while it does."""
    problems: tuple[Problem, ...] = ()
    """Why it does not load."""
    quarantined: tuple[Problem, ...] = ()
    """What is wrong with the files whose jobs are left out."""
    warnings: tuple[Problem, ...] = ()


Told: TypeAlias = Callable[[Snapshot, Snapshot, Changes], None]
"""Told of a reload: what was in force, what is, and what that did to the jobs."""


class ConfigSource(Protocol):
    def current(self) -> Snapshot:
        """The newest snapshot that loaded without errors. Take it once per decision."""

    def subscribe(self, told: Told) -> Callable[[], None]:
        """Have a function called on the event loop after each reload; it must not block. Returns what ends this."""
