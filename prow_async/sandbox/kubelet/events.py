"""Tells people about a pod, as Kubernetes events: best effort, each line once, nothing waits for it for long."""

from collections.abc import Callable

import anyio
import msgspec
import structlog

from prow_async.api.errors import ProwError
from prow_async.core import instants
from prow_async.ports.clock import Clock
from prow_async.ports.kube import Collection
from prow_async.sandbox.kubelet import manifest

log = structlog.get_logger()
LAST_S = 1.0
ROOM = 100
"""Further events of one pod are dropped."""


class Events:
    """The events of one pod."""

    def __init__(
        self, access: Callable[[str], Collection] | None, head: manifest.Head, node_name: str, clock: Clock
    ) -> None:
        self._to = access(head.namespace) if access is not None else None
        self._head = head
        self._node_name = node_name
        self._clock = clock
        self._told: set[tuple[str, str]] = set()
        self._waiting: list[bytes] = []
        self._news = anyio.Event()
        self._idle = anyio.Event()
        self._idle.set()

    def tell(self, kind: str, reason: str, message: str) -> None:
        """Make an event soon; `kind` is `Normal` or `Warning`."""
        if (reason, message) in self._told or len(self._told) >= ROOM or self._to is None:
            return
        self._told.add((reason, message))
        self._idle = anyio.Event()
        self._waiting.append(self._event(kind, reason, message))
        self._news.set()

    def _event(self, kind: str, reason: str, message: str) -> bytes:
        at = instants.rfc3339(self._clock.now())
        head = self._head
        return msgspec.json.encode(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"namespace": head.namespace, "generateName": f"{head.name[:200]}."},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": head.name,
                    "namespace": head.namespace,
                    "uid": head.uid,
                },
                "type": kind,
                "reason": reason,
                "message": message[:1024],
                "count": 1,
                "firstTimestamp": at,
                "lastTimestamp": at,
                "source": {"component": "kubelet", "host": self._node_name},
            }
        )

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            while self._waiting and self._to is not None:
                try:
                    await self._to.create(self._waiting.pop(0))
                except ProwError as error:
                    log.info("event not written", pod=f"{self._head.namespace}/{self._head.name}", why=str(error))
            self._idle.set()

    async def flush(self) -> None:
        """Wait until everything is told, not for long."""
        with anyio.move_on_after(LAST_S):
            await self._idle.wait()
