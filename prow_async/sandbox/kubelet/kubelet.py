"""The kubelet: watches pods, gives each a life of its own, sweeps away what is left of them.

It takes pods by writing their first status (startTime and its own mark), conditional on what it saw, before anything
runs: of several kubelets one takes a pod, and a pod is never started twice. Pods are not bound to a node: the API
server therefore removes a deleted pod at once, and its processes get their grace period here afterwards. A pod that
something else bound to this kubelet's node is terminated before its removal, as usual.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
import structlog

from prow_async.api.errors import CannotStart
from prow_async.core import objects
from prow_async.ports.clock import Clock
from prow_async.ports.kube import Collection
from prow_async.runtime.backoff import Backoff
from prow_async.sandbox.kubelet import (
    cgroups,
    feed,
    folders,
    forge,
    isolation,
    leftovers,
    logs,
    manifest,
    pod,
    report,
    status,
    supplies,
    volume_files,
)
from prow_async.sandbox.kubelet.early import Early

log = structlog.get_logger()
SWEEP_S = 30.0
ROOM = 110
"""Pods that run at once, as a node's default."""


class Settings(msgspec.Struct, frozen=True):
    """What may be set. `path_variable` is PATH for the children: nothing else of our environment reaches them."""

    node_name: str = msgspec.field(default_factory=socket.gethostname)
    room: int = ROOM
    log_limit_bytes: int = logs.LIMIT_BYTES
    retention_s: float = 3600.0
    """How long a pod's folder, logs included, outlives the pod object."""
    shutdown_grace_s: float = 5.0
    """Between SIGTERM and SIGKILL when the kubelet itself is stopped."""
    isolate: bool = True
    """False: containers see this machine as it is, as where namespaces cannot be had."""
    host_paths: tuple[str, ...] = ()
    """Folders of this machine that pods may mount (hostPath), with everything below them."""
    hidden: tuple[str, ...] = ()
    """Folders of this machine that look empty to jobs; the pod utilities see them."""
    early: Early | None = None
    """What was begun before the kubelet was made, for it alone."""
    path_variable: str = msgspec.field(default_factory=lambda: os.environ.get("PATH", os.defpath))


class Kubelet:
    """Runs the pods of one API server on this machine.

    Args:
        pods: the collection to watch: one namespace or all of them.
        root: folder for everything on disk; made if it is not there. One kubelet at a time.
        access: collections of single namespaces; None when `pods` is itself of one namespace, without secrets then.
        selector: whether a pod is this kubelet's; None: those bound to no node, or to `settings.node_name`.
    """

    def __init__(
        self,
        pods: Collection,
        root: Path,
        clock: Clock,
        access: supplies.Access | None = None,
        settings: Settings | None = None,
        selector: Callable[[manifest.Head], bool] | None = None,
    ) -> None:
        self._pods = pods
        self._root = root.absolute()
        self._clock = clock
        self._access = access or supplies.Access(pods=lambda namespace: pods)
        self._settings = settings or Settings()
        self._selector = selector or self._is_free
        self.logs = logs.Logs(self._root, self._settings.log_limit_bytes)
        """The log source for an API server's pod logs."""
        self._lives: dict[str, pod.Life] = {}
        self._known: dict[str, str | None] = {}
        """UID to folder of every pod dealt with and not yet gone."""
        self._released: set[str] = set()
        """UIDs whose final delete has been sent."""
        self._sweep_at: dict[str, float] = {}
        self._backoff = Backoff(0.1, 15.0)

    def statistics(self) -> dict[str, int]:
        """Return how many pods are alive here (running, or waiting for room) and how many folders wait to be swept."""
        return {"pods": len(self._lives), "folders_to_sweep": len(self._sweep_at)}

    async def run(self) -> None:
        """Run pods until cancelled; then end their processes, say so in their status, and return.

        Raises CannotStart when the root cannot be used.
        """
        settings = self._settings
        made = settings.early.forge if settings.early is not None else forge.Forge()
        with _owned(self._root) as mark, contextlib.closing(made) as maker:
            if ended := await anyio.to_thread.run_sync(leftovers.kill, self._root):
                log.warning("ended processes that an earlier kubelet left behind", groups=ended)
            found = await anyio.to_thread.run_sync(_isolation, settings, self._root, maker)
            tree = await anyio.to_thread.run_sync(_cgroups, mark)
            await anyio.to_thread.run_sync(_clear, self._root)
            self._node = pod.Node(
                mark=mark,
                root=self._root,
                access=self._access,
                clock=self._clock,
                logs=self.logs,
                forge=maker,
                isolation=found,
                cgroups=tree,
                host_paths=settings.host_paths,
                hidden=settings.hidden,
                node_name=settings.node_name,
                path_variable=settings.path_variable,
                shutdown_grace_s=settings.shutdown_grace_s,
                backoff=self._backoff,
            )
            self._room = anyio.CapacityLimiter(settings.room)
            self._known.clear()
            self._released.clear()
            try:
                async with anyio.create_task_group() as self._tasks:
                    self._tasks.start_soon(self._keep_sweeping)
                    await feed.Feed(self._pods, self._seen, self._gone, self._listed).run()
            finally:
                if tree is not None:
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(tree.remove)

    def _is_free(self, head: manifest.Head) -> bool:
        return head.node_name in ("", self._settings.node_name)

    def _listed(self, items: list[msgspec.Raw]) -> None:
        uids = set()
        for raw in items:
            head = self._seen(raw)
            if head is not None:
                uids.add(head.uid)
        for uid in [uid for uid in (*self._known, *self._released) if uid not in uids]:
            self._forget(uid)
        folders_known = {*self._known.values(), *self._sweep_at}
        for left in self._root.iterdir():
            uid = left.name.rpartition("_")[2]
            if _is_left_behind(left) and uid not in uids and left.name not in folders_known:
                self._sweep_at[left.name] = self._clock.now() + self._settings.retention_s

    def _seen(self, raw: msgspec.Raw) -> manifest.Head | None:
        try:
            head = manifest.read_head(raw)
        except objects.Unreadable as error:
            log.warning("pod set aside: it does not read", why=error.why)
            return None
        life = self._lives.get(head.uid)
        if life is not None:
            life.observe(head)
        elif head.uid and self._selector(head):
            self._meet(head, bytes(raw))
        return head

    def _meet(self, head: manifest.Head, raw: bytes) -> None:
        """A pod of ours that is not alive here: new, finished, lost, or another kubelet's."""
        ours = head.taken_by == self._node.mark
        if head.deleting and (ours or not head.started):
            if head.uid not in self._released:
                self._released.add(head.uid)
                self._tasks.start_soon(self._writer(head).release)
        elif head.uid in self._known:
            return
        elif head.finished:
            if ours:
                self._known[head.uid] = folders.of_pod(head.namespace, head.name, head.uid)
        elif not head.started:
            life = self._lives[head.uid] = pod.Life(self._node, head, raw)
            self._known[head.uid] = life.folder
            self._tasks.start_soon(self._live, life, head, raw)
        elif ours:
            self._known[head.uid] = folders.of_pod(head.namespace, head.name, head.uid)
            self._tasks.start_soon(self._give_up, head, raw, "an earlier kubelet ran it")

    def _writer(self, head: manifest.Head) -> report.Reporter:
        return report.Reporter(self._access.pods(head.namespace), head, self._backoff)

    async def _live(self, life: pod.Life, head: manifest.Head, raw: bytes) -> None:
        try:
            async with self._room:
                await life.run()
        except Exception:  # a bug in one pod's life ends that pod, not the others
            log.exception("the life of a pod broke", pod=f"{head.namespace}/{head.name}")
            await self._give_up(head, raw, "its life broke")
        finally:
            del self._lives[head.uid]

    async def _give_up(self, head: manifest.Head, raw: bytes, why: str) -> None:
        """Write the end of a pod that ran here and whose result nobody knows."""
        try:
            lost = manifest.read(raw)
        except objects.Unreadable:
            lost = manifest.bare(head)
        log.warning("pod lost", pod=f"{head.namespace}/{head.name}", why=why)
        writer = self._writer(head)
        writer.tell(status.of_lost(lost, self._clock.now()))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            await writer.flush()
            tasks.cancel_scope.cancel()

    def _gone(self, raw: msgspec.Raw) -> None:
        with contextlib.suppress(objects.Unreadable):
            self._forget(manifest.read_head(raw).uid)

    def _forget(self, uid: str) -> None:
        """The pod is not on the server any more."""
        life = self._lives.get(uid)
        if life is not None:
            life.vanish()
        self._released.discard(uid)
        folder = self._known.pop(uid, None)
        if folder is not None:
            self._sweep_at[folder] = self._clock.now() + self._settings.retention_s

    async def _keep_sweeping(self) -> None:
        while True:
            await anyio.sleep(SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Remove the folders of pods long gone. Done every half minute anyway."""
        alive = {life.folder for life in self._lives.values()}
        now_s = self._clock.now()
        for folder in [f for f, at_s in self._sweep_at.items() if at_s <= now_s and f not in alive]:
            del self._sweep_at[folder]
            self.logs.forget(folder)
            await anyio.to_thread.run_sync(_remove, self._root / folder)


def _is_left_behind(folder: Path) -> bool:
    """True for a folder that a kubelet made for a pod: nothing else below the root is ever removed."""
    return folders.is_of_pod(folder.name) and (folder / leftovers.FOLDER).is_dir() and not folder.is_symlink()


def _isolation(settings: Settings, root: Path, maker: forge.Forge) -> isolation.Isolation:
    """Find how far containers can be kept apart; say once what cannot be had. Blocking."""
    if not settings.isolate:
        return isolation.NONE
    found, why = settings.early.wait() if settings.early is not None else isolation.probe(root, maker)
    if not found.mounts:
        log.warning(
            "containers are not isolated: paths of volumes are rewritten in their commands and environment instead",
            why=why,
            what_to_do="allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
            "kernel.apparmor_restrict_unprivileged_userns=0; in a container: its seccomp profile)",
        )
    elif not found.pids:
        log.warning("containers have no process namespace: they see this machine's processes", why=why)
    return found


def _cgroups(mark: str) -> cgroups.Tree | None:
    """Find where limits can be enforced; say once where they cannot. Blocking."""
    try:
        return cgroups.find(mark)
    except cgroups.Unavailable as error:
        log.warning("limits of CPU and memory are not enforced", why=str(error), what_to_do=cgroups.HOW)
        return None


def _clear(root: Path) -> None:
    """Remove what pods of an earlier kubelet had while they lived. Blocking."""
    for folder in root.iterdir():
        if _is_left_behind(folder):
            volume_files.remove_all(folder)


def _remove(folder: Path) -> None:
    volume_files.remove(folder)


@contextlib.contextmanager
def _owned(root: Path) -> Iterator[str]:
    """Own the root alone; yield its mark, which stays the same from one kubelet to the next.

    Raises CannotStart.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(root / "kubelet", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(f"the kubelet cannot use {root}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            why = f"another kubelet uses {root}: stop it first, or choose another folder"
            raise CannotStart(why) from error
        mark = os.read(file, 64).decode("ascii", "replace")
        if not mark:
            mark = os.urandom(8).hex()
            os.write(file, mark.encode())
        yield mark
    finally:
        os.close(file)
