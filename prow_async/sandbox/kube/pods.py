"""Rules of pods: what the server adds, what may change, how long a deletion takes.

Source: kube-apiserver 1.34's answers; Kubernetes, "Pod Lifecycle".
"""

import copy
from typing import Any

from prow_async.sandbox.kube import kinds, status, words

Json = dict[str, Any]
Causes = list[status.Cause]

SELECTABLE = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)

MAX_GRACE_S = 2**31 - 1

_CONTAINER = kinds.open_object(
    name=kinds.TEXT,
    image=kinds.TEXT,
    command=kinds.list_of(kinds.TEXT),
    args=kinds.list_of(kinds.TEXT),
    workingDir=kinds.TEXT,
    env=kinds.list_of(kinds.open_object(name=kinds.TEXT, value=kinds.TEXT)),
    volumeMounts=kinds.list_of(kinds.open_object(name=kinds.TEXT, mountPath=kinds.TEXT)),
)
_STATE = kinds.open_object(
    waiting=kinds.open_object(reason=kinds.TEXT),
    running=kinds.open_object(),
    terminated=kinds.open_object(exitCode=kinds.INTEGER, signal=kinds.INTEGER, reason=kinds.TEXT),
)
_STATUSES = kinds.list_of(
    kinds.open_object(name=kinds.TEXT, ready=kinds.BOOLEAN, restartCount=kinds.INTEGER, state=_STATE)
)
SCHEMA = kinds.closed_object(
    spec=kinds.open_object(
        containers=kinds.list_of(_CONTAINER),
        initContainers=kinds.list_of(_CONTAINER),
        volumes=kinds.list_of(kinds.open_object(name=kinds.TEXT)),
        tolerations=kinds.list_of(kinds.open_object()),
        nodeName=kinds.TEXT,
        restartPolicy=kinds.TEXT,
        terminationGracePeriodSeconds=kinds.INTEGER,
        activeDeadlineSeconds=kinds.INTEGER,
    ),
    status=kinds.open_object(
        phase=kinds.TEXT,
        reason=kinds.TEXT,
        message=kinds.TEXT,
        startTime={"type": "string", "format": "date-time"},
        conditions=kinds.list_of(kinds.open_object(type=kinds.TEXT, status=kinds.TEXT)),
        containerStatuses=_STATUSES,
        initContainerStatuses=_STATUSES,
    ),
)

_SPEC_DEFAULTS: Json = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
}
_CONTAINER_DEFAULTS: Json = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def containers_of(spec: Json) -> list[Json]:
    """List init containers, then containers."""
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def prepare(content: Json) -> None:
    """Fill in defaults."""
    spec = content.setdefault("spec", {})
    for key, value in _SPEC_DEFAULTS.items():
        if key not in spec:
            spec[key] = copy.copy(value)
    for container in containers_of(spec):
        for key, value in _CONTAINER_DEFAULTS.items():
            if key not in container:
                container[key] = copy.copy(value)
        if "imagePullPolicy" not in container:
            container["imagePullPolicy"] = _pull_policy(container.get("image", ""))
    if "status" not in content:
        content["status"] = {"phase": "Pending"}


def _pull_policy(image: str) -> str:
    last = image.rpartition("/")[2]
    fixed = "@" in last or (":" in last and not last.endswith(":latest"))
    return "IfNotPresent" if fixed else "Always"


def check(content: Json, old: Json | None) -> Causes:
    """Say what is wrong with a pod; with `old`, also what may not change."""
    spec = content["spec"]
    causes: Causes = []
    if not spec.get("containers"):
        causes.append(status.required("spec.containers"))
    taken: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind, ())):
            _check_container(container, f"spec.{kind}[{index}]", taken, causes)
    if spec["restartPolicy"] not in {"Always", "OnFailure", "Never"}:
        allowed = ["Always", "OnFailure", "Never"]
        causes.append(status.not_supported("spec.restartPolicy", spec["restartPolicy"], allowed))
    if old is not None and spec != old["spec"]:
        causes.extend(_check_change(spec, old["spec"]))
    return causes


def _check_container(container: Json, path: str, taken: set[str], causes: Causes) -> None:
    name = container.get("name", "")
    if not name:
        causes.append(status.required(f"{path}.name"))
    elif why := words.wrong_with_label_name(name):
        causes.append(status.bad_value(f"{path}.name", name, why))
    elif name in taken:
        causes.append(status.Cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{path}.name"))
    taken.add(name)
    if not container.get("image"):
        causes.append(status.required(f"{path}.image"))
    for index, variable in enumerate(container.get("env", ())):
        if not variable.get("name"):
            causes.append(status.required(f"{path}.env[{index}].name"))


_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def _check_change(new: Json, old: Json) -> Causes:
    """Allow what may change by putting it into the old spec; anything else then still differs."""
    allowed = dict(old)
    causes: Causes = []
    for kind in ("initContainers", "containers"):
        if len(new.get(kind, ())) != len(old.get(kind, ())):
            causes.append(status.forbidden_field(f"spec.{kind}", "pod updates may not add or remove containers"))
        elif kind in old and len(new.get(kind, ())) == len(old[kind]):
            allowed[kind] = [
                was | {"image": is_.get("image", "")} for was, is_ in zip(old[kind], new[kind], strict=True)
            ]
    if new.get("activeDeadlineSeconds") != old.get("activeDeadlineSeconds"):
        causes.extend(_check_deadline(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")))
        allowed["activeDeadlineSeconds"] = new.get("activeDeadlineSeconds")
        if allowed["activeDeadlineSeconds"] is None:
            del allowed["activeDeadlineSeconds"]
    were = old.get("tolerations", [])
    if all(one in new.get("tolerations", []) for one in were) and "tolerations" in new:
        allowed["tolerations"] = new["tolerations"]
    if old.get("terminationGracePeriodSeconds", 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        allowed["terminationGracePeriodSeconds"] = 1
    if not causes and new != allowed:
        causes.append(status.forbidden_field("spec", _MAY_CHANGE))
    return causes


def _check_deadline(new: int | None, old: int | None) -> Causes:
    field = "spec.activeDeadlineSeconds"
    if new is None:
        return [status.bad_value(field, None, "must not update from a positive integer to nil value")]
    if new < 0:
        return [status.bad_value(field, new, "must be between 0 and 2147483647, inclusive")]
    if old is not None and new > old:
        return [status.bad_value(field, new, "must be less than or equal to previous value")]
    return []


def grace_s(content: Json, asked: int | None) -> int:
    """Return how long a pod may take to go; 0 is at once.

    A pod on no node, or one that has ended, goes at once whatever is asked.
    """
    phase = content.get("status", {}).get("phase")
    if not content["spec"].get("nodeName") or phase in {"Succeeded", "Failed"}:
        return 0
    given = content["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked
    return 1 if given < 0 else min(int(given), MAX_GRACE_S)
