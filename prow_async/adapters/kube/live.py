"""The clusters that kubeconfigs name, followed while files change: connections are made, kept and closed by content.

What does not read leaves the last good content of its file in force. The cluster of the ProwJobs stays the one of the
start. Source: upstream pkg/flagutil/kubernetes_cluster_clients.go, which ends the process on every change instead.
"""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import anyio.to_thread
import structlog

from prow_async.adapters import file_watch
from prow_async.adapters.kube import clusters, podinfo, podlogs
from prow_async.adapters.kube.collection import PODS, KubeCollection
from prow_async.adapters.kube.credentials import Source, stamp
from prow_async.adapters.kube.session import Session, opened
from prow_async.api.errors import CannotStart
from prow_async.ports import kube
from prow_async.ports.metrics import Metrics
from prow_async.ports.transport import Transport

log = structlog.get_logger()
Key = tuple[Source, str]
"""A source without its alias, and the mark of its content: equal keys share a session."""


class LiveClusters:
    """Implements ports.kube.ClusterFiles. `async with` it: leaving closes every connection.

    Args:
        component: goes into the user agent.
        disabled: aliases left out; asked at every look.
        pods_of: namespace and label selector of pods.

    Attributes:
        pods: of each build cluster, by alias. Changes in place.
        logs: of pods, by alias. Changes in place.
        infos: on pods, by alias. Changes in place.
        infra: the cluster of the ProwJobs.

    Raises CannotStart when made: a file does not read, a context is in two files, there is no infrastructure cluster.
    """

    def __init__(
        self,
        flags: clusters.Flags,
        component: str,
        disabled: Callable[[], Collection[str]],
        pods_of: tuple[str, str],
        metrics: Metrics,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._flags = flags
        self._component = component
        self._disabled = disabled
        self._pods_of = pods_of
        self._metrics = metrics
        self._environ = environ
        self._sessions: dict[Key, Session] = {}
        self._made: dict[Key, KubeCollection] = {}
        self._keys: dict[str, Key] = {}
        self._unused: list[Session] = []
        self._said: tuple[str, ...] = ()
        self._stamp: object = None
        self.pods: dict[str, kube.Collection] = {}
        self.logs: dict[str, kube.PodLogs] = {}
        self.infos: dict[str, kube.PodInfo] = {}
        found = clusters.look(flags, disabled(), environ)
        if found.problems:
            raise CannotStart("\n".join(found.problems))
        self._configs = found.configs
        self._infra = found.sources[clusters.INFRA]
        self.infra = self._session(_key(found, clusters.INFRA))
        self._take(found)

    async def __aenter__(self) -> "LiveClusters":
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (*self._sessions.values(), *self._unused):
            await session.close()

    async def watch(self, changed: Callable[[Mapping[str, kube.Collection]], None]) -> None:
        """See the port. What is broken is logged and counted once, not at every look."""
        async with file_watch.changes([(self._folders(), False)]) as woken:
            async for _ in woken:
                while self._unused:
                    await self._unused.pop().close()
                if await self._look():
                    changed(dict(self.pods))

    async def follow(self) -> None:
        """Follow the files until cancelled, where nobody watches pods: what is gone is released at once."""
        known = dict(self.pods)

        def changed(now: Mapping[str, kube.Collection]) -> None:
            nonlocal known
            still = {id(pods) for pods in now.values()}
            for gone in {id(pods): pods for pods in known.values() if id(pods) not in still}.values():
                self.release(gone)
            known = dict(now)

        await self.watch(changed)

    def transport(self, alias: str) -> Transport | None:
        """Return the way to a build cluster as it is now; None where none has the alias."""
        key = self._keys.get(alias)
        return None if key is None else self._session(key)

    def release(self, pods: kube.Collection) -> None:
        """See the port."""
        for key, made in self._made.items():
            if made is pods and key not in self._keys.values():
                session = self._sessions.pop(key)
                del self._made[key]
                if session is self.infra:
                    self._sessions[key] = session
                else:
                    self._unused.append(session)
                return

    async def _look(self) -> bool:
        """Look at the files; return whether the clusters are others now."""
        try:
            now = await anyio.to_thread.run_sync(self._now)
            if now == self._stamp:
                return False
            disabled = tuple(self._disabled())
            found = await anyio.to_thread.run_sync(clusters.look, self._flags, disabled, self._environ, self._configs)
        except CannotStart as error:
            self._complain((str(error),))
            return False
        self._stamp, self._configs = now, found.configs
        self._complain(found.problems)
        return self._take(found)

    def _now(self) -> object:
        """Return what changes when there is something new to read."""
        there = clusters.groups(self._flags, self._environ)
        return there, [stamp(files) for files in there], tuple(self._disabled())

    def _complain(self, problems: tuple[str, ...]) -> None:
        if problems and problems != self._said:
            self._metrics.count("prow_async_kubeconfig_errors_total")
            log.error("kubeconfig does not read; what it said before stays in force", problems=list(problems))
        elif self._said and not problems:
            log.info("kubeconfigs read again")
        self._said = problems

    def _take(self, found: clusters.Found) -> bool:
        """Make what is new, forget what is gone. A forgotten session lives on until it is released."""
        self._check_infra(found.sources[clusters.INFRA])
        keys = {alias: _key(found, alias) for alias in found.sources if alias != clusters.INFRA}
        if keys == self._keys:
            return False
        self._keys = keys
        self.pods.clear()
        self.logs.clear()
        self.infos.clear()
        self.logs[clusters.INFRA] = podlogs.KubePodLogs(self.infra, clusters.INFRA)
        for alias, key in keys.items():
            session = self._session(key)
            if key not in self._made:
                self._made[key] = KubeCollection(session, alias, PODS, *self._pods_of)
            self.pods[alias] = self._made[key]
            self.logs[alias] = podlogs.KubePodLogs(session, alias)
            self.infos[alias] = podinfo.KubePodInfo(session, alias)
        return True

    def _session(self, key: Key) -> Session:
        if key not in self._sessions:
            self._sessions[key] = opened(key[0], self._component)
        return self._sessions[key]

    def _check_infra(self, source: Source) -> None:
        if source != self._infra:
            log.warning("the cluster of the ProwJobs is another one now; restart to work there", now=str(source))
            self._infra = source

    def _folders(self) -> list[str]:
        """Return the folders of all kubeconfigs, those that may come among them."""
        usual = self._environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        asked = self._flags.kubeconfig or self._flags.kubeconfig_dir
        files = [self._flags.kubeconfig] if asked else usual.split(os.pathsep)
        folders = {os.path.dirname(os.path.abspath(file)) for file in files if file}
        if self._flags.kubeconfig_dir:
            folders |= {os.path.abspath(self._flags.kubeconfig_dir)}
        return sorted(folder for folder in folders if os.path.isdir(folder))


def _key(found: clusters.Found, alias: str) -> Key:
    source = found.sources[alias]
    return Source("", source.files, source.context, source.in_cluster, source.token_file), found.marks[alias]
