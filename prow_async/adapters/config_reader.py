"""Reads the whole configuration from disk, again and again, working on changed files only. Blocks; never watches."""

import contextlib
import gc
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from prow_async.adapters import config_disk
from prow_async.adapters.config_cache import ConfigCache
from prow_async.api.config import Config
from prow_async.api.errors import CannotStart, ConfigErrors, Problem
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import config_load, plugin_config_load
from prow_async.core.config_load import Role, SourceFile
from prow_async.core.config_parse import ParsedFile

PROW_CONFIG_SUFFIX = "_prowconfig.yaml"
PLUGIN_CONFIG_SUFFIX = "_pluginconfig.yaml"
_VERSION = "VERSION"
_LARGE_BYTES = 512 * 1024


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Where the configuration is, as the flags say. "" and () name nothing."""

    config_path: str
    """The main file."""
    job_config_path: str = ""
    """A file or a tree of files."""
    supplemental_prow_config_dirs: tuple[str, ...] = ()
    supplemental_prow_configs_suffix: str = PROW_CONFIG_SUFFIX
    plugin_config: str = ""
    """plugins.yaml; without one no plugin is on."""
    supplemental_plugin_config_dirs: tuple[str, ...] = ()
    supplemental_plugin_configs_suffix: str = PLUGIN_CONFIG_SUFFIX

    def files(self) -> list[str]:
        """Return what are single files."""
        jobs = [] if os.path.isdir(self.job_config_path) else [self.job_config_path]
        return [path for path in (self.config_path, self.plugin_config, *jobs) if path]

    def trees(self) -> list[str]:
        """Return what are folders."""
        every = (self.job_config_path, *self.supplemental_prow_config_dirs, *self.supplemental_plugin_config_dirs)
        return [path for path in every if path and os.path.isdir(path)]


class Read(msgspec.Struct, frozen=True):
    """What one reading found."""

    config: Config
    plugins: PluginConfig
    digest: str
    warnings: tuple[Problem, ...]
    quarantined: tuple[Problem, ...]
    unknown: tuple[Problem, ...]
    unchecked: tuple[Problem, ...]


class Reader:
    """Reads a configuration. For one thread at a time.

    Args:
        quarantine: leave out the jobs of bad job files instead of refusing the whole.
        cache: where parsed files are kept between processes.
        known_plugins_only: refuse names of plugins that nobody has.
    """

    def __init__(
        self, paths: Paths, quarantine: bool = False, cache: Path | None = None, known_plugins_only: bool = False
    ) -> None:
        self._paths = paths
        self._known_plugins_only = known_plugins_only
        self._quarantine = quarantine
        self._cache = ConfigCache(cache)
        self._disk = config_disk.Disk()
        self._loader = config_load.Loader()
        self._loaded: config_load.Loaded | None = None
        self._digest = ""
        self._plugin_disk = config_disk.Disk()
        self._plugins: dict[str, SourceFile] = {}
        self._plugins_loaded = plugin_config_load.Loaded(PluginConfig())
        self._plugins_digest: str | None = None

    def check_paths(self) -> None:
        """Raise CannotStart where a file that the flags name cannot be read."""
        if not self._paths.config_path:
            raise CannotStart("no configuration: give its file with --config-path")
        for path in (self._paths.config_path, self._paths.plugin_config):
            if path:
                _check_readable(path)

    def read(self) -> Read:
        """Read what changed since the last time, and load the whole.

        Raises: ConfigErrors with every problem of every file; CannotStart and OSError for what cannot be read.
        """
        problems: list[Problem] = []
        loaded = plugins = None
        try:
            loaded = self._read_config()
        except ConfigErrors as error:
            problems += error.problems
        try:
            plugins = self._read_plugins()
        except ConfigErrors as error:
            problems += error.problems
        if problems or loaded is None or plugins is None:
            raise ConfigErrors(problems)
        return Read(
            config=loaded.config,
            plugins=plugins.config,
            digest=hashlib.sha256(f"{self._digest} {self._plugins_digest}".encode()).hexdigest(),
            warnings=(*loaded.warnings, *plugins.warnings),
            quarantined=loaded.quarantined,
            unknown=(*loaded.unknown, *plugins.unknown),
            unchecked=loaded.unchecked,
        )

    def save_cache(self) -> None:
        """Keep what was parsed for the next process."""
        self._cache.save()
        self._cache.release()

    def _read_config(self) -> config_load.Loaded:
        roles = self._roles()
        change = self._disk.look(list(roles))
        if not self._quarantine or any(roles[problem.file] != "jobs" for problem in change.unreadable):
            change.check()
        version = _version(self._paths.config_path)
        digest = hashlib.sha256(f"{change.digest} {version}".encode()).hexdigest()
        if self._loaded is not None and digest == self._digest:
            return self._loaded
        self._loaded, self._digest = None, digest
        with _collector_resting(sum(len(file.data) for file in change.changed)):
            return self._load(change, roles, version)

    def _load(self, change: config_disk.Change, roles: dict[str, Role], version: str) -> config_load.Loaded:
        for path in set(self._loader.paths()).difference(change.present):
            self._loader.remove(path)
        for file in change.changed:
            known = self._cache.get(file, roles[file.path])
            parsed = self._loader.update(file, roles[file.path], known)
            if known is None:
                self._cache.put(file, roles[file.path], parsed)
        for problem in change.unreadable:
            unread = ParsedFile(path=problem.file, problems=(problem,))
            self._loader.update(SourceFile(problem.file, b""), roles[problem.file], unread)
        self._loader.order(change.present)
        self._loader.version = version
        self._loaded = self._loader.load(self._quarantine, time.time())
        return self._loaded

    def _roles(self) -> dict[str, Role]:
        """Return every file of the configuration in its order, and what it is."""
        paths = self._paths
        roles: dict[str, Role] = {paths.config_path: "main"}
        if paths.job_config_path:
            for path in config_disk.job_files(paths.job_config_path):
                roles.setdefault(path, "jobs")
        for folder in paths.supplemental_prow_config_dirs:
            for path in config_disk.files_ending(folder, paths.supplemental_prow_configs_suffix):
                roles.setdefault(path, "supplemental")
        return roles

    def _read_plugins(self) -> plugin_config_load.Loaded:
        if not self._paths.plugin_config:
            return self._plugins_loaded
        further = self._plugin_files()
        change = self._plugin_disk.look([self._paths.plugin_config, *further])
        change.check()
        self._plugins.update((file.path, file) for file in change.changed)
        if change.digest != self._plugins_digest:
            self._plugins_digest = None
            self._plugins_loaded = plugin_config_load.load(
                self._plugins[self._paths.plugin_config],
                [self._plugins[path] for path in further],
                self._known_plugins_only,
            )
            self._plugins_digest = change.digest
        return self._plugins_loaded

    def _plugin_files(self) -> Sequence[str]:
        suffix = self._paths.supplemental_plugin_configs_suffix
        folders = self._paths.supplemental_plugin_config_dirs
        return [path for folder in folders for path in config_disk.files_ending(folder, suffix)]


@contextlib.contextmanager
def _collector_resting(changed_bytes: int) -> Iterator[None]:
    """Spare the cycle collector a configuration's many objects, which stops every thread, the event loop's too.

    They hold no cycles: what a reload drops is freed at once, without the collector. So it rests while a large part
    comes to be, and never looks at what is there afterwards.
    """
    if changed_bytes < _LARGE_BYTES or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _version(config_path: str) -> str:
    """Return the content of the file `VERSION` beside the main file, untrimmed as upstream has it; "" without one."""
    try:
        return config_disk.read(os.path.join(os.path.dirname(config_path), _VERSION)).decode(errors="replace")
    except OSError:
        return ""


def _check_readable(path: str) -> None:
    try:
        if os.path.isdir(path):
            raise CannotStart(f"configuration {path}: is a directory, a file is needed")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise CannotStart(f"configuration {path}: cannot be read: {error.strerror or error}") from error
