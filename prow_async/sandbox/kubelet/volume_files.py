"""Puts a pod's volumes on disk, and takes them away.

Files from secrets, config maps and the pod itself stand in the layout upstream's kubelet uses: `..data` leads to a
folder of their own, and each visible name leads into `..data`.

Source: upstream pkg/volume/util AtomicWriter, for the layout.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog

from prow_async.sandbox.kubelet import folders, launch, volumes
from prow_async.sandbox.kubelet.refusal import Unfit

log = structlog.get_logger()
FOLDERS = ("volumes", "home", "scratch", "rootfs", "root")
"""What a pod has on disk only while it lives."""
_DATA, _OWN = "..data", "..files"


def make_empty(folder: Path) -> None:
    """Make an emptyDir: any user of the pod may write there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)


def fill(folder: Path, files: Mapping[str, volumes.File]) -> None:
    """Make a volume's folder with these files, whatever stood there before. Raises OSError."""
    remove(folder)
    own = folder / _OWN
    own.mkdir(parents=True)
    (folder / _DATA).symlink_to(_OWN)
    for path, file in files.items():
        place = own / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(file.content)
        place.chmod(file.mode)
        first = path.split("/")[0]
        if not (folder / first).is_symlink():
            (folder / first).symlink_to(f"{_DATA}/{first}")


def prepare_host_path(volume: volumes.Volume) -> None:
    """See that a hostPath is there as its type asks for, and make it where it may be. Raises volumes.Lacking."""
    assert volume.host_path is not None
    path, kind = Path(volume.host_path.path), volume.host_path.type
    try:
        if kind in {"DirectoryOrCreate", ""} and not path.exists():
            path.mkdir(parents=True)
        elif kind == "FileOrCreate" and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    except OSError as error:
        raise volumes.Lacking(f"hostPath {path} cannot be made: {error.strerror}") from error
    fits = {
        "Directory": path.is_dir,
        "DirectoryOrCreate": path.is_dir,
        "File": path.is_file,
        "FileOrCreate": path.is_file,
    }
    if not fits.get(kind, path.exists)():
        raise volumes.Lacking(f"hostPath type check failed: {path} is not a {kind or 'file or folder'}")


def check_sources(wanted: launch.Launch, pod_folder: Path) -> None:
    """Make missing subPaths of volumes. Raises Unfit when one leads out of its volume, OSError."""
    inside = pod_folder / "volumes"
    for bind in wanted.binds:
        source = Path(bind.source)
        if source.is_relative_to(inside):
            volume = inside / source.relative_to(inside).parts[0]
            if not source.resolve().is_relative_to(volume.resolve()):
                raise Unfit(f"a subPath leads out of volume {volume.name!r} by a symbolic link")
            if not source.exists():
                source.mkdir(parents=True)
                source.chmod(0o777)


def remove_all(folder: Path) -> None:
    """Remove what a pod had while it lived; logs and messages stay."""
    for name in FOLDERS:
        remove(folder / name)


def remove(folder: Path) -> None:
    """Remove a folder whatever rights its inhabitants gave themselves; what cannot be removed is told."""
    if not os.path.lexists(folder):
        return

    def again(function: object, path: str, _: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)
            os.unlink(path) if function in {os.unlink, os.remove} else None

    shutil.rmtree(folder, onerror=again)
    if os.path.lexists(folder):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        log.warning("folder of a pod not removed", folder=str(folder))


def is_allowed(path: str, allowed: tuple[str, ...]) -> bool:
    """True for a folder that is one of those pods may share with this machine, or lies below one."""
    real = os.path.realpath(path)
    return folders.is_absolute(path) and any(
        real == top or real.startswith(top.rstrip("/") + "/") for top in map(os.path.realpath, allowed)
    )
