"""The load: posts ProwJobs at a steady rate, plays kubelet, and takes every time on its own clock.

Run as its own process: `python -m bench.load URL TOKEN RATE SECONDS`; prints one JSON object.
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

RUNS_S = 0.2
DRAIN_S = 30.0
CONTAINER = {"name": "test", "image": "example.com/test", "command": ["true"]}


class Times:
    """When each job was created, its pod seen, and its success seen; monotonic seconds."""

    def __init__(self) -> None:
        self.created: dict[str, float] = {}
        self.pod: dict[str, float] = {}
        self.done: dict[str, float] = {}

    def report(self) -> dict[str, Any]:
        """Latencies in milliseconds."""
        pods = sorted((self.pod[n] - t) * 1e3 for n, t in self.created.items() if n in self.pod)
        ends = sorted((self.done[n] - t) * 1e3 for n, t in self.created.items() if n in self.done)
        return {
            "created": len(self.created),
            "done": len(ends),
            "pod_seen_ms": {"p50": pick(pods, 0.5), "p99": pick(pods, 0.99)},
            "done_ms": {"p50": pick(ends, 0.5), "p99": pick(ends, 0.99)},
        }


def pick(values: list[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(len(values) * share))], 1) if values else None


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
        "status": {"startTime": "2026-01-01T00:00:00Z", "state": "triggered"},
    }


async def create(client: aiohttp.ClientSession, times: Times) -> None:
    name = str(uuid.uuid4())
    body = msgspec.json.encode(prowjob(name))
    async with client.post(wire.JOBS, data=body, headers={"Content-Type": "application/json"}) as reply:
        if reply.status != 201:
            raise RuntimeError(f"creating a ProwJob: {reply.status} {await reply.text()}")
        times.created[name] = time.monotonic()
        await reply.read()


def status(phase: str, state: dict[str, Any]) -> bytes:
    container = {"name": "test", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    begun = "2026-01-01T00:00:00Z"
    return msgspec.json.encode({"status": {"phase": phase, "startTime": begun, "containerStatuses": [container]}})


RUNNING = status("Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
ENDED = {
    "exitCode": 0,
    "reason": "Completed",
    "startedAt": "2026-01-01T00:00:00Z",
    "finishedAt": "2026-01-01T00:00:01Z",
}
SUCCEEDED = status("Succeeded", {"terminated": ENDED})


async def kubelet(client: aiohttp.ClientSession, name: str) -> None:
    path = f"{wire.PODS}/{name}/status"
    for wait_s, body in ((0.0, RUNNING), (RUNS_S, SUCCEEDED)):
        await asyncio.sleep(wait_s)
        async with client.patch(path, data=body, headers=wire.MERGE) as reply:
            if reply.status != 200:
                raise RuntimeError(f"patching a pod: {reply.status} {await reply.text()}")
            await reply.read()


async def pods(client: aiohttp.ClientSession, group: asyncio.TaskGroup, times: Times) -> None:
    async for event in wire.watch(client, wire.PODS):
        if event["type"] == "ADDED":
            name = event["object"]["metadata"]["name"]
            times.pod[name] = time.monotonic()
            group.create_task(kubelet(client, name))


async def jobs(client: aiohttp.ClientSession, times: Times) -> None:
    async for event in wire.watch(client, wire.JOBS):
        job = event["object"]
        if job.get("status", {}).get("state") == "success":
            times.done.setdefault(job["metadata"]["name"], time.monotonic())


async def drive(
    client: aiohttp.ClientSession, group: asyncio.TaskGroup, times: Times, plan: tuple[float, float]
) -> None:
    """Post at the rate, then wait until all are done or the drain time is over."""
    rate, seconds = plan
    await asyncio.sleep(0.5)
    begin = time.monotonic()
    for i in range(int(rate * seconds)):
        due = begin + i / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        group.create_task(create(client, times))
    end = time.monotonic() + DRAIN_S
    while len(times.done) < int(rate * seconds) and time.monotonic() < end:
        await asyncio.sleep(0.05)


async def main(url: str, token: str, rate: float, seconds: float) -> None:
    times = Times()
    async with wire.session(url, token, 34) as client, asyncio.TaskGroup() as group:
        watchers = [group.create_task(pods(client, group, times)), group.create_task(jobs(client, times))]
        await drive(client, group, times, (rate, seconds))
        for watcher in watchers:
            watcher.cancel()
    print(msgspec.json.encode(times.report()).decode())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
