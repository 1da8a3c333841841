"""The load: posts ProwJobs at a steady rate, plays kubelet, and takes every time on its own clock.

Run as its own process: `python -m bench.load URL TOKEN ASKED`, the last one JSON (`Asked`); prints one JSON object
(`Report`).
"""

import asyncio
import contextlib
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
DRAIN_S = 30.0
RAMP_S = 3.0
"""At first everything is faster or slower than later: what is sustained is counted after so long."""
CONTAINER = {"name": "test", "image": "example.com/test", "command": ["true"]}
BEGUN = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
"""This process's start: near enough for every timestamp, and no deadline is reached."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the load does."""

    rate: float
    seconds: float
    in_flight: int = 0
    """So many jobs at most are posted and not done; 0: the rate alone counts."""
    runs_s: float = 0.2
    """How long each pod runs."""
    spec: dict[str, Any] = {}
    """Goes into each ProwJob's spec. A context in it becomes the ProwJob's own name: no two report to the same one."""


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
    ended_ms: list[float]
    """From the answer to the patch that let a job's pod succeed to the job's success."""
    sustained_per_s: float
    """Jobs done a second while there was posting, but for the first seconds."""


class Load:
    """Times by job name, monotonic seconds, and the tasks that make them."""

    def __init__(self, client: aiohttp.ClientSession, group: asyncio.TaskGroup, asked: Asked) -> None:
        self.asked = asked
        self.client = client
        self.group = group
        self.writes = 0
        self.created: dict[str, float] = {}
        self.pod: dict[str, float] = {}
        self.pod_ended: dict[str, float] = {}
        self.done: dict[str, float] = {}
        self.room = asyncio.Semaphore(asked.in_flight or sys.maxsize)

    async def send(self, method: str, path: str, body: bytes, headers: dict[str, str], want: int) -> None:
        self.writes += 1
        async with self.client.request(method, path, data=body, headers=headers) as reply:
            answer = await reply.read()
            if reply.status != want:
                raise RuntimeError(f"{method} {path}: {reply.status} {answer.decode(errors='replace')[:300]}")

    async def create(self) -> None:
        name = str(uuid.uuid4())
        await self.send("POST", wire.JOBS, msgspec.json.encode(prowjob(name, self.asked.spec)), wire.JSON, 201)
        self.created[name] = time.monotonic()

    async def kubelet(self, name: str) -> None:
        for wait_s, body in ((0.0, RUNNING), (self.asked.runs_s, SUCCEEDED)):
            await asyncio.sleep(wait_s)
            await self.send("PATCH", f"{wire.PODS}/{name}/status", body, wire.MERGE, 200)
        self.pod_ended[name] = time.monotonic()

    async def watch_pods(self, opened: asyncio.Event) -> None:
        async for event in wire.watch(self.client, wire.PODS, opened):
            if event["type"] == "ADDED":
                name = event["object"]["metadata"]["name"]
                self.pod[name] = time.monotonic()
                self.group.create_task(self.kubelet(name))

    async def watch_jobs(self, opened: asyncio.Event) -> None:
        async for event in wire.watch(self.client, wire.JOBS, opened):
            job = event["object"]
            name = job["metadata"]["name"]
            if job.get("status", {}).get("state") == "success" and name not in self.done:
                self.done[name] = time.monotonic()
                self.room.release()

    async def post(self, begin: float) -> int:
        """Post at the rate, as far as there is room; return how many."""
        rate, seconds, posted = self.asked.rate, self.asked.seconds, 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds if self.asked.in_flight else None):
                for i in range(int(rate * seconds)):
                    await asyncio.sleep(max(0.0, begin + i / rate - time.monotonic()))
                    await self.room.acquire()
                    self.group.create_task(self.create())
                    posted += 1
        return posted

    async def drive(self) -> Report:
        """Post, then wait until all are done or the drain time is over."""
        begin = time.monotonic()
        count = await self.post(begin)
        posted = time.monotonic()
        patience_s = DRAIN_S + self.asked.runs_s
        while len(self.done) < count and time.monotonic() < posted + patience_s:
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
            ended_ms=_between(self.pod_ended, self.done),
            sustained_per_s=self._sustained(begin + RAMP_S, posted),
        )

    def _since_created(self, then: dict[str, float]) -> list[float]:
        return _between(self.created, then)

    def _sustained(self, begin: float, end: float) -> float:
        if end <= begin:
            return 0.0
        return round(sum(begin < at <= end for at in self.done.values()) / (end - begin), 2)


def _between(first: dict[str, float], then: dict[str, float]) -> list[float]:
    return sorted(round((then[name] - t) * 1e3, 2) for name, t in first.items() if name in then)


def prowjob(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a periodic, or what `spec` makes of it."""
    own = {**spec, **({"context": name} if "context" in spec else {})}
    kind, job = own.get("type", "periodic"), own.get("job", "bench")
    return {
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {
            "name": name,
            "labels": {"created-by-prow": "true", "prow.k8s.io/type": kind, "prow.k8s.io/job": job},
            "annotations": {"prow.k8s.io/job": job},
        },
        "spec": {
            "type": "periodic",
            "agent": "kubernetes",
            "cluster": "default",
            "job": "bench",
            "pod_spec": {"containers": [CONTAINER], "restartPolicy": "Never"},
            **own,
        },
        "status": {"startTime": BEGUN, "state": "triggered"},
    }


def pod_status(phase: str, state: dict[str, Any]) -> bytes:
    container = {"name": "test", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    return msgspec.json.encode({"status": {"phase": phase, "startTime": BEGUN, "containerStatuses": [container]}})


RUNNING = pod_status("Running", {"running": {"startedAt": BEGUN}})
_ENDED = {"exitCode": 0, "reason": "Completed", "startedAt": BEGUN, "finishedAt": BEGUN}
SUCCEEDED = pod_status("Succeeded", {"terminated": _ENDED})


async def main(url: str, token: str, asked: Asked) -> None:
    async with wire.session(url, token, CONNECTIONS + 2) as client, asyncio.TaskGroup() as group:
        load = Load(client, group, asked)
        both = asyncio.Event(), asyncio.Event()
        watches = [group.create_task(load.watch_pods(both[0])), group.create_task(load.watch_jobs(both[1]))]
        for opened in both:
            await opened.wait()
        report = await load.drive()
        for task in watches:
            task.cancel()
    print(msgspec.json.encode(report).decode())


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], msgspec.json.decode(sys.argv[3], type=Asked)))
