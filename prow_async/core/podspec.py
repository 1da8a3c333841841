"""The pod of a job.

Source: upstream pkg/pod-utils/decorate/podspec.go ProwJobToPod.
"""

from typing import Any

from prow_async.api import names
from prow_async.api.errors import UserMistake
from prow_async.api.prowjob import Json, ProwJob
from prow_async.core import identity, labels, podenv

TEST_CONTAINER = "test"


def pod_for(job: ProwJob, build_id: str, pod_namespace: str, attempt: int) -> Json:
    """Make the pod to create for one attempt of a job; the job's own spec stays untouched.

    Equal arguments give an equal pod, digest included: the digest of a pod that stands already is compared with the
    one made here from the build id that the standing pod carries.

    Args:
        attempt: the number of pods made for this ProwJob before.

    Raises UserMistake when no pod can be made of the job, whoever tries.
    """
    spec = job.spec
    if spec.pod_spec is None or not _are_containers(spec.pod_spec):
        raise UserMistake(f"ProwJob {job.metadata.name} ({spec.job}) has no pod_spec with containers")
    if spec.decoration_config is not None:
        raise UserMistake(
            f"ProwJob {job.metadata.name} ({spec.job}) asks for decoration, which is not supported yet; "
            "set decorate: false on the job"
        )
    pod: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(job, build_id, pod_namespace, attempt),
        "spec": _spec(spec.pod_spec, env_list(podenv.environment(job, build_id))),
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


def _spec(wanted: Json, env: list[Json]) -> Json:
    containers = [_with_env(container, env) for container in wanted["containers"]]
    if len(containers) == 1:
        containers[0]["name"] = TEST_CONTAINER
    spec = {**wanted, "restartPolicy": "Never", "containers": [_with_policy(c) for c in containers]}
    if wanted.get("initContainers"):
        spec["initContainers"] = [_with_policy(c) for c in wanted["initContainers"]]
    if wanted.get("automountServiceAccountToken") is None and not wanted.get("serviceAccountName"):
        spec["automountServiceAccountToken"] = False
    return spec


def _are_containers(pod_spec: Json) -> bool:
    """True when the parts rewritten here have the shape they must have; the server judges all the rest."""
    every = [*(pod_spec.get(key) or () for key in ("containers", "initContainers"))]
    if not every[0] or not all(isinstance(found, list | tuple) for found in every):
        return False
    return all(isinstance(c, dict) and isinstance(c.get("env") or [], list) for found in every for c in found)


def _with_env(container: dict[str, Any], env: list[Json]) -> dict[str, Any]:
    return {**container, "env": [*(container.get("env") or ()), *env]}


def _with_policy(container: dict[str, Any]) -> dict[str, Any]:
    """Let the end of the log stand in for a termination message, so that the pod's status tells of a failure."""
    if container.get("terminationMessagePolicy"):
        return container
    return {**container, "terminationMessagePolicy": "FallbackToLogsOnError"}
