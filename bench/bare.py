"""The least any controller can do: no configuration, no cache, no safety. The yardstick of every job figure.

It watches ProwJobs and Pods; for a new ProwJob it posts the pod and merge-patches the state to pending; for a
succeeded pod it merge-patches success and the completion time.

Run as its own process: `python -m bench.bare URL TOKEN`; it prints `ready` once its watches are open.
"""

import asyncio
import sys
from typing import Any

import aiohttp
import msgspec
import uvloop

from bench import wire


async def start(client: aiohttp.ClientSession, job: dict[str, Any]) -> None:
    name = job["metadata"]["name"]
    labels = {"created-by-prow": "true", "prow.k8s.io/id": name}
    pod = {"metadata": {"name": name, "labels": labels}, "spec": job["spec"]["pod_spec"]}
    async with client.post(wire.PODS, data=msgspec.json.encode(pod), headers=wire.JSON) as reply:
        await reply.read()
    status = {"status": {"state": "pending", "pod_name": name, "pendingTime": "2026-01-01T00:00:00Z"}}
    async with client.patch(f"{wire.JOBS}/{name}", data=msgspec.json.encode(status), headers=wire.MERGE) as reply:
        await reply.read()


async def finish(client: aiohttp.ClientSession, name: str) -> None:
    status = {"status": {"state": "success", "completionTime": "2026-01-01T00:00:00Z"}}
    async with client.patch(f"{wire.JOBS}/{name}", data=msgspec.json.encode(status), headers=wire.MERGE) as reply:
        await reply.read()


async def jobs(client: aiohttp.ClientSession, group: asyncio.TaskGroup, opened: asyncio.Event) -> None:
    async for event in wire.watch(client, wire.JOBS, opened):
        if event["type"] == "ADDED":
            group.create_task(start(client, event["object"]))


async def pods(client: aiohttp.ClientSession, group: asyncio.TaskGroup, opened: asyncio.Event) -> None:
    done: set[str] = set()
    async for event in wire.watch(client, wire.PODS, opened):
        pod = event["object"]
        name = pod["metadata"]["name"]
        if pod.get("status", {}).get("phase") == "Succeeded" and name not in done:
            done.add(name)
            group.create_task(finish(client, name))


async def main(url: str, token: str) -> None:
    async with wire.session(url, token, 66) as client, asyncio.TaskGroup() as group:
        both = asyncio.Event(), asyncio.Event()
        group.create_task(jobs(client, group, both[0]))
        group.create_task(pods(client, group, both[1]))
        for opened in both:
            await opened.wait()
        print("ready", flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
