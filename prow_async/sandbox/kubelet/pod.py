"""One pod's life on this machine, from the moment it is seen until its last status is written.

The one owner of the pod's facts: it asks the rules what comes next, does it, and asks again on every piece of news.
"""

import signal
import sys
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
import structlog

from prow_async.core import objects
from prow_async.ports.clock import Clock
from prow_async.runtime.backoff import Backoff
from prow_async.sandbox.kubelet import (
    cgroups,
    decide,
    events,
    folders,
    launch,
    leftovers,
    logs,
    manifest,
    process,
    refusal,
    report,
    status,
    supplies,
    volume_files,
    wrapped,
)
from prow_async.sandbox.kubelet.forge import Forge
from prow_async.sandbox.kubelet.isolation import Isolation

log = structlog.get_logger()
LAST_WORD_S = 1.0
"""How long a kubelet that is stopped tries to write a pod's last status."""
START_ERROR_CODE = 128
"""As containerd reports a command that could not be started."""


class Node(msgspec.Struct, frozen=True):
    """What all pods of one kubelet share."""

    mark: str
    """Identifies this kubelet in the pods it takes."""
    root: Path
    access: supplies.Access
    clock: Clock
    logs: logs.Logs
    forge: Forge
    isolation: Isolation
    cgroups: cgroups.Tree | None
    """None where limits cannot be enforced."""
    path_variable: str
    host_paths: tuple[str, ...]
    hidden: tuple[str, ...]
    node_name: str
    shutdown_grace_s: float
    backoff: Backoff


class Life:
    """One pod. `run` is called once; the other methods bring news and may be called at any time."""

    def __init__(self, node: Node, head: manifest.Head, raw: bytes) -> None:
        self._node = node
        self._news = anyio.Event()
        self._groups: dict[str, process.Group] = {}
        self._launches: dict[str, launch.Launch] = {}
        self._cgroups: dict[str, cgroups.Group] = {}
        self._report = report.Reporter(node.access.pods(head.namespace), head, node.backoff)
        self._events = events.Events(node.access.events, head, node.node_name, node.clock)
        self._log = log.bind(pod=f"{head.namespace}/{head.name}")
        self._facts = decide.Facts(start_s=0.0, taken_by=node.mark)
        try:
            self.pod = manifest.read(raw)
            self._facts.refused = refusal.find(self.pod)
        except objects.Unreadable as error:
            self.pod = manifest.bare(head)
            self._facts.refused = refusal.Refusal(refusal.CANNOT, f"its spec does not read: {error.why}")
        if self._facts.refused is None:
            try:
                self._volumes = supplies.volumes_of(self.pod, node.host_paths)
            except refusal.Unfit as unfit:
                self._facts.refused = unfit.refusal
        self.folder = folders.of_pod(head.namespace, head.name, head.uid)
        """Name below the root; None when the pod's names cannot make one (it is refused then)."""
        self.observe(head)

    def observe(self, head: manifest.Head) -> None:
        """Take in the pod as the server shows it now.

        To a pod on no node the server gives no grace, whoever deletes it: there the pod's own word counts.
        """
        if head.deleting:
            asked_s = head.metadata.deletion_grace_period_seconds if head.node_name else None
            self._delete(self.pod.spec.termination_grace_period_seconds if asked_s is None else asked_s)

    def vanish(self) -> None:
        """The pod is not on the server any more: its processes get their grace period, nothing is written."""
        self._report.lose()
        self._delete(self.pod.spec.termination_grace_period_seconds)

    def _delete(self, grace_s: float) -> None:
        before = self._facts.delete_grace_s
        self._facts.delete_grace_s = max(0.0, grace_s if before is None else min(grace_s, before))
        self._news.set()

    async def run(self) -> None:
        """Take the pod, run it to its end, write its last status. Cancelling ends its processes first."""
        self._facts.start_s = self._node.clock.now()
        if self._facts.delete_grace_s is not None:
            return await self._report.release()
        if not await self._report.take(status.of(self.pod, self._facts), self._node.mark):
            return None
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._report.run)
                tasks.start_soon(self._events.run)
                await self._prepare()
                if self._facts.refused is not None:
                    self._events.tell("Warning", "Failed", self._facts.refused.message)
                await self._live(tasks)
                await self._report.flush()
                await self._events.flush()
                tasks.cancel_scope.cancel()
        except Exception:
            raise
        except BaseException:
            await self._last_word()
            raise
        finally:
            await self._clear()
        self._log.info("pod ended", phase=status.of(self.pod, self._facts)["phase"])
        if self._facts.delete_grace_s is not None:
            await self._report.release()
        return None

    async def _last_word(self) -> None:
        """The kubelet is being stopped: say so, once, without waiting long. The next kubelet would say it is lost."""
        with anyio.move_on_after(LAST_WORD_S, shield=True):
            now_s = self._node.clock.now()
            if not isinstance(decide.next_step(self.pod, self._facts, now_s), decide.Settled):
                self._facts.stopping = decide.Stopping("shutdown", now_s)
            if not self._report.gone:
                await self._report.once(status.of(self.pod, self._facts))

    async def _clear(self) -> None:
        """Take away everything but logs and messages."""
        if self.folder is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(volume_files.remove_all, self._node.root / self.folder)
                if self._node.cgroups is not None:
                    await anyio.to_thread.run_sync(self._node.cgroups.remove_pod, self.folder)

    async def _prepare(self) -> None:
        """Fill volumes and make launches; what cannot be made refuses the pod."""
        if self._facts.refused is not None or self.folder is None:
            return
        folder = self._node.root / self.folder
        store = supplies.Store(self._node.access, self.pod, self._node.backoff, self._wait_or_end)
        try:
            data = await store.for_environments()
            await self._fill(folder, store)
            if self._facts.delete_grace_s is not None:
                return
            ground = launch.Ground(
                folder=str(folder),
                path_variable=self._node.path_variable,
                isolated=self._node.isolation.mounts,
                interpreter=(sys.executable, "-P", "-m"),  # no module of a job's folders
                is_dir=lambda path: Path(path).is_dir(),
            )
            self._launches = launch.plan(self.pod, self._volumes, ground, data)
            make_folders(folder, self._launches)
            self._node.logs.begin(self.folder)
            for line in supplies.notes(self.pod, self._node.isolation, self._node.cgroups is not None):
                self._events.tell("Warning", "NotIsolated", line)
        except refusal.Unfit as unfit:
            self._facts.refused = unfit.refusal
        except OSError as error:
            why = f"its folders cannot be made below {self._node.root}: {error.strerror}"
            self._facts.refused = refusal.Refusal(refusal.CANNOT, why)

    async def _fill(self, folder: Path, store: supplies.Store) -> None:
        """Fill each volume, as long as that takes: what is missing may still come. Raises Unfit, OSError."""
        begin_folder(folder)
        for volume in self._volumes.values():
            failures = 0
            while not self._is_over():
                try:
                    await store.fill(folder, volume)
                    break
                except supplies.Lacking as error:
                    failures += 1
                    line = f'MountVolume.SetUp failed for volume "{volume.name}" : {error}'
                    self._events.tell("Warning", "FailedMount", line)
                    self._log.info("pod waits for a volume", volume=volume.name, why=str(error))
                    await self._wait_or_end(min(supplies.LOOK_AGAIN_S, self._node.backoff.wait_s(failures)))

    def _is_over(self) -> bool:
        """True as soon as the pod shall end, before it has begun."""
        if self._facts.delete_grace_s is not None:
            return True
        seconds = self.pod.spec.active_deadline_seconds
        return seconds is not None and self._node.clock.now() >= self._facts.start_s + seconds

    async def _wait_or_end(self, wait_s: float) -> bool:
        """Wait, less long when the pod is to end; True then."""
        seconds = self.pod.spec.active_deadline_seconds
        if seconds is not None:
            wait_s = min(wait_s, self._facts.start_s + seconds - self._node.clock.now())
        await self._wait(wait_s)
        return self._is_over()

    async def _wait(self, wait_s: float | None) -> None:
        """Wait for news, at most `wait_s`."""
        with anyio.move_on_after(float("inf") if wait_s is None else max(0.0, wait_s)):
            await self._news.wait()
        self._news = anyio.Event()

    async def _live(self, tasks: anyio.abc.TaskGroup) -> None:
        """Do what the rules say until the pod is settled."""
        while True:
            self._report.tell(status.of(self.pod, self._facts))
            now_s = self._node.clock.now()
            match decide.next_step(self.pod, self._facts, now_s):
                case decide.Settled():
                    return
                case decide.Start(names):
                    for name in names:
                        await self._start(name, tasks)
                case decide.Stop(cause, why):
                    self._log.info("ending containers", why=why)
                    self._facts.stopping = decide.Stopping(cause, now_s)
                    self._signal(signal.SIGTERM)
                case decide.Kill():
                    stopping = self._facts.stopping
                    assert stopping is not None
                    self._facts.stopping = decide.Stopping(stopping.cause, stopping.at_s, killed=True)
                    self._signal(signal.SIGKILL)
                case decide.Wait(until_s):
                    await self._wait(None if until_s is None else until_s - now_s)

    def _signal(self, number: signal.Signals) -> None:
        for group in self._groups.values():
            group.send(number)

    async def _start(self, name: str, tasks: anyio.abc.TaskGroup) -> None:
        assert self.folder is not None
        wanted = self._launches[name]
        marks = self._node.root / self.folder / leftovers.FOLDER / name
        try:
            written = self._node.logs.open(self.folder, name)
            logs.make_empty(Path(wanted.message_file))
            volume_files.check_sources(wanted, self._node.root / self.folder)
            group = await process.start(wanted, written, str(marks), self._cell(name))
        except (process.CannotStart, refusal.Unfit, OSError) as error:
            self._node.logs.close(self.folder, name)
            await self._leave_cgroup(name)
            now_s = self._node.clock.now()
            self._facts.ran[name] = decide.Ran(None, now_s, START_ERROR_CODE, "StartError", str(error))
            self._leave_marker(name, START_ERROR_CODE)
            return
        self._facts.ran[name] = decide.Ran(self._node.clock.now())
        self._groups[name] = group
        self._log.info("container started", container=name, pid=group.pid)
        tasks.start_soon(self._attend, name, group)

    def _cell(self, name: str) -> process.Cell:
        """Make what a container is started in. Raises OSError."""
        assert self.folder is not None
        container = next(c for c in self.pod.all_containers if c.name == name)
        if self._node.cgroups is not None:
            self._cgroups[name] = self._node.cgroups.make(self.folder, name, container.resources)
        return process.Cell(
            forge=self._node.forge,
            isolation=self._node.isolation,
            root=str(self._node.root / self.folder / "root"),
            hidden=str(self._node.root),
            hidden_from_jobs=self._node.hidden,
            hostname=self.pod.metadata.name,
            cgroup=self._cgroups.get(name),
        )

    async def _leave_cgroup(self, name: str) -> bool:
        """Remove a container's cgroup; True when it had run out of memory."""
        group = self._cgroups.pop(name, None)
        if group is None:
            return False
        killed = group.ran_out_of_memory()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(group.remove)
        return killed

    async def _attend(self, name: str, group: process.Group) -> None:
        """Wait for a container's end and write it into the facts."""
        try:
            code = await group.wait()
        except BaseException:
            with anyio.CancelScope(shield=True):
                if self._facts.stopping is None:
                    self._facts.stopping = decide.Stopping("shutdown", self._node.clock.now())
                await self._ended(name, await group.end(self._node.shutdown_grace_s))
            raise
        await self._ended(name, code)

    async def _ended(self, name: str, code: int) -> None:
        assert self.folder is not None
        del self._groups[name]
        self._node.logs.close(self.folder, name)
        container = next(c for c in self.pod.all_containers if c.name == name)
        message = logs.left_message(Path(self._launches[name].message_file))
        if not message and code and container.termination_message_policy == "FallbackToLogsOnError":
            message = logs.tail(self._node.logs.path(self.folder, name))
        reason = "OOMKilled" if await self._leave_cgroup(name) and code else "Error" if code else "Completed"
        started_s = self._facts.ran[name].started_s
        self._facts.ran[name] = decide.Ran(started_s, self._node.clock.now(), code, reason, message)
        self._log.info("container ended", container=name, exit_code=code)
        self._leave_marker(name, code)
        self._news.set()

    def _leave_marker(self, name: str, code: int) -> None:
        """Tell the pod's sidecar of a test's end that the test's own wrapper cannot tell any more."""
        container = next(c for c in self.pod.all_containers if c.name == name)
        path = wrapped.marker(container, self._volumes, f"{self._node.root}/{self.folder}")
        try:
            if path and wrapped.leave(path, code):
                self._log.warning("a test's wrapper left no marker: it was killed", container=name, exit_code=code)
        except OSError as error:
            self._log.warning("a test's marker cannot be written", container=name, why=error.strerror)


def begin_folder(folder: Path) -> None:
    """Make a pod's folder, readable by this user alone. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / leftovers.FOLDER).mkdir(exist_ok=True)


def make_folders(folder: Path, launches: dict[str, launch.Launch]) -> None:
    """Make what a pod's containers need to be there. Raises OSError."""
    for name in ("root", "messages"):
        (folder / name).mkdir(exist_ok=True)
    for wanted in launches.values():
        for path in wanted.folders:
            if not Path(path).is_dir():
                Path(path).mkdir(parents=True)
                Path(path).chmod(0o777 if wanted.binds else 0o755)
