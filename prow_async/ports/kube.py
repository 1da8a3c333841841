"""One collection of one Kubernetes API server: a kind, in a namespace or in all of them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from prow_async.api.prowjob import Json


class Page(msgspec.Struct, frozen=True):
    """One page of a list. `items` are JSON objects, undecoded, so that one bad object spoils nothing but itself."""

    items: list[msgspec.Raw]
    resource_version: str
    continue_: str
    """Token for the next page; empty on the last."""


class Collection(Protocol):
    """Reads and writes of one kind.

    Every method raises: Retry (unreachable, 5xx, 429 with the wait the server asked for), Missing (404),
    Exists (409 AlreadyExists), Stale (409 Conflict, failed precondition), Refused (everything else the server said
    no to); lists and watches Expired (410). None of them retries by itself.
    """

    @property
    def cluster(self) -> str:
        """The cluster alias (kubeconfig context) this collection lives in."""

    async def list_page(self, limit: int, continue_: str = "") -> Page:
        """Read one page, oldest snapshot first: the token carries the snapshot."""

    def watch(self, resource_version: str, initial: bool) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch with bookmarks; entering the context has checked the status.

        Args:
            resource_version: where to go on from. Empty with `initial`.
            initial: WatchList: the server first streams what exists, then a bookmark annotated
                `k8s.io/initial-events-end`, then news. Servers without it answer Refused.

        Yields pieces of bytes cut anywhere; lines are one JSON event each.
        """

    async def get(self, name: str) -> bytes:
        """Return the object as the server sent it."""

    async def create(self, body: bytes) -> bytes:
        """Create an object from its JSON; return it as stored."""

    async def replace(self, name: str, body: bytes) -> bytes:
        """Put an object in the place of the one that stands there, on condition of the resourceVersion in it."""

    async def merge_patch(self, name: str, patch: Json) -> bytes:
        """Apply a JSON merge patch. Put metadata.resourceVersion or metadata.uid into it to make it conditional."""

    async def merge_patch_status(self, name: str, patch: Json) -> bytes:
        """The same on the status subresource (pods)."""

    async def may(self, verb: str) -> bool:
        """Ask the server whether we may do this to objects of this collection (SelfSubjectAccessReview)."""

    async def delete(self, name: str, uid: str, grace_s: int | None = None) -> None:
        """Delete, on condition that the UID still matches (Stale otherwise). `grace_s` None is the object's own."""


ConfigMaps = Callable[[str, str], Collection | None]
"""ConfigMaps by cluster alias and namespace; `default` is the cluster of the ProwJobs. None: there is no such cluster.
"""


class ClusterFiles(Protocol):
    """Where the build clusters are written down."""

    async def watch(self, changed: Callable[[Mapping[str, Collection]], None]) -> None:
        """Tell of the pods of all build clusters, by alias, whenever one came, went or changed; until cancelled.

        A cluster that is as it was has the very collection that was told of before.
        """

    def release(self, pods: Collection) -> None:
        """Be told that nobody uses a collection any more; its connections may be closed."""


class PodLogs(Protocol):
    def follow(
        self, namespace: str, pod: str, container: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Yield the log as it grows until the container ends. Raises as Collection does when entered."""


class PodInfo(Protocol):
    """What else a cluster tells about a pod."""

    async def events(self, namespace: str, pod: str, uid: str) -> list[msgspec.Raw]:
        """Return the Events about a pod, undecoded, in no order. Raises as Collection does."""

    async def node(self, name: str) -> bytes:
        """Return a node as the server sent it. Raises as Collection does."""
