"""The load: posts ProwJobs at a steady rate, plays kubelet, and takes every time on its own clock.

Run as its own process: `python -m bench.load URL TOKEN RATE SECONDS`; prints one JSON object (`Report`).
"""

import asyncio
import sys
import time
import uuid
from typing import Any

import aiohttp
import msgspec
import uvloop

from bench import wire

CONNECTIONS = 32
"""Beside those of the two watches."""
RUNS_S = 0.2
DRAIN_S = 30.0
CONTAINER = {"name": "test", "image": "example.com/test", "command": ["true"]}
BEGUN = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
"""This process's start: near enough for every timestamp, and no deadline is reached."""


class Report(msgspec.Struct):
    """What came of it. Latencies in milliseconds, sorted; jobs that were never done are missing in them."""

    created: int
    done: int
    writes: int
    """Writes of the load itself: ProwJobs created, pod statuses patched."""
    posting_s: float
    """From the first post to the last."""
    drain_s: float
    """From the last post until the last job was done, or until the load gave up."""
    pod_seen_ms: list[float]
    done_ms: list[float]


class Load:
    """Times by job name, monotonic seconds, and the tasks that make them."""

    def __init__(self, client: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        self.client = client
        self.group = group
        self.writes = 0
        self.created: dict[str, float] = {}
        self.pod: dict[str, float] = {}
        self.done: dict[str, float] = {}

    async def send(self, method: str, path: str, body: bytes, headers: dict[str, str], want: int) -> None:
        self.writes += 1
        async with self.client.request(method, path, data=body, headers=headers) as reply:
            answer = await reply.read()
            if reply.status != want:
                raise RuntimeError(f"{method} {path}: {reply.status} {answer.decode(errors='replace')[:300]}")

    async def create(self) -> None:
        name = str(uuid.uuid4())
        await self.send("POST", wire.JOBS, msgspec.json.encode(prowjob(name)), wire.JSON, 201)
        self.created[name] = time.monotonic()

    async def kubelet(self, name: str) -> None:
        for wait_s, body in ((0.0, RUNNING), (RUNS_S, SUCCEEDED)):
            await asyncio.sleep(wait_s)
            await self.send("PATCH", f"{wire.PODS}/{name}/status", body, wire.MERGE, 200)

    async def watch_pods(self, opened: asyncio.Event) -> None:
        async for event in wire.watch(self.client, wire.PODS, opened):
            if event["type"] == "ADDED":
                name = event["object"]["metadata"]["name"]
                self.pod[name] = time.monotonic()
                self.group.create_task(self.kubelet(name))

    async def watch_jobs(self, opened: asyncio.Event) -> None:
        async for event in wire.watch(self.client, wire.JOBS, opened):
            job = event["object"]
            if job.get("status", {}).get("state") == "success":
                self.done.setdefault(job["metadata"]["name"], time.monotonic())

    async def drive(self, rate: float, seconds: float) -> Report:
        """Post at the rate, then wait until all are done or the drain time is over."""
        count = int(rate * seconds)
        begin = time.monotonic()
        for i in range(count):
            await asyncio.sleep(max(0.0, begin + i / rate - time.monotonic()))
            self.group.create_task(self.create())
        posted = time.monotonic()
        while len(self.done) < count and time.monotonic() < posted + DRAIN_S:
            await asyncio.sleep(0.02)
        ended = max(self.done.values(), default=posted) if len(self.done) == count else time.monotonic()
        return Report(
            created=len(self.created),
            done=len(self.done),
            writes=self.writes,
            posting_s=posted - begin,
            drain_s=max(0.0, ended - posted),
            pod_seen_ms=self._since_created(self.pod),
            done_ms=self._since_created(self.done),
        )

    def _since_created(self, then: dict[str, float]) -> list[float]:
        return sorted(round((then[name] - t) * 1e3, 2) for name, t in self.created.items() if name in then)


def prowjob(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {
            "name": name,
            "labels": {"created-by-prow": "true", "prow.k8s.io/type": "periodic", "prow.k8s.io/job": "bench"},
            "annotations": {"prow.k8s.io/job": "bench"},
        },
        "spec": {
            "type": "periodic",
            "agent": "kubernetes",
            "cluster": "default",
            "job": "bench",
            "pod_spec": {"containers": [CONTAINER], "restartPolicy": "Never"},
        },
        "status": {"startTime": BEGUN, "state": "triggered"},
    }


def pod_status(phase: str, state: dict[str, Any]) -> bytes:
    container = {"name": "test", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return msgspec.json.encode({"status": {"phase": phase, "startTime": BEGUN, "containerStatuses": [container]}})


RUNNING = pod_status("Running", {"running": {"startedAt": BEGUN}})
_ENDED = {"exitCode": 0, "reason": "Completed", "startedAt": BEGUN, "finishedAt": BEGUN}
SUCCEEDED = pod_status("Succeeded", {"terminated": _ENDED})


async def main(url: str, token: str, rate: float, seconds: float) -> None:
    async with wire.session(url, token, CONNECTIONS + 2) as client, asyncio.TaskGroup() as group:
        load = Load(client, group)
        both = asyncio.Event(), asyncio.Event()
        watches = [group.create_task(load.watch_pods(both[0])), group.create_task(load.watch_jobs(both[1]))]
        for opened in both:
            await opened.wait()
        report = await load.drive(rate, seconds)
        for task in watches:
            task.cancel()
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
