"""Where reports go beside GitHub, on virtual time and with trouble by script: folders for buckets, and mailboxes."""

from pathlib import Path

import anyio
import msgspec

from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.actors.reporters.github import GitHubReporter
from prow_async.actors.reporters.pods import PodReporter
from prow_async.actors.reporters.pubsub import PubSubReporter
from prow_async.actors.reporters.reads import Make, Reports
from prow_async.actors.reporters.slack import SlackReporter
from prow_async.adapters.kube.podinfo import KubePodInfo
from prow_async.adapters.storage.folder import FolderBlobs
from prow_async.api.errors import Missing, ProwError, Refused, Retry
from prow_async.ports.blobs import PLAIN, Attributes
from prow_async.sandbox.faults import Fault
from tests.actors.script import Script
from tests.actors.worlds import Town

ALL: tuple[Make, ...] = (GitHubReporter, BlobReporter, PodReporter, SlackReporter, PubSubReporter)


class _Door:
    """Plays a script's faults around one request."""

    def __init__(self, script: Script, method: str, path: str) -> None:
        self._script, self._method, self._path = script, method, path

    async def __aenter__(self) -> None:
        await _play(self._script.before(self._method, self._path))

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            await _play(self._script.after(self._method, self._path, 200))


async def _play(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.kind == "delay":
        await anyio.sleep(fault.delay_s)
        return
    raise _error(fault.status)


def _error(status: int) -> ProwError:
    if status == 404:
        return Missing("there is no such bucket, channel or topic")
    if status == 0 or status >= 500 or status == 429:
        return Retry(f"trouble by script: {status or 'the connection broke'}")
    return Refused(f"refused by script: {status}", status)


class FolderStorage:
    """Implements ports/blobs.Storage: each bucket is a folder, `file://` or not."""

    def __init__(self, folder: Path, script: Script) -> None:
        self._folder = folder
        self._script = script

    def bucket(self, name: str) -> FolderBlobs:
        return FolderBlobs(str(self._folder / name.replace("://", "/")))

    async def get(self, bucket: str, path: str, most_bytes: int) -> bytes:
        async with _Door(self._script, "GET", f"{bucket}/{path}"):
            return self.bucket(bucket).get(path, 0, most_bytes)

    async def put(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> None:
        async with _Door(self._script, "PUT", f"{bucket}/{path}"):
            self.bucket(bucket).put(path, content, attributes)

    async def put_new(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        async with _Door(self._script, "PUT", f"{bucket}/{path}"):
            return self.bucket(bucket).put_new(path, content, attributes)


class Mailbox:
    """Implements ports/messages.Slack and .Topics: what has arrived, in order."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.posts: list[tuple[str, str, str]] = []
        self.published: list[tuple[str, str, dict[str, object]]] = []

    async def post(self, host: str, channel: str, text: str) -> None:
        async with _Door(self._script, "POST", f"slack/{channel}"):
            self.posts.append((host, channel, text))

    async def publish(self, project: str, topic: str, data: bytes) -> None:
        async with _Door(self._script, "POST", f"pubsub/{project}/{topic}"):
            self.published.append((project, topic, msgspec.json.decode(data)))


class Outlets:
    """All of them, each with its own script of trouble."""

    def __init__(self, town: Town, folder: Path) -> None:
        self._town = town
        self.storage_faults, self.message_faults = Script(), Script()
        self.storage = FolderStorage(folder, self.storage_faults)
        self.mailbox = Mailbox(self.message_faults)

    def reports(self, *reporters: Make, pod_fraction: float = 1.0) -> Reports:
        infos = {alias: KubePodInfo(cluster.door, alias) for alias, cluster in self._town.clusters.items()}
        return Reports(
            reporters=reporters or ALL,
            pod_fraction=pod_fraction,
            pod_infos=infos,
            storage=self.storage,
            slack=self.mailbox,
            topics=self.mailbox,
        )

    def files(self, bucket: str = "logs") -> dict[str, bytes]:
        """Return all objects of a bucket by path."""
        blobs = self.storage.bucket(bucket)
        return {blob.path: blobs.get(blob.path) for blob in blobs.list("")}
