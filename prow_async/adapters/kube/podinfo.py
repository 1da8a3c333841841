"""Events and nodes of one API server, on any transport. Implements ports/kube.PodInfo."""

from urllib.parse import urlencode

import msgspec

from prow_async.adapters.kube import answers
from prow_async.adapters.kube.collection import EVENTS, NODES, list_items
from prow_async.ports.transport import Transport

MOST_EVENTS = 500
"""Of one pod; the server drops them after an hour by default."""


class KubePodInfo:
    def __init__(self, transport: Transport, cluster: str) -> None:
        self._transport = transport
        self._cluster = cluster

    async def events(self, namespace: str, pod: str, uid: str) -> list[msgspec.Raw]:
        """Return the Events about a pod; see the port."""
        about = {"involvedObject.kind": "Pod", "involvedObject.name": pod, "involvedObject.uid": uid}
        selector = ",".join(f"{field}={value}" for field, value in about.items() if value)
        path = EVENTS.path(namespace)
        body = await self._get(f"{path}?{urlencode({'fieldSelector': selector, 'limit': MOST_EVENTS})}")
        return list_items(body, f"GET {path} in {self._cluster or 'infra'}")

    async def node(self, name: str) -> bytes:
        """Return a node; see the port."""
        return await self._get(NODES.path(name=name))

    async def _get(self, path: str) -> bytes:
        async with self._transport.send("GET", path) as reply:
            await answers.check(reply, f"GET {path.partition('?')[0]} in cluster {self._cluster or 'infra'}")
            return await reply.read()
