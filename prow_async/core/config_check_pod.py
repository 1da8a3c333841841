"""Rules for the pod a job brings along, and for its decoration.

Source: upstream pkg/config/config.go validatePodSpec, validateDecoration; pkg/apis/prowjobs/v1/types.go Validate.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from prow_async.api.jobconfig import JobBase, Periodic, Presubmit
from prow_async.api.prowjob import DecorationConfig, Json

_ENV_ALWAYS = frozenset({"CI", "JOB_NAME", "JOB_TYPE", "BUILD_ID", "PROW_JOB_ID", "BUILD_NUMBER", "JOB_SPEC"})
_ENV_REFS = _ENV_ALWAYS | {
    "REPO_OWNER",
    "REPO_NAME",
    "SRC_HOST",
    "SRC_BASE",
    "PULL_BASE_REF",
    "PULL_BASE_SHA",
    "PULL_REFS",
}
_ENV_PULL = _ENV_REFS | {"PULL_NUMBER", "PULL_PULL_SHA", "PULL_HEAD_REF", "PULL_TITLE"}
_OUR_CONTAINERS = frozenset({"clonerefs", "initupload", "place-entrypoint", "sidecar"})
_OUR_MOUNTS = frozenset({"logs", "code", "tools"})
_OUR_VOLUMES = _OUR_MOUNTS | {"gcs-credentials", "s3-credentials"}
_OUR_PATHS = frozenset({"/logs", "/home/prow/go", "/tools"})
_STRATEGIES = frozenset({"legacy", "single", "explicit"})
_MEDIA_TYPE = re.compile(r"[\w!#$%&'*+.^`|~-]+(/[\w!#$%&'*+.^`|~-]+)?\s*(;.*)?", re.ASCII | re.DOTALL)


def reserved_env(job: JobBase) -> frozenset[str]:
    """Return the variables that the program sets itself in this kind of job."""
    if isinstance(job, Periodic):
        return _ENV_ALWAYS
    return _ENV_PULL if isinstance(job, Presubmit) else _ENV_REFS


def containers_of(spec: Json | None) -> list[Json]:
    found = (spec or {}).get("containers")
    return found if isinstance(found, list) else []


def pod_problems(job: JobBase) -> Iterator[str]:
    """Yield what is wrong with the job's pod spec. Jobs without one have none."""
    spec = job.spec
    if spec is None:
        return
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") != "Always":
            yield (
                f'spec: init container "{container.get("name", "")}" is not allowed; '
                "only sidecars (restartPolicy: Always) are"
            )
    containers = containers_of(spec)
    if not containers:
        yield "spec: needs a container"
        return
    if len(containers) > 1:
        yield from _several(containers, job.decoration_config)
    volumes = spec.get("volumes") or []
    yield from _volumes(volumes, job.decoration_config)
    names = {volume.get("name") for volume in volumes}
    for container in containers:
        yield from _env(container, reserved_env(job))
        yield from _mounts(container, names)


def _duplicates(names: Iterable[Any]) -> list[Any]:
    seen: set[Any] = set()
    out = []
    for name in names:
        if name in seen:
            out.append(name)
        seen.add(name)
    return out


def _several(containers: list[Json], decoration: DecorationConfig | None) -> Iterator[str]:
    if decoration is None:
        yield f"spec: {len(containers)} containers need decoration (decorate: true); without it one is allowed"
    names = [container.get("name") or "" for container in containers]
    if "" in names:
        yield "spec: with several containers each needs a name"
    for name in _duplicates(name for name in names if name):
        yield f'spec: two containers are named "{name}"'
    for name in sorted(_OUR_CONTAINERS.intersection(names)):
        yield f'spec: container name "{name}" is reserved for decoration'


def _env(container: Json, reserved: frozenset[str]) -> Iterator[str]:
    names = [str(entry.get("name", "")) for entry in container.get("env") or ()]
    for name in _duplicates(names):
        yield f"spec: env variable {name} is set twice"
    for name in sorted(reserved.intersection(names)):
        yield f"spec: env variable {name} is set by the program and cannot be given"


def _volumes(volumes: list[Json], decoration: DecorationConfig | None) -> Iterator[str]:
    names = [str(volume.get("name", "")) for volume in volumes]
    reserved = set(_OUR_VOLUMES)
    if decoration is not None:
        reserved.update(decoration.ssh_key_secrets)
        if decoration.oauth_token_secret is not None:
            reserved.add(decoration.oauth_token_secret.name)
    for name in _duplicates(names):
        yield f'spec: two volumes are named "{name}"'
    for name in sorted(reserved.intersection(names)):
        yield f'spec: volume name "{name}" is reserved for decoration'


def _mounts(container: Json, volumes: set[Any]) -> Iterator[str]:
    for mount in container.get("volumeMounts") or ():
        name, path = str(mount.get("name", "")), str(mount.get("mountPath", ""))
        if name in _OUR_MOUNTS:
            yield f'spec: volumeMount name "{name}" is reserved for decoration'
        elif name not in volumes:
            yield f'spec: volumeMount "{name}" has no volume of that name'
        if path in _OUR_PATHS:
            yield f"spec: mount path {path} is reserved for decoration"


def decoration_problems(job: JobBase) -> Iterator[str]:
    """Yield what is wrong with a decorated job's completed decoration and with its containers' commands."""
    decoration = job.decoration_config
    if decoration is None:
        return
    yield from _images(decoration)
    yield from _storage(decoration)
    if decoration.oauth_token_secret is not None and decoration.ssh_key_secrets:
        yield "decoration_config: oauth_token_secret and ssh_key_secrets cannot both be set"
    for container in containers_of(job.spec):
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if not words:
            yield "spec: a decorated container needs a command or args; its image's own entrypoint is not known"
        elif not words[0]:
            yield "spec: the first word of a decorated container's command or args is empty"


def _images(decoration: DecorationConfig) -> Iterator[str]:
    images = decoration.utility_images
    if images is None:
        yield "decoration_config: no utility_images; set them in the job or in plank.default_decoration_config_entries"
        return
    missing = [name for name in images.__struct_fields__ if not getattr(images, name)]
    if missing:
        yield f"decoration_config: utility_images lacks {', '.join(missing)}"


def _storage(decoration: DecorationConfig) -> Iterator[str]:
    storage = decoration.gcs_configuration
    if storage is None:
        yield "decoration_config: no gcs_configuration; set it in the job or in plank.default_decoration_config_entries"
        return
    scheme, marked, rest = storage.bucket.partition("://")
    if marked and (not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme) or " " in rest):
        yield f'decoration_config: "{storage.bucket}" is no bucket'
    for extension, media_type in sorted(storage.media_types.items()):
        if not _MEDIA_TYPE.fullmatch(media_type):
            yield f'decoration_config: mediaTypes: "{media_type}" for {extension} is no media type'
    if storage.path_strategy not in _STRATEGIES:
        text = f'path_strategy "{storage.path_strategy}" must be legacy, single or explicit'
        yield f"decoration_config: gcs_configuration: {text}"
    elif storage.path_strategy != "explicit" and not (storage.default_org and storage.default_repo):
        text = f"path_strategy {storage.path_strategy} needs default_org and default_repo"
        yield f"decoration_config: gcs_configuration: {text}"
