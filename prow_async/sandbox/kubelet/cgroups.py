"""CPU and memory limits through cgroups, version 2, where this process may make some.

Below the cgroup this process runs in, `prow-async-<mark>/<pod folder>/<container>` holds each container's processes.
Where that cannot be had, limits are not enforced and the kubelet says so once: the wall clock still counts.

Source: the kernel's Documentation/admin-guide/cgroup-v2; upstream kubelet's conversions of shares and quotas.
"""

import contextlib
import os
import time
from pathlib import Path

import msgspec
import structlog

from prow_async.sandbox.kubelet import amounts
from prow_async.sandbox.kubelet.manifest import Resources

log = structlog.get_logger()
PERIOD_US = 100_000
LEAST_QUOTA_US = 1_000
GONE_S = 2.0
HOW = "run it as `systemd-run --user --scope -p Delegate=yes prow-async ...`, or as root on a machine with cgroup v2"


class Unavailable(Exception):
    """Raised where no cgroups can be made; the text says why."""


class Group(msgspec.Struct, frozen=True):
    """One container's cgroup."""

    folder: Path

    @property
    def procs(self) -> str:
        return str(self.folder / "cgroup.procs")

    def ran_out_of_memory(self) -> bool:
        """True when the kernel has killed something in here for want of memory."""
        for line in _read(self.folder / "memory.events").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill" and count != "0":
                return True
        return False

    def remove(self) -> None:
        """Kill whatever is left in here and remove it. Blocking, for as long as the kernel takes to end processes."""
        _remove(self.folder)


class Tree:
    """The cgroups of one kubelet."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def make(self, pod_folder: str, container: str, resources: Resources) -> Group:
        """Make a container's cgroup and set its limits. Raises OSError."""
        pod = self._top / pod_folder
        for folder in (pod, pod / container):
            if folder == pod / container:
                _enable(pod)
            folder.mkdir(exist_ok=True)
        for name, text in knobs(resources).items():
            path = pod / container / name
            if path.exists():
                path.write_text(text)
        return Group(pod / container)

    def remove_pod(self, pod_folder: str) -> None:
        _remove(self._top / pod_folder)

    def remove(self) -> None:
        """Kill and remove everything: what an earlier kubelet left, or what this one ends with."""
        _remove(self._top)


def knobs(resources: Resources) -> dict[str, str]:
    """Return the files that make a cgroup's limits, and what to write into them."""
    made = {}
    if "memory" in resources.limits:
        made["memory.max"] = str(amounts.in_units(resources.limits["memory"], 1))
        made["memory.swap.max"] = "0"
        made["memory.oom.group"] = "1"
    if "cpu" in resources.limits:
        milli = amounts.in_units(resources.limits["cpu"], "1m")
        made["cpu.max"] = f"{max(LEAST_QUOTA_US, milli * PERIOD_US // 1000)} {PERIOD_US}"
    requested = resources.requests.get("cpu", resources.limits.get("cpu"))
    if requested is not None:
        shares = min(262144, max(2, amounts.in_units(requested, "1m") * 1024 // 1000))
        made["cpu.weight"] = str(1 + (shares - 2) * 9999 // 262142)
    return made


def find(mark: str) -> Tree:
    """Return a tree of our own, empty, with the cpu and memory controllers. Raises Unavailable."""
    base = _own_cgroup()
    controllers = set(_read(base / "cgroup.controllers").split())
    if not {"cpu", "memory"} <= controllers:
        raise Unavailable(f"cgroup v2 at {base} has no cpu and memory controllers for us")
    try:
        _make_room(base)
        top = base / f"prow-async-{mark}"
        _remove(top)
        top.mkdir()
        _enable(top)
    except OSError as error:
        raise Unavailable(f"no cgroup can be made at {base}: {error.strerror}") from error
    return Tree(top)


def _own_cgroup() -> Path:
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            mounted = Path(before.split()[4])
            path = next((p[3:] for p in _read(Path("/proc/self/cgroup")).splitlines() if p.startswith("0::")), "/")
            # A process of the kubelet's own leaf (see _make_room) belongs to the cgroup above it.
            found = mounted / path.strip("/")
            return found.parent if found.name == "prow-async-self" else found
    raise Unavailable("cgroup v2 is not mounted")


def _make_room(base: Path) -> None:
    """Let controllers pass to our children: a cgroup that does so may hold no process itself, the root one excepted."""
    if {"cpu", "memory"} <= set(_read(base / "cgroup.subtree_control").split()):
        return
    held = _read(base / "cgroup.procs").split()
    if held == [str(os.getpid())] and (base / "cgroup.type").exists():
        leaf = base / "prow-async-self"
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text(str(os.getpid()))
    _enable(base)


def _enable(folder: Path) -> None:
    wanted = {"cpu", "memory"} & set(_read(folder / "cgroup.controllers").split())
    if wanted:
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(wanted)))


def _remove(folder: Path) -> None:
    if not folder.is_dir():
        return
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1")
    for inner in folder.iterdir():
        if inner.is_dir():
            _remove(inner)
    until = time.monotonic() + GONE_S
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if time.monotonic() > until:
                log.warning("cgroup not removed", folder=str(folder), why=error.strerror)
                return
            time.sleep(0.002)
        else:
            return


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
