"""The build clusters as they are now: which there are, what each one's pods are, and whether it answers.

Clusters come, change and go while the process runs. Each has its own reflector, which nobody else waits for.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import anyio
import structlog

from prow_async.actors.overlay import Overlay
from prow_async.actors.reflector import Reflector
from prow_async.actors.store import Change, Store
from prow_async.api.views import Malformed, PodView
from prow_async.core import podview
from prow_async.ports.kube import Collection
from prow_async.ports.metrics import Metrics

log = structlog.get_logger()
REMOVED_GRACE_S = 60.0
"""A cluster that is gone from the kubeconfigs is kept so long: files are replaced, and mounts swapped, in steps."""
FIRST_LIST_S = 10.0
"""A cluster that has not been listed after so long counts as looked at: nobody's start waits for it any longer."""

Keep = Callable[[str, Callable[[], Coroutine[Any, Any, None]]], Awaitable[None]]
"""Runs a named service until cancelled, whatever becomes of it (Supervisor.keep)."""
Told = Callable[[str], None]


class Cluster:
    """One build cluster, under one alias or several.

    Attributes:
        name: its first alias, for logs and metrics.
        pods: reads and writes.
        store: its pods as watched.
        own: the same through our own last writes.
    """

    def __init__(
        self,
        name: str,
        pods: Collection,
        metrics: Metrics,
        set_aside: Callable[[Malformed], None],
        told: Callable[["Cluster"], None],
    ) -> None:
        self.name = name
        self.pods = pods
        self.store: Store[PodView] = Store()
        self.own = Overlay(self.store)
        self.reflector = Reflector("pods", pods, podview.read, self.store, metrics, set_aside)
        self.reflector.on_flip = self._flipped
        self.store.on_synced(self._flipped)
        self.scope: anyio.CancelScope | None = None
        self._metrics = metrics
        self._told = told
        self._failed = False
        self._since_s: float | None = None

    async def watch(self, keep: Keep) -> None:
        """Reflect its pods until `stop` or cancellation."""
        if self._since_s is None:
            self._since_s = anyio.current_time()
        with anyio.CancelScope() as self.scope:
            await keep(f"watch pods of {self.name}", self.reflector.run)

    def stop(self) -> None:
        if self.scope is not None:
            self.scope.cancel()

    @property
    def away(self) -> bool:
        """True while it cannot be worked with: never listed, or the last try to reach it failed."""
        return self.reflector.away or not self.store.synced

    @property
    def away_for_s(self) -> float:
        """Seconds since it is away; 0 while it is not."""
        if not self.away or self._since_s is None:
            return 0.0
        return anyio.current_time() - self._since_s

    @property
    def trouble(self) -> str:
        """Say what the last try to watch it met; empty while all is well."""
        return self.reflector.trouble

    @property
    def looked_at(self) -> bool:
        """True once it was listed, or could not be: then nobody needs to wait for more."""
        return self.store.synced or self._failed or self.away_for_s >= FIRST_LIST_S

    def _flipped(self) -> None:
        if self.reflector.away:
            self._since_s = anyio.current_time() if self.store.synced else self._since_s
            if not self.store.synced and not self._failed:
                self._metrics.count("kubernetes_failed_client_creations", cluster=self.name)
            self._failed = True
        self._told(self)


class Clusters:
    """All build clusters by alias. Aliases that have one collection are one cluster, listed and watched once.

    Args:
        pods: the collections of the start; `set` tells of later ones.
        released: told of a collection that nobody will use any more.
    """

    def __init__(
        self,
        pods: Mapping[str, Collection],
        metrics: Metrics,
        set_aside: Callable[[Malformed], None] = lambda _: None,
        released: Callable[[Collection], None] = lambda _: None,
    ) -> None:
        self.pods: dict[str, Collection] = {}
        """The collections in force by alias: changes in place, for who writes."""
        self._metrics = metrics
        self._set_aside = set_aside
        self._released = released
        self._by_alias: dict[str, Cluster] = {}
        self._leaving: dict[str, float] = {}
        self._told: list[Told] = []
        self._pods_told: list[Callable[[Change[PodView]], None]] = []
        self._changed, self._flip = anyio.Event(), anyio.Event()
        for alias, collection in pods.items():
            self._put(alias, collection)

    def get(self, alias: str) -> Cluster | None:
        return self._by_alias.get(alias)

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(sorted(self._by_alias))

    def once(self) -> dict[Cluster, tuple[str, ...]]:
        """Return each cluster once, with its aliases."""
        found: dict[Cluster, tuple[str, ...]] = {}
        for alias, cluster in self._by_alias.items():
            found[cluster] = (*found.get(cluster, ()), alias)
        return found

    def subscribe(self, told: Told) -> None:
        """Be told an alias whenever its cluster came, went, was listed, or is away or back: look anew."""
        self._told.append(told)

    def subscribe_pods(self, changed: Callable[[Change[PodView]], None]) -> None:
        """Be told of every pod's change in every cluster; what is known already is told at once."""
        self._pods_told.append(changed)
        for cluster in self.once():
            cluster.store.subscribe(changed)

    def set(self, pods: Mapping[str, Collection]) -> None:
        """Say which clusters there are from now on. To be called on the event loop.

        A new collection under a known alias replaces the old one at once. An alias that is missing stays for
        REMOVED_GRACE_S; back within that time with the same collection, nothing has happened.
        """
        for alias, collection in pods.items():
            if self._leaving.pop(alias, None) is not None:
                log.info("build cluster is back before it was given up", cluster=alias)
            known = self._by_alias.get(alias)
            if known is None or known.pods is not collection:
                log.info("build cluster added" if known is None else "build cluster changed", cluster=alias)
                self._put(alias, collection)
                self._drop_unused(known)
                self._tell(alias)
        for alias in self._by_alias.keys() - pods.keys() - self._leaving.keys():
            log.warning("build cluster is gone from the kubeconfigs", cluster=alias, kept_s=REMOVED_GRACE_S)
            self._leaving[alias] = anyio.current_time() + REMOVED_GRACE_S
        self._measure()
        self._changed.set()

    async def run(self, keep: Keep) -> None:
        """Watch every cluster, and give up those that are gone, until cancelled."""
        watched: set[Cluster] = set()
        self._measure()
        async with anyio.create_task_group() as group:
            while True:
                self._changed = anyio.Event()
                now_s = anyio.current_time()
                for alias in [alias for alias, end_s in self._leaving.items() if end_s <= now_s]:
                    self._drop(alias)
                present = self.once()
                for cluster in present:
                    if cluster not in watched:
                        group.start_soon(cluster.watch, keep)
                watched = set(present)
                with anyio.CancelScope(deadline=min(self._leaving.values(), default=float("inf"))):
                    await self._changed.wait()

    async def wait_looked_at(self) -> None:
        """Return once every cluster is listed or cannot be, after FIRST_LIST_S at the latest."""
        with anyio.move_on_after(FIRST_LIST_S):
            while not all(cluster.looked_at for cluster in self.once()):
                self._flip = anyio.Event()
                await self._flip.wait()

    def _put(self, alias: str, collection: Collection) -> None:
        same = next((one for one in self._by_alias.values() if one.pods is collection), None)
        if same is None:
            same = Cluster(alias, collection, self._metrics, self._set_aside, self._flipped)
            for changed in self._pods_told:
                same.store.subscribe(changed)
        self._by_alias[alias] = same
        self.pods[alias] = collection

    def _drop(self, alias: str) -> None:
        gone = self._by_alias.pop(alias)
        del self.pods[alias], self._leaving[alias]
        log.warning("build cluster given up: its jobs end in error", cluster=alias)
        self._drop_unused(gone)
        self._tell(alias)

    def _drop_unused(self, cluster: Cluster | None) -> None:
        if cluster is not None and cluster not in self._by_alias.values():
            cluster.stop()
            self._released(cluster.pods)

    def _flipped(self, cluster: Cluster) -> None:
        self._flip.set()
        self._measure()
        for alias in self.once().get(cluster, ()):
            self._tell(alias)

    def _tell(self, alias: str) -> None:
        for told in self._told:
            told(alias)

    def _measure(self) -> None:
        rows = [({"cluster": alias}, float(not cluster.away)) for alias, cluster in self._by_alias.items()]
        self._metrics.replace("prow_async_cluster_up", rows)
