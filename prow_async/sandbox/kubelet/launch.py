"""From a pod's containers to command lines, environments and folders of this machine. Pure.

There is no mount namespace: every process sees the machine's own files. So a volume is a folder of the pod's own
(`volumes/<name>`), never a folder at the asked path, where two pods would meet; and wherever the asked `mountPath`
stands in the container's command, args, env or workingDir, as a whole path or as the beginning of one, it is rewritten
to that folder. A program that knows the path by heart does not find it. `terminationMessagePath` is served likewise.
A workingDir outside all mounts is used as it is when this machine has it; otherwise an empty one is made below
`rootfs/` in the pod's folder. Without a workingDir a container starts in the pod's `home/`, which is its HOME too.
"""

import posixpath
import re
from collections.abc import Callable, Mapping

import msgspec

from prow_async.sandbox.kubelet import environment
from prow_async.sandbox.kubelet.manifest import Container, Pod

HOME = "home"


class Launch(msgspec.Struct, frozen=True):
    """One container, ready to start."""

    program: str
    """The command's first word as the pod has it, to be shown: an expanded one might hold a secret."""
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    folders: tuple[str, ...]
    """To be made before the start."""
    message_file: str
    """To be made, empty, before the start; what the container leaves there is its termination message."""


def plan(
    pod: Pod, folder: str, path_variable: str, data: environment.Data, is_dir: Callable[[str], bool]
) -> dict[str, Launch]:
    """Return how to start each container, by its name.

    Args:
        folder: the pod's own folder, absolute.
        path_variable: PATH for the children, unless the pod sets its own.
        is_dir: whether this machine has that folder.

    Raises refusal.Unfit when an environment cannot be made.
    """
    return {c.name: _launch(pod, c, folder, path_variable, data, is_dir) for c in pod.all_containers}


def _launch(
    pod: Pod,
    container: Container,
    folder: str,
    path_variable: str,
    data: environment.Data,
    is_dir: Callable[[str], bool],
) -> Launch:
    message_file = f"{folder}/messages/{container.name}"
    home = f"{folder}/{HOME}"
    places = _places(container, folder)
    rewrite = rewriter({**places, posixpath.normpath(container.termination_message_path): message_file})
    asked = environment.variables(pod, container, data)
    env = {"PATH": path_variable, "HOME": home, "LANG": "C.UTF-8", "HOSTNAME": pod.metadata.name}
    env.update({name: rewrite(value) for name, value in asked.items()})
    argv = tuple(rewrite(environment.expand(word, asked)) for word in (*container.command, *container.args))
    cwd = _working_folder(container.working_dir, folder, rewrite, is_dir)
    made = (home, f"{folder}/messages", *places.values(), cwd)
    return Launch(container.command[0], argv, env, cwd, made, message_file)


def _places(container: Container, folder: str) -> dict[str, str]:
    """Map each mountPath to the folder that stands for it."""
    return {
        posixpath.normpath(m.mount_path): posixpath.normpath(f"{folder}/volumes/{m.name}/{m.sub_path}")
        for m in container.volume_mounts
    }


def _working_folder(asked: str, folder: str, rewrite: Callable[[str], str], is_dir: Callable[[str], bool]) -> str:
    if not asked:
        return f"{folder}/{HOME}"
    wanted = posixpath.normpath("/" + asked.lstrip("/"))
    mapped = rewrite(wanted)
    if mapped != wanted or is_dir(wanted):
        return mapped
    return f"{folder}/rootfs{wanted}"


def rewriter(places: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that puts each path's folder in its place, longest path first, in one pass.

    A path counts only where it begins and ends as one: not `/logs` in `/var/logs`, `/logs2`, `/logs-old`, `$DIR/logs`.
    """
    if not places:
        return lambda text: text
    paths = "|".join(re.escape(p) for p in sorted(places, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.~/)}}*+@%-])({paths})(?=/|[^\w.~+@%-]|\.?\Z|\.\s)")
    return lambda text: pattern.sub(lambda found: places[found.group(1)], text)
