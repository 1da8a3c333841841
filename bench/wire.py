"""The few lines of HTTP that the load, the bare loops and the orchestration share: a session, a watch, JSON lines."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

NAMESPACE = "bench"
JOBS = f"/apis/prow.k8s.io/v1/namespaces/{NAMESPACE}/prowjobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}


@asynccontextmanager
async def session(url: str, token: str, connections: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session to a server with a self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
    async with aiohttp.ClientSession(url, connector=connector, headers=headers, timeout=timeout) as made:
        yield made


async def watch(client: aiohttp.ClientSession, path: str, opened: asyncio.Event) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of everything new in a collection, until cancelled. Sets `opened` once nothing can be missed."""
    async with client.get(path, params={"limit": "1"}) as reply:
        reply.raise_for_status()
        version = msgspec.json.decode(await reply.read())["metadata"]["resourceVersion"]
    while True:
        params = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        async with client.get(path, params=params) as reply:
            reply.raise_for_status()
            opened.set()
            rest = b""
            async for chunk in reply.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = msgspec.json.decode(line)
                    version = event["object"]["metadata"].get("resourceVersion", version)
                    if event["type"] != "BOOKMARK":
                        yield event
