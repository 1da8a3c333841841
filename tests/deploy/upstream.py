"""Upstream's components, played: the objects they leave behind, and what they do with objects they find.

Written from its source (pkg/pjutil, pkg/plank, pkg/pod-utils/decorate, pkg/crier, cmd/sinker, cmd/horologium, at the
commit docs/parity.md names). Whatever it does not read is not looked at here: marks of ours least of all.
"""

import copy
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from tests import realkube
from tests.deploy import installed

Json: TypeAlias = dict[str, Any]
SHA, BASE = "1" * 40, "2" * 40


def at(ago_s: float = 0.0) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_spec() -> Json:
    return {"containers": [{"name": "", "image": "busybox", "command": ["make", "test"], "resources": {}}]}


def presubmit(job: str, sha: str = SHA, number: int = 1, ago_s: float = 60.0) -> Json:
    """Return a ProwJob as trigger makes it: a random name, no marks."""
    name = str(uuid.uuid4())
    pull = {
        "number": number,
        "author": "octocat",
        "sha": sha,
        "title": "A change",
        "head_ref": "topic",
        "link": f"https://github.com/octo-org/hello/pull/{number}",
        "commit_link": f"https://github.com/octo-org/hello/pull/{number}/commits/{sha}",
        "author_link": "https://github.com/octocat",
    }
    refs = {
        "org": "octo-org",
        "repo": "hello",
        "repo_link": "https://github.com/octo-org/hello",
        "base_ref": "main",
        "base_sha": BASE,
        "base_link": f"https://github.com/octo-org/hello/commit/{BASE}",
        "pulls": [pull],
    }
    spec = {
        "type": "presubmit",
        "agent": "kubernetes",
        "cluster": "default",
        "namespace": "test-pods",
        "job": job,
        "refs": refs,
        "report": True,
        "context": job,
        "rerun_command": f"/test {job}",
        "pod_spec": pod_spec(),
        "prowjob_defaults": {"tenant_id": "GlobalDefaultID"},
    }
    labels = {
        "created-by-prow": "true",
        "event-GUID": str(uuid.uuid4()),
        "prow.k8s.io/context": job,
        "prow.k8s.io/job": job,
        "prow.k8s.io/type": "presubmit",
        "prow.k8s.io/is-optional": "false",
        "prow.k8s.io/refs.org": "octo-org",
        "prow.k8s.io/refs.repo": "hello",
        "prow.k8s.io/refs.base_ref": "main",
        "prow.k8s.io/refs.pull": str(number),
    }
    annotations = {"prow.k8s.io/context": job, "prow.k8s.io/job": job}
    return _prowjob(name, spec, (labels, annotations), ago_s)


def periodic(job: str, ago_s: float) -> Json:
    """Return a ProwJob as horologium makes it."""
    spec = {
        "type": "periodic",
        "agent": "kubernetes",
        "cluster": "default",
        "namespace": "test-pods",
        "job": job,
        "report": True,
        "pod_spec": pod_spec(),
        "prowjob_defaults": {"tenant_id": "GlobalDefaultID"},
    }
    labels = {
        "created-by-prow": "true",
        "prow.k8s.io/context": "",
        "prow.k8s.io/job": job,
        "prow.k8s.io/type": "periodic",
    }
    annotations = {"prow.k8s.io/context": "", "prow.k8s.io/job": job}
    return _prowjob(str(uuid.uuid4()), spec, (labels, annotations), ago_s)


def _prowjob(name: str, spec: Json, marks: tuple[Json, Json], ago_s: float) -> Json:
    labels, annotations = marks
    meta = {"name": name, "namespace": "prow", "labels": labels, "annotations": annotations}
    status = {"startTime": at(ago_s), "state": "triggered"}
    return {"apiVersion": "prow.k8s.io/v1", "kind": "ProwJob", "metadata": meta, "spec": spec, "status": status}


def pod(job: Json, build_id: str) -> Json:
    """Return the pod plank makes of a ProwJob: its labels and annotations, four more labels, the environment."""
    meta, spec = job["metadata"], job["spec"]
    labels = {
        **meta["labels"],
        "prow.k8s.io/id": meta["name"],
        "prow.k8s.io/build-id": build_id,
        "prow.k8s.io/plank-version": "v20261101-a619408973",
    }
    body = copy.deepcopy(spec["pod_spec"])
    body["containers"][0]["name"] = "test"
    body["containers"][0]["env"] = [
        {"name": name, "value": value}
        for name, value in (
            *(("BUILD_ID", build_id), ("BUILD_NUMBER", build_id), ("CI", "true"), ("JOB_NAME", spec["job"])),
            *(("JOB_TYPE", spec["type"]), ("PROW_JOB_ID", meta["name"])),
        )
    ]
    body |= {"restartPolicy": "Never", "automountServiceAccountToken": False}
    kept = {"name": meta["name"], "namespace": "test-pods", "labels": labels, "annotations": meta["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": body}


class Upstream:
    """Upstream's processes, one call a reconciliation."""

    def __init__(self, server: realkube.Server) -> None:
        self._server = server

    def create(self, job: Json) -> str:
        """Create a ProwJob as hook and horologium do; return its name."""
        name: str = self._server.request("POST", installed.JOBS_PATH, job)["metadata"]["name"]
        return name

    def start(self, job: Json, patched: bool = True) -> str:
        """Create a ProwJob and let plank start it; not `patched`: plank ended between the pod and the patch."""
        name = self.create(job)
        self.start_pod(job, patched)
        return name

    def start_pod(self, job: Json, patched: bool = True) -> str:
        """Create the pod as plank does; return the build id."""
        build_id = str(1_900_000_000_000_000_000 + secrets.randbelow(1_000_000))
        made = pod(job, build_id)
        self._server.request("POST", installed.PODS_PATH, made)
        if patched:
            status = {
                "build_id": build_id,
                "pendingTime": at(),
                "state": "pending",
                "pod_name": job["metadata"]["name"],
                "description": "Job triggered.",
                "url": f"http://deck.example/{build_id}",
            }
            labels = {"prow.k8s.io/id": job["metadata"]["name"], "prow.k8s.io/build-id": build_id}
            self.patch(job["metadata"]["name"], {"metadata": {"labels": labels}, "status": status})
        return build_id

    def reported(self, name: str, state: str, reporter: str = "github-reporter") -> None:
        """Note a report as crier does."""
        self.patch(name, {"status": {"prev_report_states": {reporter: state}}})

    def patch(self, name: str, change: Json) -> None:
        installed.patch(self._server, f"{installed.JOBS_PATH}/{name}", change)

    def sync(self, name: str) -> str:
        """Let plank look at a pending ProwJob once; return the state it leaves it in.

        It finds the pod by the ProwJob's name, whatever else is written on it.
        """
        job = self._server.request("GET", f"{installed.JOBS_PATH}/{name}")
        assert job["status"]["state"] == "pending"
        assert "completionTime" not in job["status"]
        found = self._server.request("GET", f"{installed.PODS_PATH}/{name}")
        ended = {"Succeeded": ("success", "Job succeeded."), "Failed": ("failure", "Job failed.")}
        if (outcome := ended.get(found["status"]["phase"])) is None:
            return "pending"
        statuses = found["status"].get("containerStatuses", ())
        assert all(each["state"]["terminated"]["finishedAt"] for each in statuses)
        self.patch(name, {"status": {"state": outcome[0], "description": outcome[1], "completionTime": at()}})
        return outcome[0]

    def would_report(self, name: str) -> bool:
        """Whether crier's GitHub reporter would speak of a ProwJob."""
        job = self._server.request("GET", f"{installed.JOBS_PATH}/{name}")
        status = job["status"]
        wanted = job["spec"].get("report") and job["spec"]["type"] in {"presubmit", "postsubmit"}
        return bool(wanted) and status.get("prev_report_states", {}).get("github-reporter") != status["state"]

    def would_sweep(self, max_age_s: float, pod_ttl_s: float) -> tuple[set[str], set[str]]:
        """Return the names of the ProwJobs and of the pods that sinker would delete now (no periodic configured)."""
        jobs = {job["metadata"]["name"]: job for job in self._server.request("GET", installed.JOBS_PATH)["items"]}
        selector = "?labelSelector=created-by-prow%3Dtrue"
        pods = self._server.request("GET", installed.PODS_PATH + selector)["items"]
        done = {name for name, job in jobs.items() if job["status"].get("completionTime")}
        old = {name for name in done if _age(jobs[name]["status"]["startTime"]) > max_age_s}
        swept = set()
        for each in pods:
            owner = each["metadata"]["labels"].get("prow.k8s.io/id") or each["metadata"]["name"]
            if owner not in jobs or (owner in done and _age(jobs[owner]["status"]["completionTime"]) > pod_ttl_s):
                swept.add(each["metadata"]["name"])
        return old, swept

    def would_start(self, job: str, interval_s: float) -> bool:
        """Whether horologium would start a periodic now: it goes by the youngest run's start, and by its end."""
        items = self._server.request("GET", installed.JOBS_PATH)["items"]
        runs = [one for one in items if one["spec"]["type"] == "periodic" and one["spec"]["job"] == job]
        last: Callable[[Json], str] = lambda one: str(one["status"]["startTime"])  # noqa: E731
        youngest = max(runs, key=last, default=None)
        if youngest is None:
            return True
        return bool(youngest["status"].get("completionTime")) and _age(last(youngest)) > interval_s


def _age(stamp: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds()


def play_kubelet(server: realkube.Server, name: str, phase: str) -> None:
    """Say of a pod that it runs, or that its one container has ended."""
    path = f"{installed.PODS_PATH}/{name}/status"
    ended = {
        "exitCode": 0 if phase == "Succeeded" else 1,
        "startedAt": at(1),
        "finishedAt": at(),
        "reason": "Completed",
    }
    state = {"running": {"startedAt": at()}} if phase == "Running" else {"terminated": ended}
    container = {"name": "test", "state": state, "ready": False, "restartCount": 0, "image": "x", "imageID": "x"}
    status = {"phase": phase, "startTime": at(1), "containerStatuses": [container]}
    installed.patch(server, path, {"status": status})
