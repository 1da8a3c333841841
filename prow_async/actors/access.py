"""Whether we may do to pods what we must, in each build cluster, and the file that tells others how clusters stand.

Source: upstream pkg/plank/reconciler.go (RequiredTestPodVerbs, syncClusterStatus). A cluster that lacks rights is
worked with all the same: what it refuses is told on the jobs.
"""

from typing import Literal, TypeAlias

import anyio
import msgspec
import structlog

from prow_async.actors.clusters import Cluster, Clusters
from prow_async.actors.executor import Executor
from prow_async.api import actions
from prow_async.api.errors import ProwError
from prow_async.core import storage_paths
from prow_async.ports.config import ConfigSource

log = structlog.get_logger()
VERBS = ("create", "delete", "list", "watch", "get", "patch")
EVERY_S = 60.0
PATIENCE_S = 20.0
Status: TypeAlias = Literal["Reachable", "No-Manager", "Error", "MissingPermissions"]
"""Upstream's words. No-Manager: known, and never listed."""


class Access:
    """Looks at each cluster when it comes, and until it is well; at all of them while there is a file to write."""

    def __init__(self, clusters: Clusters, config: ConfigSource, executor: Executor) -> None:
        self._clusters = clusters
        self._config = config
        self._executor = executor
        self._well: set[Cluster] = set()

    async def run(self) -> None:
        """Look at once, and every minute, until cancelled."""
        await self._clusters.wait_looked_at()
        while True:
            await self.look()
            await anyio.sleep(EVERY_S)

    async def look(self) -> None:
        """Look once; tell people what is missing, and others by the file, where the configuration names one."""
        place = self._config.current().config.plank.build_cluster_status_file
        found: dict[str, Status] = {}
        async with anyio.create_task_group() as group:
            for cluster, aliases in self._clusters.once().items():
                if place or cluster not in self._well:
                    group.start_soon(self._one, cluster, aliases, found)
        self._well &= set(self._clusters.once())
        if not place:
            return
        try:
            bucket, path = storage_paths.split(place)
            write = actions.WriteBlob(
                bucket=bucket,
                path=path,
                body=msgspec.json.encode(dict(sorted(found.items()))),
                cache_control="no-cache",
                why="how build clusters stand",
            )
            await self._executor.perform(write, path)
        except ProwError as error:
            log.warning("build cluster status file not written", place=place, why=str(error))

    async def _one(self, cluster: Cluster, aliases: tuple[str, ...], found: dict[str, Status]) -> None:
        status, why = await self._status(cluster)
        found.update(dict.fromkeys(aliases, status))
        if status == "Reachable":
            self._well.add(cluster)
            return
        self._well.discard(cluster)
        log.warning("build cluster is not as it should be", cluster=cluster.name, status=status, why=why)

    async def _status(self, cluster: Cluster) -> tuple[Status, str]:
        if not cluster.store.synced:
            return "No-Manager", cluster.trouble or "its pods were never listed"
        missing: list[str] = []
        try:
            with anyio.fail_after(PATIENCE_S):
                missing = [verb for verb in VERBS if not await cluster.pods.may(verb)]
        except TimeoutError:
            return "Error", f"no answer in {PATIENCE_S:.0f} s"
        except ProwError as error:
            return "Error", str(error)
        if missing:
            return "MissingPermissions", f"we may not {', '.join(missing)} pods there"
        return "Reachable", ""
