"""Pod logs of one API server, on any transport. Implements ports/kube.PodLogs."""

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlencode

from prow_async.adapters.kube import answers
from prow_async.adapters.kube.collection import PODS
from prow_async.ports.transport import Transport


class KubePodLogs:
    def __init__(self, transport: Transport, cluster: str) -> None:
        self._transport = transport
        self._cluster = cluster

    @contextlib.asynccontextmanager
    async def follow(self, namespace: str, pod: str, container: str = "") -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the log as it grows; see the port. A pod that has not started yet is Refused (400)."""
        query = {"follow": "true", **({"container": container} if container else {})}
        path = f"{PODS.path(namespace, pod)}/log"
        async with self._transport.send("GET", f"{path}?{urlencode(query)}", {"Accept": "*/*"}) as reply:
            await answers.check(reply, f"GET {path} in cluster {self._cluster or 'infra'}")
            async with answers.pieces(reply) as pieces:
                yield pieces
