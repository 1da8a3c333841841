"""Finished ProwJobs as a busy installation has them: presubmits of 4 KB each, reported long ago.

`python -m bench.finished URL TOKEN FIRST COUNT` fills a cluster with them, from the FIRST on, counted from 0.
"""

import asyncio
import hashlib
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
import uvloop

from bench import wire

CONNECTIONS = 32
TRIES = 10
IMAGE = "registry.example.com/ci/builder:v20260101-0123456789"
UTILITIES = {name: f"registry.example.com/ci/{name}:v20260101-0123456789" for name in
             ("clonerefs", "entrypoint", "initupload", "sidecar")}  # fmt: skip
STATES = ("success", "success", "success", "failure", "aborted")
NAMES = uuid.UUID("6f1a3b52-8c5e-4d6a-9a07-0f6f7f1f2b11")
REPORTERS = ("gcsk8sreporter", "gcsreporter", "github-reporter")
SPAN_S = 6 * 3600
"""They finished within the last hours: none is old enough to be swept away."""


def prowjob(number: int, now_s: float) -> dict[str, Any]:
    """Return the n-th of them: 40 repositories, 400 jobs, a pull request for every 8 runs."""
    org, repo, pull = f"org-{number % 4}", f"repository-{number % 40}", number // 8
    job = f"pull-{repo}-verify-{number % 400}"
    base, head = _sha(f"base {number % 1000}"), _sha(f"head {pull}")
    name = str(uuid.uuid5(NAMES, str(number)))
    build_id = str(1_900_000_000_000_000_000 + number)
    started_s = now_s - SPAN_S + number % SPAN_S
    state = STATES[number % len(STATES)]
    author = f"developer-{pull % 700}"
    web = f"https://github.example.com/{org}/{repo}"
    labels = {
        "created-by-prow": "true",
        "event-GUID": str(uuid.uuid5(NAMES, f"delivery {pull}")),
        "prow.k8s.io/build-id": build_id,
        "prow.k8s.io/context": f"verify-{number % 400}",
        "prow.k8s.io/id": name,
        "prow.k8s.io/is-optional": "false",
        "prow.k8s.io/job": job,
        "prow.k8s.io/refs.base_ref": "main",
        "prow.k8s.io/refs.org": org,
        "prow.k8s.io/refs.pull": str(pull),
        "prow.k8s.io/refs.repo": repo,
        "prow.k8s.io/type": "presubmit",
    }
    ref = {
        "number": pull,
        "author": author,
        "sha": head,
        "title": f"Mend the thing that broke in change {pull}",
        "head_ref": f"mend-{pull}",
        "link": f"{web}/pull/{pull}",
        "commit_link": f"{web}/pull/{pull}/commits/{head}",
        "author_link": f"https://github.example.com/{author}",
    }
    refs = {
        "org": org,
        "repo": repo,
        "repo_link": web,
        "base_ref": "main",
        "base_sha": base,
        "base_link": f"{web}/commit/{base}",
        "pulls": [ref],
    }
    return {
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"prow.k8s.io/job": job, "prow.k8s.io/context": f"verify-{number % 400}"},
        },
        "spec": {
            "type": "presubmit",
            "agent": "kubernetes",
            "cluster": "default",
            "namespace": wire.NAMESPACE,
            "job": job,
            "refs": refs,
            "report": True,
            "context": f"verify-{number % 400}",
            "rerun_command": f"/test {job}",
            "decoration_config": _decoration(),
            "pod_spec": _pod_spec(number % 400),
        },
        "status": {
            "startTime": _time(started_s - 600),
            "pendingTime": _time(started_s - 598),
            "completionTime": _time(started_s),
            "state": state,
            "description": f"Job {state}.",
            "url": f"https://prow.example.com/view/gs/ci-logs/pr-logs/pull/{org}_{repo}/{pull}/{job}/{build_id}",
            "pod_name": name,
            "build_id": build_id,
            "prev_report_states": dict.fromkeys(REPORTERS, state),
        },
    }


def _decoration() -> dict[str, Any]:
    return {
        "timeout": "2h0m0s",
        "grace_period": "15m0s",
        "utility_images": UTILITIES,
        "gcs_configuration": {"bucket": "ci-logs", "path_strategy": "explicit"},
        "gcs_credentials_secret": "gcs-credentials",
        "ssh_key_secrets": ["robot-ssh-key"],
    }


def _pod_spec(job: int) -> dict[str, Any]:
    env = [{"name": f"VERIFY_SETTING_{i}", "value": f"/workspace/settings/{job}/value-{i}"} for i in range(8)]
    size = {"cpu": "4", "memory": "8Gi"}
    container = {
        "name": "test",
        "image": IMAGE,
        "command": ["/usr/local/bin/runner.sh", "./hack/verify.sh"],
        "args": [f"--suite=verify-{job}", "--artifacts=$(ARTIFACTS)", "--timeout=110m", "--parallel=8"],
        "env": env,
        "resources": {"requests": size, "limits": size},
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"name": "modules", "mountPath": "/lib/modules", "readOnly": True},
            {"name": "cgroup", "mountPath": "/sys/fs/cgroup"},
        ],
    }
    return {
        "containers": [container],
        "serviceAccountName": "prowjob-default",
        "automountServiceAccountToken": False,
        "nodeSelector": {"pool": "builds"},
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "builds", "effect": "NoSchedule"}],
        "volumes": [
            {"name": "modules", "hostPath": {"path": "/lib/modules", "type": "Directory"}},
            {"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup", "type": "Directory"}},
        ],
    }


def _sha(of: str) -> str:
    return hashlib.sha1(of.encode(), usedforsecurity=False).hexdigest()


def _time(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


async def post_all(url: str, token: str, bodies: Iterator[bytes]) -> None:
    """Put ProwJobs into the cluster. Raises RuntimeError when it refuses one, or cannot take it again and again."""
    async with wire.session(url, token, CONNECTIONS) as client, asyncio.TaskGroup() as group:

        async def post(left: Iterator[bytes]) -> None:
            for body in left:
                await _post(client, body)

        for _ in range(CONNECTIONS):
            group.create_task(post(bodies))


async def _post(client: aiohttp.ClientSession, body: bytes) -> None:
    """Create one. A server that is busy for a moment is asked again: nothing is measured while a cluster is filled."""
    for tries in range(1, TRIES + 1):
        async with client.post(wire.JOBS, data=body, headers=wire.JSON) as reply:
            answer = await reply.read()
        if reply.status == 201 or (reply.status == 409 and tries > 1):
            return
        if reply.status < 500 and reply.status != 429:
            break
        await asyncio.sleep(1.0)
    raise RuntimeError(f"creating a ProwJob: {reply.status} {answer.decode(errors='replace')[:300]}")


def main(url: str, token: str, first: int, count: int) -> None:
    now_s = time.time()
    bodies = (msgspec.json.encode(prowjob(number, now_s)) for number in range(first, first + count))
    uvloop.run(post_all(url, token, bodies))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
