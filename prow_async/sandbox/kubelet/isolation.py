"""How far this system lets containers be kept apart: tried once, with a container that does nothing."""

import os
import sys
from pathlib import Path

import msgspec

from prow_async.sandbox.kubelet.cell.order import Order
from prow_async.sandbox.kubelet.forge import PACKAGE, Forge


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


def needed() -> list[str]:
    """Return the folders this project's own programs are read from."""
    return list(dict.fromkeys([sys.base_prefix, sys.prefix, str(PACKAGE)]))


def probe(folder: Path, maker: Forge) -> tuple[Isolation, str]:
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
            failed = maker.fork_and_wait(_order(isolation, str(place)))
            if not failed:
                return isolation, why
            why = why or failed
    except OSError as error:
        return NONE, str(error)
    finally:
        place.rmdir()
    return NONE, why


def _order(isolation: Isolation, place: str) -> Order:
    return Order(
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
    )
