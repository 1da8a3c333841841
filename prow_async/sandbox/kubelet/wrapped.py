"""The word a wrapped test's container owes its sidecar.

entrypoint leaves a marker however its test ends, unless it is itself killed: by the test, by the kernel for want of
memory, from outside. The sidecar would wait for ever then. Whoever sees the container end leaves the marker in its
place, with the container's exit code. Upstream has nothing like it: such a pod stays until the ProwJob times out.
"""

import contextlib
import os
import posixpath
import stat
import tempfile
from collections.abc import Mapping

import msgspec

from prow_async.api.podoptions import ENTRYPOINT_ENV
from prow_async.sandbox.kubelet import launch
from prow_async.sandbox.kubelet.manifest import Container
from prow_async.sandbox.kubelet.volumes import Volume


class _Options(msgspec.Struct, frozen=True):
    marker_file: str = ""


def marker(container: Container, volumes: Mapping[str, Volume], folder: str) -> str:
    """Return where on this machine a container's marker belongs, "" for one that owes none.

    Only the top of an emptyDir is a place to write at: below it, folders may be links that the test made.
    """
    options = next((env.value for env in container.env if env.name == ENTRYPOINT_ENV), "")
    try:
        path = msgspec.json.decode(options, type=_Options).marker_file if options else ""
    except msgspec.DecodeError:
        return ""
    inside, name = posixpath.split(path)
    for mount in container.volume_mounts:
        whole = not mount.sub_path and not mount.sub_path_expr
        if name and whole and posixpath.normpath(mount.mount_path) == inside and volumes[mount.name].empty_dir:
            return f"{launch.place_of(volumes[mount.name], folder)}/{name}"
    return ""


def leave(path: str, code: int) -> bool:
    """Put a marker with the code at the path, unless one is there; say whether it was put. Raises OSError.

    A link is none: where it leads is another place for the sidecar than for us.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            return False
    descriptor, partial = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(str(code))
            os.fchmod(descriptor, 0o644)
        os.replace(partial, path)
    except OSError:
        os.unlink(partial)
        raise
    return True
