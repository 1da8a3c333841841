"""What the Kubernetes contract runs against, and the few words its tests are written in."""

import base64
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api.errors import Refused
from prow_async.core import watch
from prow_async.ports.transport import Transport

Json = dict[str, Any]
JSON = "application/json"
STEP_S = 20.0
"""No answer within this time is a failure, not slowness."""


class Raw(msgspec.Struct, frozen=True):
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    content: Any


class Target:
    """An API server with the ProwJob resource, and a namespace of the test's own in it.

    Attributes:
        name: `embedded-direct`, `embedded-http` or `real`.
        kubeconfig: None where there is no socket.
        forget: makes the server forget its history.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        namespace: str,
        forget: Callable[[], Awaitable[None]],
        kubeconfig: Path | None = None,
    ) -> None:
        self.name = name
        self.transport = transport
        self.namespace = namespace
        self.forget = forget
        self.kubeconfig = kubeconfig

    @property
    def prowjobs(self) -> KubeCollection:
        return self.collection(collection.PROWJOBS)

    @property
    def pods(self) -> KubeCollection:
        return self.collection(collection.PODS)

    @property
    def config_maps(self) -> KubeCollection:
        return self.collection(collection.CONFIG_MAPS)

    def collection(self, kind: collection.Kind, **options: Any) -> KubeCollection:
        return KubeCollection(self.transport, "target", kind, self.namespace, **options)

    async def old_token(self, token: str) -> str:
        """Return a list's continue token of a snapshot the server has forgotten; `token` is one of its own."""
        await self.forget()
        # The real server keeps snapshots beside its memory of changes: ask for one from before them.
        content = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return base64.urlsafe_b64encode(msgspec.json.encode({**content, "rv": 1})).decode().rstrip("=")

    async def raw(self, method: str, path: str, body: Any = None, content_type: str = JSON, accept: str = JSON) -> Raw:
        """Send a request as it is; `{ns}` in the path is the namespace. Bytes go as they are, the rest as JSON."""
        headers = {"Accept": accept, **({"Content-Type": content_type} if body is not None else {})}
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        with anyio.fail_after(STEP_S):
            async with self.transport.send(method, path.replace("{ns}", self.namespace), headers, data) as reply:
                read = await reply.read()
                is_json = reply.headers.get("content-type", "").startswith(JSON)
                return Raw(reply.status, reply.headers, msgspec.json.decode(read) if is_json else read.decode())


PROWJOBS = "/apis/prow.k8s.io/v1/namespaces/{ns}/prowjobs"
PODS = "/api/v1/namespaces/{ns}/pods"
CONFIG_MAPS = "/api/v1/namespaces/{ns}/configmaps"


def prowjob(name: str, labels: Mapping[str, str] = {}, /, **spec: Any) -> Json:
    return {
        "apiVersion": "prow.k8s.io/v1",
        "kind": "ProwJob",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"type": "periodic", "job": "a-job", "agent": "kubernetes", **spec},
        "status": {"startTime": "2026-01-02T03:04:05Z", "state": "triggered"},
    }


def pod(name: str, labels: Mapping[str, str] = {}, /, **spec: Any) -> Json:
    container = {"name": "test", "image": "example.invalid/image:1", "command": ["true"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {"restartPolicy": "Never", "containers": [container], **spec},
    }


def config_map(name: str, labels: Mapping[str, str] = {}, /, **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": dict(labels)},
        "data": data,
    }


async def create(into: KubeCollection, content: Json) -> Json:
    return decode(await into.create(msgspec.json.encode(content)))


async def get(source: KubeCollection, name: str) -> Json:
    return decode(await source.get(name))


def decode(raw: bytes | msgspec.Raw) -> Json:
    return msgspec.json.decode(raw, type=Json)


async def names(source: KubeCollection, limit: int = 500) -> list[str]:
    """Return the names of everything in a collection, page by page."""
    found: list[str] = []
    token = ""
    while True:
        page = await source.list_page(limit, token)
        found += [decode(item)["metadata"]["name"] for item in page.items]
        token = page.continue_
        if not token:
            return found


async def version_of(source: KubeCollection) -> str:
    """Return the resource version a watch of news starts from."""
    return (await source.list_page(500)).resource_version


class Stream:
    """Reads a watch event by event."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._lines = watch.Lines()
        self._frames: list[watch.Frame] = []

    async def next(self, patience_s: float = STEP_S) -> tuple[str, Json]:
        """Return the next event's type and object. StopAsyncIteration when the server has ended the watch."""
        with anyio.fail_after(patience_s):
            while not self._frames:
                self._frames += self._lines.feed(await anext(self._chunks))
        frame = self._frames.pop(0)
        return frame.type, decode(frame.object)

    async def news(self, count: int) -> list[tuple[str, str]]:
        """Return the types and names of the next events, bookmarks passed over."""
        found: list[tuple[str, str]] = []
        while len(found) < count:
            kind, content = await self.next()
            if kind != "BOOKMARK":
                found.append((kind, content["metadata"]["name"]))
        return found


class RandomIds:
    """Implements ports.clock.Ids."""

    def uuid4(self) -> str:
        return str(uuid.uuid4())

    def build_id(self) -> str:
        return str(uuid.uuid4().int)


LOG = b"one line\nand another\n"


class FinishedLogs:
    """Implements sandbox.kube.logs.LogSource: every container has ended, after saying LOG."""

    async def follow(self, namespace: str, pod: str, container: str, follow: bool) -> AsyncIterator[bytes]:
        if pod == "unstarted":
            raise Refused(f"container {container} in pod {pod} is waiting to start", 400, "BadRequest")
        yield b""
        yield LOG[:5]
        await anyio.lowlevel.checkpoint()
        yield LOG[5:]
