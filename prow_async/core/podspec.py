"""The pod of a job.

Source: upstream pkg/pod-utils/decorate/podspec.go ProwJobToPod.
"""

from typing import Any

from prow_async.api import names
from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import Json, ProwJob
from prow_async.core import decorate, identity, labels, podenv

TEST_CONTAINER = "test"


def pod_for(job: ProwJob, build_id: str, pod_namespace: str, attempt: int, local_output: str = "") -> Json:
    """Make the pod to create for one attempt of a job; the job's own spec stays untouched.

    Equal arguments give an equal pod, digest included: the digest of a pod that stands already is compared with the
    one made here from the build id that the standing pod carries.

    Args:
        attempt: the number of pods made for this ProwJob before.
        local_output: a folder on the node that takes what a decorated pod would upload; "" uploads.

    Raises UserMistake when no pod can be made of the job, whoever tries.
    """
    spec = job.spec
    if spec.pod_spec is None or not _is_shaped(spec.pod_spec):
        raise UserMistake(f"ProwJob {job.metadata.name} ({spec.job}) has no pod_spec with containers that can be read")
    pod: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(job, build_id, pod_namespace, attempt),
        "spec": _spec(spec.pod_spec, job, build_id, local_output),
    }
    pod["metadata"]["annotations"][names.DIGEST] = identity.pod_digest(pod)
    return pod


def env_list(environment: dict[str, str]) -> list[Json]:
    """Write variables as a container has them, sorted by name; an empty value is left out, as Go does."""
    return [{"name": name, "value": value} if value else {"name": name} for name, value in sorted(environment.items())]


def _metadata(job: ProwJob, build_id: str, pod_namespace: str, attempt: int) -> Json:
    own = job.metadata
    extra = {**own.labels, names.ID_LABEL: own.name, names.BUILD_ID_LABEL: build_id}
    marks = labels.for_spec(job.spec, extra, own.annotations)
    return {
        "name": own.name,
        "namespace": pod_namespace,
        "labels": marks.labels,
        "annotations": {**marks.annotations, names.OWNER_UID: own.uid, names.ATTEMPT: str(attempt)},
    }


def _spec(wanted: Json, job: ProwJob, build_id: str, local_output: str) -> Json:
    decorated = job.spec.decoration_config is not None
    variables = podenv.environment(job, build_id) | (decorate.EXTRA_ENV if decorated else {})
    env = env_list(variables)
    containers = [_with_env(container, env) for container in wanted["containers"]]
    if len(containers) == 1:
        containers[0]["name"] = TEST_CONTAINER
    spec = {**wanted, "restartPolicy": "Never", "containers": containers}
    if wanted.get("automountServiceAccountToken") is None and not wanted.get("serviceAccountName"):
        spec["automountServiceAccountToken"] = False
    if decorated:
        spec = decorate.decorate(spec, job, build_id, local_output)
    for kind in ("containers", "initContainers"):
        if spec.get(kind):
            spec[kind] = [_with_policy(container) for container in spec[kind]]
    return spec


def _is_shaped(pod_spec: Json) -> bool:
    """True when the parts rewritten here have the shape they must have; the server judges all the rest."""
    every = [pod_spec.get(key) or () for key in ("containers", "initContainers", "volumes")]
    if not every[0] or not all(isinstance(found, list | tuple) for found in every):
        return False
    if not all(isinstance(one, dict) for found in every for one in found):
        return False
    if not isinstance(pod_spec.get("securityContext") or {}, dict) or not all(map(_is_named, every[2])):
        return False
    return all(_is_shaped_container(container) for found in every[:2] for container in found)


def _is_shaped_container(container: Json) -> bool:
    lists = [container.get(key) or [] for key in ("env", "command", "args", "volumeMounts")]
    if not all(isinstance(found, list) for found in lists):
        return False
    env, command, args, mounts = lists
    resources = container.get("resources") or {}
    return (
        all(isinstance(one, dict) for one in [*env, *mounts])
        and all(_is_named(one) and isinstance(one.get("mountPath", ""), str) for one in mounts)
        and all(isinstance(one, str) for one in [*command, *args])
        and isinstance(resources, dict)
        and all(isinstance(resources.get(key) or {}, dict) for key in ("limits", "requests"))
    )


def _is_named(one: Json) -> bool:
    return isinstance(one.get("name", ""), str)


def _with_env(container: dict[str, Any], env: list[Json]) -> dict[str, Any]:
    return {**container, "env": [*(container.get("env") or ()), *env]}


def _with_policy(container: dict[str, Any]) -> dict[str, Any]:
    """Let the end of the log stand in for a termination message, so that the pod's status tells of a failure."""
    if container.get("terminationMessagePolicy"):
        return container
    return {**container, "terminationMessagePolicy": "FallbackToLogsOnError"}
