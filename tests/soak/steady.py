"""A load that outlives its servers: posts ProwJobs at a steady rate, plays kubelet, and counts what became of each.

Run as its own process: `python -m tests.soak.steady URL TOKEN RATE SECONDS`; prints one JSON object (`Report`). Unlike
the bench's load it goes on when requests fail, and its timestamps are true, so that old things are swept away.
"""

import asyncio
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
import uvloop

from bench import load, wire

Json = dict[str, Any]
CONNECTIONS = 32
RUNS_S = 0.2
"""How long each pod runs."""
AGAIN_S = 0.25
DRAIN_S = 180.0
ANSWER_S = 30.0
FINAL = frozenset({"success", "failure", "error", "aborted"})


class Report(msgspec.Struct):
    """What came of it."""

    created: int
    ends: dict[str, int]
    """How many ProwJobs ended in each state."""
    lost: list[str]
    """ProwJobs that never ended."""
    ran_twice: list[str]
    """ProwJobs for which more than one pod was run."""
    changed: list[str]
    """ProwJobs that left the state in which they had ended."""
    repeated: int
    """Requests and watches that failed, and were tried again."""
    refused: dict[str, int]
    """Those of them that were answered, by status."""
    posting_s: float
    drain_s: float
    """From the last post until all had ended, or until the load gave up."""


class Load:
    """Everything by ProwJob name, which is the name of its pod too."""

    def __init__(self, client: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        self.client = client
        self.group = group
        self.created: set[str] = set()
        self.pods: defaultdict[str, set[str]] = defaultdict(set)
        self.ended: dict[str, str] = {}
        self.changed: set[str] = set()
        self.repeated = 0
        self.refused: Counter[str] = Counter()

    async def ask(self, method: str, path: str, body: bytes, headers: dict[str, str], fine: set[int]) -> int:
        """Send a request until it is answered with one of the statuses that are fine; return which."""
        limit = aiohttp.ClientTimeout(total=ANSWER_S)
        while True:
            try:
                async with self.client.request(method, path, data=body, headers=headers, timeout=limit) as reply:
                    await reply.read()
                    if reply.status in fine:
                        return reply.status
                    self.refused[str(reply.status)] += 1
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass  # counted below; a killed server is the purpose of this
            self.repeated += 1
            await asyncio.sleep(AGAIN_S)

    async def create(self) -> None:
        name = str(uuid.uuid4())
        body = load.prowjob(name, {})
        body["status"]["startTime"] = now()
        await self.ask("POST", wire.JOBS, msgspec.json.encode(body), wire.JSON, {201, 409})
        self.created.add(name)

    def pod(self, pod: Json) -> None:
        meta = pod["metadata"]
        uids = self.pods[meta["name"]]
        if meta["uid"] not in uids:
            uids.add(meta["uid"])
            self.group.create_task(self.kubelet(meta["name"], meta["uid"]))

    async def kubelet(self, name: str, uid: str) -> None:
        began = now()
        running: Json = {"running": {"startedAt": began}}
        if await self._set(name, uid, "Running", began, running):
            await asyncio.sleep(RUNS_S)
            ended = {"exitCode": 0, "reason": "Completed", "startedAt": began, "finishedAt": now()}
            await self._set(name, uid, "Succeeded", began, {"terminated": ended})

    async def _set(self, name: str, uid: str, phase: str, began: str, state: Json) -> bool:
        container = {"name": "test", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": phase, "startTime": began, "containerStatuses": [container]}
        body = msgspec.json.encode({"metadata": {"uid": uid}, "status": status})
        return await self.ask("PATCH", f"{wire.PODS}/{name}/status", body, wire.MERGE, {200, 404, 409}) == 200

    def job(self, job: Json) -> None:
        name, state = job["metadata"]["name"], job.get("status", {}).get("state", "")
        before = self.ended.get(name)
        if before is not None and state != before:
            self.changed.add(name)
        elif state in FINAL:
            self.ended[name] = state

    async def follow(self, path: str, told: Callable[[Json], None], opened: asyncio.Event) -> None:
        """Tell of everything in a collection, as it is and as it becomes, until cancelled."""
        while True:
            try:
                await self._follow(path, told, opened)
            except (aiohttp.ClientError, TimeoutError, OSError, Gone):
                self.repeated += 1
            await asyncio.sleep(AGAIN_S)

    async def _follow(self, path: str, told: Callable[[Json], None], opened: asyncio.Event) -> None:
        async with self.client.get(path, timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as reply:
            reply.raise_for_status()
            listed = msgspec.json.decode(await reply.read())
        for item in listed["items"]:
            told(item)
        params = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"], "timeoutSeconds": "300"}
        async with self.client.get(path, params=params) as reply:
            reply.raise_for_status()
            opened.set()
            rest = b""
            async for chunk in reply.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        raise Gone
                    if event["type"] != "DELETED":
                        told(event["object"])

    async def drive(self, rate: float, seconds: float) -> Report:
        """Post at the rate, then wait until all have ended or the drain time is over."""
        count = int(rate * seconds)
        begin = time.monotonic()
        for i in range(count):
            await asyncio.sleep(max(0.0, begin + i / rate - time.monotonic()))
            self.group.create_task(self.create())
        posted = time.monotonic()
        while time.monotonic() < posted + DRAIN_S:
            if len(self.created) == count and self.created <= self.ended.keys():
                break
            await asyncio.sleep(0.1)
        return Report(
            created=len(self.created),
            ends=dict(Counter(self.ended.values())),
            lost=sorted(self.created - self.ended.keys()),
            ran_twice=sorted(name for name, uids in self.pods.items() if len(uids) > 1),
            changed=sorted(self.changed),
            repeated=self.repeated,
            refused=dict(self.refused),
            posting_s=posted - begin,
            drain_s=time.monotonic() - posted,
        )


class Gone(Exception):
    """The watch has ended in an error: list anew."""


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


async def main(url: str, token: str, rate: float, seconds: float) -> None:
    async with wire.session(url, token, CONNECTIONS + 2) as client, asyncio.TaskGroup() as group:
        driven = Load(client, group)
        both = asyncio.Event(), asyncio.Event()
        group.create_task(driven.follow(wire.PODS, driven.pod, both[0]))
        group.create_task(driven.follow(wire.JOBS, driven.job, both[1]))
        for opened in both:
            await opened.wait()
        print("ready", flush=True)
        report = await driven.drive(rate, seconds)
        print(msgspec.json.encode(report).decode(), flush=True)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # the watches, and whoever still plays a pod nobody asks for any more


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])))
