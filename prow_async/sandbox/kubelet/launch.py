"""From a pod's containers to command lines, environments and folders of this machine. Pure.

Isolated, a container finds everything at the place the pod gives it: volumes, its message file, a HOME and a /tmp of
its own. Where the system has no namespaces for us, every process sees the machine's own files: then wherever a
`mountPath` stands in the container's command, args, env or workingDir, as a whole path or as the beginning of one, it
is rewritten to the folder that holds the volume. A program that knows the path by heart does not find it.
"""

import posixpath
import re
from collections.abc import Callable, Mapping

import msgspec

from prow_async.sandbox.kubelet import environment, utilities
from prow_async.sandbox.kubelet.manifest import Container, Pod
from prow_async.sandbox.kubelet.volumes import Volume, is_files

HOME, HOME_INSIDE = "home", "/home/prow"
OWN_TMP = ("/tmp", "/var/tmp")  # noqa: S108 - places inside a container, shared with nobody


class Ground(msgspec.Struct, frozen=True):
    """What a pod's containers stand on."""

    folder: str
    """The pod's own, absolute."""
    path_variable: str
    """PATH for the containers, unless the pod sets its own."""
    isolated: bool
    interpreter: tuple[str, ...]
    """The command line's beginning that runs a module of this project."""
    is_dir: Callable[[str], bool]
    """Whether this machine has that folder."""


class Bind(msgspec.Struct, frozen=True, order=True):
    source: str
    target: str
    read_only: bool = False


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
    binds: tuple[Bind, ...] = ()
    """None where paths are rewritten instead."""
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    utility: bool = False
    """A program of this project, which sees this machine's files as this process does."""


def plan(pod: Pod, volumes: Mapping[str, Volume], ground: Ground, data: environment.Data) -> dict[str, Launch]:
    """Return how to start each container, by its name. Raises refusal.Unfit when an environment cannot be made."""
    make = _isolated if ground.isolated else _rewritten
    return {c.name: make(pod, c, volumes, ground, environment.variables(pod, c, data)) for c in pod.all_containers}


def _isolated(
    pod: Pod, container: Container, volumes: Mapping[str, Volume], ground: Ground, asked: Mapping[str, str]
) -> Launch:
    utility = utilities.of(container)
    message_file, home = _message_file(container, ground), f"{ground.folder}/{HOME}"
    made = [home]
    binds = {HOME_INSIDE: Bind(home, HOME_INSIDE)}
    for place in () if utility else OWN_TMP:
        made.append(f"{ground.folder}/scratch/{container.name}{place}")
        binds[place] = Bind(made[-1], place)
    for mount in container.volume_mounts:
        target = posixpath.normpath(mount.mount_path)
        volume = volumes[mount.name]
        source = _inner(place_of(volume, ground.folder), _sub_path(mount.sub_path, mount.sub_path_expr, asked))
        binds[target] = Bind(source, target, mount.read_only or is_files(volume))
    message_path = posixpath.normpath(container.termination_message_path)
    binds[message_path] = Bind(message_file, message_path)
    uid, gid, groups = ids(pod, container)
    env = {**_defaults(pod, ground, HOME_INSIDE), **asked}
    return Launch(
        _program(container, utility),
        _argv(container, utility, ground, asked),
        env,
        posixpath.normpath("/" + container.working_dir.lstrip("/")) if container.working_dir else HOME_INSIDE,
        tuple(made),
        message_file,
        tuple(binds.values()),
        uid,
        gid,
        groups,
        bool(utility),
    )


def _rewritten(
    pod: Pod, container: Container, volumes: Mapping[str, Volume], ground: Ground, asked: Mapping[str, str]
) -> Launch:
    utility = utilities.of(container)
    message_file, home = _message_file(container, ground), f"{ground.folder}/{HOME}"
    places = {
        posixpath.normpath(m.mount_path): _inner(
            place_of(volumes[m.name], ground.folder), _sub_path(m.sub_path, m.sub_path_expr, asked)
        )
        for m in container.volume_mounts
    }
    rewrite = rewriter({**places, posixpath.normpath(container.termination_message_path): message_file})
    env = _defaults(pod, ground, home) | {name: rewrite(value) for name, value in asked.items()}
    argv = _argv(container, utility, ground, asked)
    ours = len(ground.interpreter) + 1 if utility else 0
    argv = (*argv[:ours], *(rewrite(word) for word in argv[ours:]))
    cwd = _working_folder(container.working_dir, ground, rewrite)
    if utilities.COPY_ONLY in argv and utility:
        argv += ("--copy-destination=" + rewrite("/tools/entrypoint"),)
    return Launch(_program(container, utility), argv, env, cwd, (home, cwd), message_file, utility=bool(utility))


def place_of(volume: Volume, folder: str) -> str:
    """Return the folder of this machine that holds a volume."""
    return volume.host_path.path if volume.host_path is not None else f"{folder}/volumes/{volume.name}"


def _inner(folder: str, sub_path: str) -> str:
    return posixpath.normpath(f"{folder}/{sub_path}")


def _sub_path(plain: str, expression: str, known: Mapping[str, str]) -> str:
    """Return the part of a volume that is mounted. What an expression leads out of the volume with is taken away."""
    if not expression:
        return plain
    return posixpath.normpath("/" + environment.expand(expression, known)).lstrip("/")


def ids(pod: Pod, container: Container) -> tuple[int, int, tuple[int, ...]]:
    """Return user, group and further groups a container asks to run as; 0 where it does not."""
    own, whole = container.security_context, pod.spec.security_context
    uid = own.run_as_user if own.run_as_user is not None else whole.run_as_user
    gid = own.run_as_group if own.run_as_group is not None else whole.run_as_group
    groups = (*whole.supplemental_groups, *(() if whole.fs_group is None else (whole.fs_group,)))
    return uid or 0, gid or 0, groups


def _message_file(container: Container, ground: Ground) -> str:
    return f"{ground.folder}/messages/{container.name}"


def _defaults(pod: Pod, ground: Ground, home: str) -> dict[str, str]:
    return {"PATH": ground.path_variable, "HOME": home, "LANG": "C.UTF-8", "HOSTNAME": pod.metadata.name}


def _program(container: Container, utility: str) -> str:
    return utility or container.command[0]


def _argv(container: Container, utility: str, ground: Ground, asked: Mapping[str, str]) -> tuple[str, ...]:
    args = tuple(environment.expand(word, asked) for word in container.args)
    if utility:
        return (*ground.interpreter, f"prow_async.podutils.{utility}", *args)
    return (*(environment.expand(word, asked) for word in container.command), *args)


def _working_folder(asked: str, ground: Ground, rewrite: Callable[[str], str]) -> str:
    """Return the folder to start in: one this machine has as it is, any other one below the pod's own folder."""
    if not asked:
        return f"{ground.folder}/{HOME}"
    wanted = posixpath.normpath("/" + asked.lstrip("/"))
    mapped = rewrite(wanted)
    if mapped != wanted or ground.is_dir(wanted):
        return mapped
    return f"{ground.folder}/rootfs{wanted}"


def rewriter(places: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that puts each path's folder in its place, longest path first, in one pass.

    A path counts only where it begins and ends as one: not `/logs` in `/var/logs`, `/logs2`, `/logs-old`, `$DIR/logs`.
    """
    if not places:
        return lambda text: text
    paths = "|".join(re.escape(p) for p in sorted(places, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.~/)}}*+@%-])({paths})(?=/|[^\w.~+@%-]|\.?\Z|\.\s)")
    return lambda text: pattern.sub(lambda found: places[found.group(1)], text)
