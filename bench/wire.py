"""The few lines of HTTP that the load and the bare loop share: a session, a watch, JSON lines."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

JOBS = "/apis/prow.k8s.io/v1/namespaces/bench/prowjobs"
PODS = "/api/v1/namespaces/bench/pods"
MERGE = {"Content-Type": "application/merge-patch+json"}


@asynccontextmanager
async def session(url: str, token: str, connections: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session to a server with a self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connector = aiohttp.TCPConnector(limit=connections, ssl=context)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as made:
        yield made


async def watch(client: aiohttp.ClientSession, path: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of everything new in a collection, until cancelled."""
    async with client.get(path, params={"limit": "1"}) as reply:
        version = (await reply.json())["metadata"]["resourceVersion"]
    while True:
        params = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        timeout = aiohttp.ClientTimeout(total=None)
        async with client.get(path, params=params, timeout=timeout) as reply:
            rest = b""
            async for chunk in reply.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = msgspec.json.decode(line)
                    version = event["object"]["metadata"].get("resourceVersion", version)
                    if event["type"] != "BOOKMARK":
                        yield event
