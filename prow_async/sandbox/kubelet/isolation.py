"""How far this system lets containers be kept apart: tried once, with a container that does nothing."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from prow_async.sandbox.kubelet.cell.order import Order

_PACKAGE = Path(__file__).resolve().parents[2]
PROBE_S = 20.0


class Isolation(msgspec.Struct, frozen=True):
    """Which namespaces a container gets."""

    user: bool = False
    mounts: bool = False
    pids: bool = False


NONE = Isolation()
_TRIED = (
    Isolation(user=True, mounts=True, pids=True),
    Isolation(mounts=True, pids=True),
    Isolation(user=True, mounts=True),
)


def command() -> tuple[str, ...]:
    """Return the command line of a cell: a bare interpreter, which is up in half the time of a whole one."""
    found = f"import sys; sys.path.append({str(_PACKAGE.parent)!r})"
    return (sys.executable, "-I", "-S", "-c", f"{found}; from prow_async.sandbox.kubelet.cell import main; main.run()")


def needed() -> list[str]:
    """Return the folders this project's own programs are read from."""
    return list(dict.fromkeys([sys.base_prefix, sys.prefix, str(_PACKAGE)]))


def probe(folder: Path) -> tuple[Isolation, str]:
    """Return the best isolation that works here, and why it is not a better one; `folder` takes a mount for a moment.

    Blocking, up to a second.
    """
    if sys.platform != "linux":
        return NONE, f"{sys.platform} has no namespaces"
    place = folder / "probe"
    place.mkdir(exist_ok=True)
    why = ""
    try:
        for isolation in _TRIED:
            failed = _try(isolation, str(place))
            if not failed:
                return isolation, why
            why = why or failed
    finally:
        place.rmdir()
    return NONE, why


def _try(isolation: Isolation, place: str) -> str:
    """Return why a container cannot be had with this isolation, empty when it can."""
    status_read, status_write = os.pipe()
    lifeline_read, lifeline_write = os.pipe()
    order = Order(
        argv=["true"],
        env={"PATH": os.defpath},
        cwd="/",
        make_cwd=False,
        new_user=isolation.user,
        new_mounts=isolation.mounts,
        new_pids=isolation.pids,
        uid=0,
        gid=0,
        groups=[],
        root=place,
        hostname="probe",
        mounts=[(place, "/prow-async/probe", True)],
        hidden=[],
        needed=needed(),
        read_only=True,
        cgroup="",
        status_fd=status_write,
        lifeline_fd=lifeline_read,
    )
    try:
        subprocess.run(  # noqa: S603 - our own program
            command(),
            input=order.dump(),
            pass_fds=(status_write, lifeline_read),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_S,
            check=False,
        )
        os.set_blocking(status_read, False)
        os.close(status_write)
        status_write = -1
        return os.read(status_read, 4096).decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        for file in (status_read, status_write, lifeline_read, lifeline_write):
            if file >= 0:
                os.close(file)
