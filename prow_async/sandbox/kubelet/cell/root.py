"""A container's own root: this machine's files, with volumes where the pod wants them.

The root is a small tmpfs whose folders stand for this machine's: each entry of `/` is shown by a bind mount. Where a
mount's place does not exist on this machine, the folders that lead to it are made anew in the same way, so nothing of
this machine is ever changed.
"""

import os

from prow_async.sandbox.kubelet.cell import kernel
from prow_async.sandbox.kubelet.cell.order import Order

_MADE_ANEW = ("/proc", "/dev")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "fuse", "kvm", "net/tun")
_PROC_FIXED = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""This machine's own settings: root in a container is root to them."""
_DEV_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)


def enter(order: Order) -> None:
    """Build the root and move into it. Raises OSError. The mount namespace must be new."""
    kernel.keep_mounts_private()
    binds = sorted(((source, _resolved(at), fixed) for source, at, fixed in order.mounts), key=lambda m: _depth(m[1]))
    root = order.root
    kernel.mount("tmpfs", root, kernel.NOSUID | kernel.NODEV, "mode=755,size=25%")
    _show(root, "", _remade([at for _, at, _ in binds] + ([order.cwd] if order.make_cwd else [])))
    if order.read_only:
        kernel.set_read_only(root, recursive=True)
        kernel.set_read_only(root, read_only=False)
    _make_dev(root)
    _make_proc(root, order.new_pids)
    hidden = [("", _resolved(folder), True) for folder in order.hidden]
    for source, at, fixed in sorted(binds + hidden, key=lambda m: _depth(m[1])):
        _place(source, root + at, fixed)
    for folder in order.needed:
        if not _is_same(folder, root + folder):
            _place(folder, root + folder, True)
    kernel.change_root(root)


def _resolved(path: str) -> str:
    """Follow this machine's symbolic links: `/var/run/x` is `/run/x` on most machines."""
    return os.path.realpath(path)


def _depth(path: str) -> int:
    return path.count("/")


def _remade(places: list[str]) -> set[str]:
    """Return the folders of this machine that must be made anew, for a mount's place is missing below them."""
    found = set()
    for place in places:
        if os.path.lexists(place):
            continue
        above = os.path.dirname(place)
        while above != "/":
            if os.path.isdir(above):
                found.add(above)
            above = os.path.dirname(above)
    return found


def _show(root: str, folder: str, remade: set[str]) -> None:
    """Show each entry of a folder of this machine in the new root."""
    with os.scandir(folder or "/") as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if path not in _MADE_ANEW:
                try:
                    _show_one(root, path, entry, remade)
                except OSError:
                    # Gone meanwhile, a mount of another user that even root may not look into, a server that is away:
                    # it stays an empty place. A container that needs it says so itself.
                    continue


def _show_one(root: str, path: str, entry: "os.DirEntry[str]", remade: set[str]) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(path), root + path)
    elif path in remade:
        os.mkdir(root + path)
        os.chmod(root + path, entry.stat().st_mode & 0o7777 | 0o700)
        _show(root, path, remade)
    else:
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(root + path)
        else:
            _touch(root + path)
        kernel.bind(path, root + path)


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _place(source: str, target: str, read_only: bool) -> None:
    """Bind a source at its target, making the target; without a source an empty folder covers what is there."""
    if not source:
        if os.path.isdir(target):
            kernel.mount("tmpfs", target, kernel.NOSUID | kernel.NODEV, "mode=755,size=1m")
        return
    if not os.path.lexists(target):
        os.makedirs(target if os.path.isdir(source) else os.path.dirname(target), exist_ok=True)
        if not os.path.isdir(source):
            _touch(target)
    kernel.bind(source, target)
    if read_only:
        kernel.set_read_only(target, recursive=True)


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _make_dev(root: str) -> None:
    """Make the devices every container finds, and this machine's FUSE, KVM and TUN where it has them."""
    dev = root + "/dev"
    os.mkdir(dev)
    kernel.mount("tmpfs", dev, kernel.NOSUID | kernel.NOEXEC, "mode=755,size=64k")
    for name in _DEVICES:
        if os.path.exists(f"/dev/{name}"):
            os.makedirs(os.path.dirname(f"{dev}/{name}"), exist_ok=True)
            _touch(f"{dev}/{name}")
            kernel.bind(f"/dev/{name}", f"{dev}/{name}")
    for name in ("pts", "shm"):
        os.mkdir(f"{dev}/{name}")
    kernel.mount("devpts", f"{dev}/pts", kernel.NOSUID | kernel.NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    kernel.mount("tmpfs", f"{dev}/shm", kernel.NOSUID | kernel.NODEV, "mode=1777,size=64m")
    for name, leads_to in _DEV_LINKS:
        os.symlink(leads_to, f"{dev}/{name}")


def _make_proc(root: str, new_pids: bool) -> None:
    os.mkdir(root + "/proc")
    if new_pids:
        kernel.mount("proc", root + "/proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC)
    else:
        kernel.bind("/proc", root + "/proc")
    for name in _PROC_FIXED:
        path = f"{root}/proc/{name}"
        if os.path.exists(path):
            kernel.bind(path, path)
            kernel.set_read_only(path)
