"""The configuration in force, from files that may change under the running process.

A change makes a whole new snapshot or, when anything is wrong with it, leaves the last good one in place and says so:
a log line and a metric for each problem, and the page at `/config`. adapters/config_reader reads, this module watches.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio.to_thread
import msgspec
import structlog

from prow_async.adapters import file_watch
from prow_async.adapters.config_reader import Paths, Read, Reader
from prow_async.api.config import Config
from prow_async.api.errors import CannotStart, ConfigErrors, Problem
from prow_async.core import config_changes
from prow_async.ports.clock import Clock
from prow_async.ports.config import Changes, JobKey, Snapshot, Status, Told
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()

_LOAD_ERRORS = "prow_async_config_load_errors"
_LOADED_AT = "prow_async_config_loaded_timestamp_seconds"
_AGE = "prow_async_config_age_seconds"
_PROBLEMS = "prow_async_config_problems"
_QUARANTINED = "prow_async_config_quarantined_files"
_LOAD_S = "prow_async_config_load_duration_seconds"
_NAMESPACES = ("prowjob_namespace", "pod_namespace")
_SHOWN_PROBLEMS = 50
_SHOWN_CHARS = 300


class ConfigFiles:
    """Implements ports.config.ConfigSource. Call `load` once, then keep `watch` running.

    Args:
        quarantine: leave out the jobs of bad job files instead of refusing the whole.
        cache: where parsed files are kept between processes; None keeps nothing.
        rescan_s: how often to look without being woken, for file systems that announce nothing.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        clock: Clock,
        metrics: Metrics,
        quarantine: bool = False,
        cache: Path | None = None,
        rescan_s: float = file_watch.RESCAN_S,
    ) -> None:
        self._paths = paths
        self._reader = Reader(paths, quarantine, cache)
        self._clock = clock
        self._metrics = metrics
        self._rescan_s = rescan_s
        self._said: set[Problem] = set()
        self._current: Snapshot | None = None
        self._read: Read | None = None
        self._problems: tuple[Problem, ...] = ()
        self._failing_since_s: float | None = None
        self._told: list[Told] = []
        self._lock = threading.Lock()

    def load(self) -> Snapshot:
        """Load for the first time. Blocks.

        Raises: ConfigErrors with every problem of every file (exit 1); CannotStart when a path is missing or cannot
        be read (exit 2).
        """
        self._reader.check_paths()
        try:
            read = self._look()
        except OSError as error:
            raise CannotStart(f"configuration cannot be read: {error}") from error
        return self._take(read)

    def current(self) -> Snapshot:
        """Return the newest snapshot that loaded without errors."""
        if self._current is None:
            raise CannotStart("the configuration was asked for before it was loaded")
        return self._current

    def status(self) -> Status:
        """Return how the configuration stands, for people."""
        snapshot, read = self.current(), self._read
        counts = {
            "presubmit": sum(map(len, snapshot.config.presubmits.values())),
            "postsubmit": sum(map(len, snapshot.config.postsubmits.values())),
            "periodic": len(snapshot.config.periodics),
        }
        return Status(
            paths=(*self._paths.files(), *self._paths.trees()),
            digest=snapshot.digest,
            loaded_s=snapshot.loaded_s,
            jobs=counts,
            failing_since_s=self._failing_since_s,
            problems=self._problems,
            quarantined=() if read is None else read.quarantined,
            warnings=() if read is None else read.warnings,
        )

    def report(self) -> None:
        """Bring the age of the configuration in force up to date, before a scrape."""
        self._metrics.gauge(_AGE, max(0.0, self._clock.now() - self.current().loaded_s))

    def subscribe(self, told: Told) -> Callable[[], None]:
        """Have `told(before, after, changes)` called on the event loop after each change; it must not block.

        Returns: a function that ends this.
        """
        self._told.append(told)
        return lambda: self._told.remove(told)

    async def reload(self) -> bool:
        """Look at the files now. True when a new snapshot is in force. Problems are logged and counted, not raised."""
        before = self.current()
        try:
            read, changes = await anyio.to_thread.run_sync(self._look_and_compare, before)
        except ConfigErrors as error:
            self._complain(error.problems)
            return False
        except (CannotStart, OSError) as error:
            self._complain((Problem(self._paths.config_path, 0, str(error)),))
            return False
        self._recover()
        if read.digest == before.digest:
            return False
        after = self._take(read)
        counts = {"added": len(changes.added), "removed": len(changes.removed), "changed": len(changes.changed)}
        log.info("configuration reloaded", digest=after.digest[:12], **counts)
        for told in tuple(self._told):
            told(before, after, changes)
        return True

    async def watch(self) -> None:
        """Reload whenever a file changes, until cancelled."""
        await anyio.to_thread.run_sync(self._save_cache)
        async with file_watch.changes(tuple(self._folders()), self._rescan_s) as woken:
            async for _ in woken:
                if await self.reload():
                    await anyio.to_thread.run_sync(self._save_cache)

    def _folders(self) -> Iterator[tuple[list[str], bool]]:
        """Yield the folders to watch: parents of single files alone (a ConfigMap swaps links there), trees whole."""
        parents = {os.path.dirname(os.path.abspath(path)) for path in self._paths.files()}
        trees = self._paths.trees()
        parents |= {os.path.dirname(os.path.abspath(tree)) for tree in trees}  # the tree itself may be a link
        if parents:
            yield sorted(parents), False
        if trees:
            yield sorted({os.path.realpath(folder) for folder in trees}), True

    def _look(self) -> Read:
        started_s = self._clock.now()
        with self._lock:
            read = self._reader.read()
        if self._read is None or read.digest != self._read.digest:
            self._metrics.observe(_LOAD_S, self._clock.now() - started_s)
        return read

    def _look_and_compare(self, before: Snapshot) -> tuple[Read, Changes]:
        read = self._look()
        return read, _changes(before, read)

    def _save_cache(self) -> None:
        with self._lock:
            self._reader.save_cache()

    def _take(self, read: Read) -> Snapshot:
        self._warn(read.warnings)
        self._read = read
        self._current = Snapshot(self._settled(read.config), read.plugins, self._clock.now(), read.digest)
        self._metrics.gauge(_LOADED_AT, self._current.loaded_s)
        self._metrics.gauge(_QUARANTINED, len({problem.file for problem in read.quarantined}))
        for problem in read.quarantined:
            log.error("job file set aside", file=problem.file, line=problem.line, problem=problem.text)
        self._show(read.quarantined)
        return self._current

    def _settled(self, config: Config) -> Config:
        """Keep the namespaces of the start: what is watched and written stands there, and nowhere else."""
        if self._current is None:
            return config
        start = self._current.config
        held = {name: getattr(start, name) for name in _NAMESPACES if getattr(config, name) != getattr(start, name)}
        if not held:
            return config
        log.warning("another namespace takes a restart; until then that of the start stays in force", **held)
        return msgspec.structs.replace(config, **held)

    def _warn(self, warnings: tuple[Problem, ...]) -> None:
        for warning in sorted(set(warnings).difference(self._said)):
            log.warning("configuration warning", file=warning.file, line=warning.line, warning=warning.text)
        self._said = set(warnings)

    def _complain(self, problems: tuple[Problem, ...]) -> None:
        """Log and count a failed reload once, not at every look that finds the same."""
        if problems == self._problems:
            return
        self._problems = problems
        if self._failing_since_s is None:
            self._failing_since_s = self._clock.now()
        self._metrics.count(_LOAD_ERRORS)
        self._show(problems)
        for problem in problems:
            log.error("configuration problem", file=problem.file, line=problem.line, problem=problem.text)
        log.error("the changed configuration does not load; the last good one stays", problems=len(problems))

    def _recover(self) -> None:
        if self._problems:
            self._problems, self._failing_since_s = (), None
            self._show(() if self._read is None else self._read.quarantined)

    def _show(self, problems: tuple[Problem, ...]) -> None:
        """Put problems on the metrics page: enough to see what is wrong, never more than a page can bear."""
        rows = {(p.file, str(p.line), p.text[:_SHOWN_CHARS]) for p in problems[:_SHOWN_PROBLEMS]}
        self._metrics.replace(
            _PROBLEMS, [({"file": file, "line": line, "problem": text}, 1.0) for file, line, text in sorted(rows)]
        )


def _changes(before: Snapshot, read: Read) -> Changes:
    if read.config is before.config:
        return Changes()
    found = config_changes.between(before.config, read.config)

    def keys(names: frozenset[tuple[str, str, str]]) -> tuple[JobKey, ...]:
        return tuple(JobKey(*name) for name in sorted(names))

    return Changes(keys(found.added), keys(found.removed), keys(found.changed))
