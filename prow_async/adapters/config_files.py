"""The configuration in force, from files that may change under the running process.

A change makes a whole new snapshot or, when anything is wrong with it, leaves the last good one in place with a log
line a problem. core/config_load and core/plugin_config_load say what is right; this module reads and watches.
"""

import contextlib
import hashlib
import math
import os
import threading
from collections.abc import Callable, Iterator

import anyio
import anyio.to_thread
import structlog
import watchfiles
from anyio.streams.memory import MemoryObjectSendStream

from prow_async.adapters import config_disk
from prow_async.api.errors import CannotStart, ConfigErrors, Problem
from prow_async.api.plugin_config import PluginConfig
from prow_async.core import config_load, plugin_config_load
from prow_async.ports.clock import Clock
from prow_async.ports.config import Snapshot
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()

Told = Callable[[Snapshot, Snapshot], None]

PLUGIN_CONFIG_SUFFIX = "_pluginconfig.yaml"
_LOAD_ERRORS = "prow_async_config_load_errors"
_LOADED_AT = "prow_async_config_loaded_timestamp_seconds"
_SETTLE_MS = 500


class ConfigFiles:
    """Implements ports.config.ConfigSource. Call `load` once, then keep `watch` running.

    Args:
        config_path: the main configuration file.
        job_config_path: a file or a tree of files; "" for none.
        plugin_config: plugins.yaml; "" for none, which turns no plugin on.
        supplemental_plugin_config_dirs: trees with further plugin configuration.
        supplemental_plugin_configs_suffix: how names of such files end; "" means `_pluginconfig.yaml`.
        rescan_s: how often to look without being woken, for file systems that announce nothing.
    """

    def __init__(  # noqa: PLR0913 - keywords only, one for each flag
        self,
        *,
        config_path: str,
        clock: Clock,
        metrics: Metrics,
        job_config_path: str = "",
        plugin_config: str = "",
        supplemental_plugin_config_dirs: tuple[str, ...] = (),
        supplemental_plugin_configs_suffix: str = "",
        rescan_s: float = 60.0,
    ) -> None:
        self._config_path = config_path
        self._job_config_path = job_config_path
        self._plugin_config = plugin_config
        self._plugin_dirs = supplemental_plugin_config_dirs
        self._plugin_suffix = supplemental_plugin_configs_suffix or PLUGIN_CONFIG_SUFFIX
        self._clock = clock
        self._metrics = metrics
        self._rescan_s = rescan_s
        self._disk = config_disk.Disk()
        self._plugin_disk = config_disk.Disk()
        self._loader = config_load.Loader()
        self._plugins: dict[str, config_load.SourceFile] = {}
        self._plugins_loaded = plugin_config_load.Loaded(PluginConfig())
        self._plugins_digest: str | None = None
        self._said: set[Problem] = set()
        self._last_errors: tuple[Problem, ...] = ()
        self._current: Snapshot | None = None
        self._told: list[Told] = []
        self._lock = threading.Lock()

    def load(self) -> Snapshot:
        """Load for the first time. Blocks.

        Raises: ConfigErrors with every problem of every file (exit 1); CannotStart when a path is missing or cannot
        be read (exit 2).
        """
        if not self._config_path:
            raise CannotStart("no configuration: give its file with --config-path")
        for path in (self._config_path, self._plugin_config):
            if path:
                _check_readable(path)
        try:
            snapshot = self._read()
        except OSError as error:
            raise CannotStart(f"configuration cannot be read: {error}") from error
        self._take(snapshot)
        return snapshot

    def current(self) -> Snapshot:
        """Return the newest snapshot that loaded without errors."""
        if self._current is None:
            raise CannotStart("the configuration was asked for before it was loaded")
        return self._current

    def subscribe(self, told: Told) -> Callable[[], None]:
        """Have `told(before, after)` called on the event loop after each change; it must not block.

        Returns: a function that ends this.
        """
        self._told.append(told)
        return lambda: self._told.remove(told)

    async def reload(self) -> bool:
        """Look at the files now. True when a new snapshot is in force. Problems are logged and counted, not raised."""
        before = self.current()
        try:
            snapshot = await anyio.to_thread.run_sync(self._read)
        except ConfigErrors as error:
            self._complain(error.problems)
            return False
        except (CannotStart, OSError) as error:
            self._complain((Problem(self._config_path, 0, str(error)),))
            return False
        self._last_errors = ()
        if snapshot.digest == before.digest:
            return False
        self._take(snapshot)
        log.info("configuration reloaded", digest=snapshot.digest[:12])
        for told in tuple(self._told):
            told(before, snapshot)
        return True

    async def watch(self) -> None:
        """Reload whenever a file changes, until cancelled."""
        wake, woken = anyio.create_memory_object_stream[None](1)
        stop = anyio.Event()
        async with anyio.create_task_group() as group, wake, woken:
            group.start_soon(_set_when_cancelled, stop)
            for folders, recursive in self._folders():
                group.start_soon(_notify, folders, recursive, stop, wake)
            group.start_soon(_tick, self._rescan_s, wake)
            _nudge(wake)  # what changed between load and now
            async for _ in woken:
                await self.reload()

    def _folders(self) -> Iterator[tuple[list[str], bool]]:
        """Yield the folders to watch: parents of single files alone (a ConfigMap swaps links there), trees whole."""
        files = [self._config_path, self._plugin_config]
        trees = [folder for folder in self._plugin_dirs if os.path.isdir(folder)]
        if os.path.isdir(self._job_config_path):
            trees.append(self._job_config_path)
        else:
            files.append(self._job_config_path)
        parents = {os.path.dirname(os.path.abspath(path)) for path in files if path}
        if parents:
            yield sorted(parents), False
        if trees:
            yield sorted({os.path.realpath(folder) for folder in trees}), True

    def _read(self) -> Snapshot:
        with self._lock:
            problems: list[Problem] = []
            loaded = plugins = None
            digest = ""
            try:
                digest, loaded = self._read_config()
            except ConfigErrors as error:
                problems += error.problems
            try:
                plugins = self._read_plugins()
            except ConfigErrors as error:
                problems += error.problems
            if problems or loaded is None or plugins is None:
                raise ConfigErrors(problems)
            self._warn((*loaded.warnings, *plugins.warnings))
            both = hashlib.sha256(f"{digest} {self._plugins_digest}".encode()).hexdigest()
            return Snapshot(loaded.config, plugins.config, self._clock.now(), both)

    def _read_config(self) -> tuple[str, config_load.Loaded]:
        jobs = config_disk.job_files(self._job_config_path) if self._job_config_path else []
        main = self._config_path
        change = self._disk.look([main, *(path for path in jobs if path != main)])
        for path in set(self._loader.paths()).difference(change.present):
            self._loader.remove(path)
        for file in change.changed:
            self._loader.update(file, is_main=file.path == main)
        self._loader.order(change.present)
        return change.digest, self._loader.load()

    def _read_plugins(self) -> plugin_config_load.Loaded:
        if not self._plugin_config:
            return self._plugins_loaded
        further = [p for folder in self._plugin_dirs for p in config_disk.files_ending(folder, self._plugin_suffix)]
        change = self._plugin_disk.look([self._plugin_config, *further])
        self._plugins.update((file.path, file) for file in change.changed)
        if change.digest != self._plugins_digest:
            self._plugins_loaded = plugin_config_load.load(
                self._plugins[self._plugin_config], [self._plugins[path] for path in further]
            )
            self._plugins_digest = change.digest
        return self._plugins_loaded

    def _take(self, snapshot: Snapshot) -> None:
        self._current = snapshot
        self._metrics.gauge(_LOADED_AT, snapshot.loaded_s)

    def _warn(self, warnings: tuple[Problem, ...]) -> None:
        for warning in set(warnings).difference(self._said):
            log.warning("configuration warning", file=warning.file, line=warning.line, warning=warning.text)
        self._said = set(warnings)

    def _complain(self, problems: tuple[Problem, ...]) -> None:
        """Log and count a failed reload once, not at every look that finds the same."""
        if problems == self._last_errors:
            return
        self._last_errors = problems
        self._metrics.count(_LOAD_ERRORS)
        for problem in problems:
            log.error("configuration problem", file=problem.file, line=problem.line, problem=problem.text)
        log.error("the changed configuration does not load; the last good one stays", problems=len(problems))


def _check_readable(path: str) -> None:
    try:
        if os.path.isdir(path):
            raise CannotStart(f"configuration {path}: is a directory, a file is needed")
        with open(path, "rb"):
            pass
    except OSError as error:
        raise CannotStart(f"configuration {path}: cannot be read: {error.strerror or error}") from error


async def _set_when_cancelled(stop: anyio.Event) -> None:
    """Tell watchfiles' threads to end: they do not see a cancellation themselves."""
    try:
        await anyio.sleep(math.inf)
    finally:
        stop.set()


async def _notify(folders: list[str], recursive: bool, stop: anyio.Event, wake: MemoryObjectSendStream[None]) -> None:
    try:
        async for _ in watchfiles.awatch(
            *folders, watch_filter=None, debounce=_SETTLE_MS, stop_event=stop, recursive=recursive
        ):
            _nudge(wake)
    except (OSError, RuntimeError) as error:
        log.warning("configuration folders cannot be watched; looking at intervals", folders=folders, error=str(error))


async def _tick(every_s: float, wake: MemoryObjectSendStream[None]) -> None:
    while True:
        await anyio.sleep(every_s)
        _nudge(wake)


def _nudge(wake: MemoryObjectSendStream[None]) -> None:
    with contextlib.suppress(anyio.WouldBlock):
        wake.send_nowait(None)
