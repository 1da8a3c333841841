"""What a job's run on this machine differs in from one in production: its code, and what only a cluster has."""

from collections.abc import Collection
from typing import Any

import msgspec

from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import Json, ProwJobSpec, Pull, Refs

WORKING_COPY = "working-copy"
_ALL_THERE_IS = 0x7FFFFFFF
"""A depth that takes all of a shallow history (git's own word for no end), and leaves the clone as shallow."""
_SERVED = frozenset({"emptyDir", "downwardAPI"})


class Code(msgspec.Struct, frozen=True):
    """A working copy, served as a repository with the pull request `pull_number`."""

    url: str
    base_ref: str
    base_sha: str
    head_sha: str
    origin: str = ""
    """Where the working copy was cloned from."""
    pull_number: int = 0
    shallow: bool = False
    """Its history ends before its beginning."""


def on_working_copy(spec: ProwJobSpec, code: Code) -> ProwJobSpec:
    """Return the job's spec on a working copy instead of the repository it names.

    A presubmit tests it as a pull request, a postsubmit as a commit; a periodic gets it in place of one extra ref.

    Raises UserMistake when a periodic clones nothing, or several repositories and none is the working copy's origin.
    """
    if spec.refs is None:
        place = _place(spec.extra_refs, code.origin)
        ref = msgspec.structs.replace(_served(spec.extra_refs[place], code), base_sha=code.head_sha)
        return msgspec.structs.replace(spec, extra_refs=(*spec.extra_refs[:place], ref, *spec.extra_refs[place + 1 :]))
    if spec.type == "presubmit":
        pull = Pull(code.pull_number, author=spec.refs.pulls[0].author if spec.refs.pulls else "", sha=code.head_sha)
        refs = msgspec.structs.replace(spec.refs, base_sha=code.base_sha, pulls=(pull,))
    else:
        refs = msgspec.structs.replace(spec.refs, base_sha=code.head_sha, pulls=())
    return msgspec.structs.replace(spec, refs=_served(refs, code))


def _served(refs: Refs, code: Code) -> Refs:
    depth = refs.clone_depth or (_ALL_THERE_IS if code.shallow else 0)
    return msgspec.structs.replace(refs, base_ref=code.base_ref, clone_uri=code.url, clone_depth=depth)


def on_commit(spec: ProwJobSpec) -> ProwJobSpec:
    """Return a presubmit's spec without a pull request: it runs as a postsubmit does, on what `base_sha` says."""
    refs = None if spec.refs is None else msgspec.structs.replace(spec.refs, pulls=())
    return msgspec.structs.replace(spec, type="postsubmit", refs=refs)


def names_repo(origin: str, org: str, repo: str) -> bool:
    """Say whether an origin's URL, in any of git's forms, ends in this org and repo.

    >>> names_repo("git@github.com:Octo/hello.git", "octo", "hello"), names_repo("/src/hello", "octo", "hello")
    (True, False)
    """
    path = origin.removesuffix("/").removesuffix(".git").replace(":", "/")
    return path.lower().endswith(f"/{org}/{repo}".lower())


def _place(extra: tuple[Refs, ...], origin: str) -> int:
    if not extra:
        raise UserMistake("the job clones nothing, so there is nothing to take from a working copy: leave out --local")
    fitting = [number for number, refs in enumerate(extra) if names_repo(origin, refs.org, refs.repo)]
    if fitting or len(extra) == 1:
        return fitting[0] if fitting else 0
    listed = ", ".join(refs.full_name for refs in extra)
    raise UserMistake(f"the job clones {listed}; the working copy's origin is none of them: {origin or '(none)'}")


def seeing(pod: Json, folder: str) -> Json:
    """Return the pod with a folder of this machine for clonerefs to read, at its own path, over whatever hides it."""
    volume = {"name": WORKING_COPY, "hostPath": {"path": folder}}
    mount = {"name": WORKING_COPY, "mountPath": folder, "readOnly": True}
    spec = pod["spec"]
    first = [
        {**one, "volumeMounts": [*(one.get("volumeMounts") or ()), mount]} if one.get("name") == "clonerefs" else one
        for one in spec.get("initContainers") or ()
    ]
    return {**pod, "spec": {**spec, "initContainers": first, "volumes": [*(spec.get("volumes") or ()), volume]}}


def without_cluster(pod: Json, own: Collection[str]) -> tuple[Json, tuple[str, ...]]:
    """Return the pod with stand-ins for what this machine has not, and a line about each of them.

    Args:
        own: the folders of this machine that the pod may have.
    """
    told: list[str] = []
    spec = pod["spec"]
    volumes = [_volume(volume, own, told) for volume in spec.get("volumes") or ()]
    changed: Json = {**spec, "volumes": volumes}
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            changed[kind] = [_container(container, told) for container in spec[kind]]
    return {**pod, "spec": changed}, tuple(told)


def _volume(volume: Json, own: Collection[str], told: list[str]) -> Json:
    kinds = [kind for kind in volume if kind != "name"]
    if set(kinds) <= _SERVED or (volume.get("hostPath") or {}).get("path") in own:
        return volume
    told.append(f"volume {volume.get('name')}: an empty one in place of its {' and '.join(kinds)}")
    return {"name": volume.get("name"), "emptyDir": {}}


def _container(container: Json, told: list[str]) -> Json:
    name = container.get("name")
    changed = dict(container)
    env = []
    for variable in container.get("env") or ():
        source: Any = variable.get("valueFrom") or {}
        if "secretKeyRef" in source or "configMapKeyRef" in source:
            told.append(f"container {name}: {variable.get('name')} is not set, it comes from the cluster")
        else:
            env.append(variable)
    if env or container.get("env"):
        changed["env"] = env
    if changed.pop("envFrom", None):
        told.append(f"container {name}: what envFrom sets is missing, it comes from the cluster")
    if (container.get("securityContext") or {}).get("privileged"):
        told.append(f"container {name}: runs without the privileges it asks for")
        changed["securityContext"] = {k: v for k, v in container["securityContext"].items() if k != "privileged"}
    return changed
