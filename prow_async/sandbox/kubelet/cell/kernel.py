"""The system calls Python has no words for. Every function raises OSError with the kernel's number.

Source: mount(2), mount_setattr(2), pivot_root(2), prctl(2), unshare(2), capabilities(7).
"""

import ctypes
import os

NEW_MOUNTS, NEW_UTS, NEW_USER, NEW_PIDS = 0x00020000, 0x04000000, 0x10000000, 0x20000000
NOSUID, NODEV, NOEXEC = 2, 4, 8
_RDONLY, _REMOUNT, _BIND, _REC, _SLAVE = 1, 32, 4096, 16384, 1 << 19
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY, _MOUNT_SETATTR = -100, 0x8000, 1, 442
_PDEATHSIG, _CAPBSET_DROP, _SUBREAPER = 1, 24, 36
_SIGKILL, _NO_SUCH_CALL = 9, 38

# What Docker and containerd leave to a container: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
# net_bind_service, net_raw, sys_chroot, mknod, audit_write, setfcap.
_KEPT = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(kinds: int) -> None:
    _checked(_libc.unshare(kinds), "unshare")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    done = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
    )
    _checked(done, f"mount {target}")


def mount(kind: str, target: str, flags: int = 0, data: str = "") -> None:
    """Mount a new file system of a kind (`tmpfs`, `proc`, `devpts`)."""
    _mount(kind, target, kind, flags, data)


def bind(source: str, target: str) -> None:
    """Show a file or folder, with all that is mounted below it, at another place."""
    _mount(source, target, "", _BIND | _REC)


def keep_mounts_private() -> None:
    """Let no mount made from here on be seen outside."""
    _mount("none", "/", "", _REC | _SLAVE)


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


def set_read_only(target: str, recursive: bool = False, read_only: bool = True) -> None:
    """Forbid, or allow again, writing through a mount. Before Linux 5.12 nothing happens: it knew no such call."""
    wanted = _Attributes(_ATTR_RDONLY, 0, 0, 0) if read_only else _Attributes(0, _ATTR_RDONLY, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    done = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, ctypes.byref(wanted), ctypes.sizeof(wanted)
    )
    if done != 0 and ctypes.get_errno() == _NO_SUCH_CALL:
        return
    _checked(done, f"mount_setattr {target}")


def change_root(root: str) -> None:
    """Make a mounted folder the root and leave the old one without a way back."""
    os.chdir(root)
    _checked(_libc.pivot_root(b".", b"."), "pivot_root")
    _checked(_libc.umount2(b".", _DETACH), "umount the old root")
    os.chdir("/")


def set_hostname(name: str) -> None:
    encoded = name.encode()[:63]
    _checked(_libc.sethostname(encoded, len(encoded)), "sethostname")


def die_with_parent() -> None:
    """Be killed when the thread that forked this process ends."""
    _checked(_libc.prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _checked(_libc.prctl(_SUBREAPER, 1, 0, 0, 0), "prctl")


def drop_rights() -> None:
    """Keep just the capabilities of an ordinary container, for everything that is executed from here on."""
    for capability in range(64):
        if capability not in _KEPT and _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            return  # the first number this kernel does not know, or no right to drop: nothing to lose then
