"""One collection of one API server, on any transport. Implements ports/kube.Collection; nothing here is asyncio's."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import quote, urlencode

import msgspec

from prow_async.adapters.kube import answers
from prow_async.api import names
from prow_async.api.errors import Expired, Refused, Retry, Stale
from prow_async.api.prowjob import Json
from prow_async.core import nesting, objects
from prow_async.ports.kube import Page
from prow_async.ports.transport import Transport

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


class Kind(msgspec.Struct, frozen=True):
    """A resource as it stands in paths. The core group is empty."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of an object, or of the collection when `name` is empty."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/" + "/".join(quote(part, safe="") for part in parts)


PROWJOBS = Kind(names.GROUP, names.VERSION, names.PLURAL)
PODS = Kind("", "v1", "pods")
EVENTS = Kind("", "v1", "events")
NODES = Kind("", "v1", "nodes")
LEASES = Kind("coordination.k8s.io", "v1", "leases")
CONFIG_MAPS = Kind("", "v1", "configmaps")
SECRETS = Kind("", "v1", "secrets")
NAMESPACES = Kind("", "v1", "namespaces")
ACCESS_REVIEWS = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
CUSTOM_RESOURCES = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions")


class _ListMeta(msgspec.Struct, frozen=True):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None
    """Go writes an empty list as null where nobody made one."""


class _ReviewStatus(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _ReviewStatus


_review_decoder = msgspec.json.Decoder(_Review)
_list_decoder = msgspec.json.Decoder(_List)
_encode = msgspec.json.Encoder().encode


def list_items(body: bytes, what: str) -> list[msgspec.Raw]:
    """Return the objects of a list, undecoded. Raises Retry for what is no list."""
    try:
        return _page(body).items or []
    except msgspec.DecodeError as error:
        raise Retry(f"{what}: the answer is no list: {error}") from error


def _page(body: bytes) -> _List:
    try:
        return _list_decoder.decode(body)
    except RecursionError:
        page = _list_decoder.decode(nesting.cut(body))
        items = [objects.flattened(item) if nesting.CUT in bytes(item) else item for item in page.items or []]
        return _List(page.metadata, items)


def watch_timeout_s() -> int:
    """Return how long the server shall keep a watch open: 5 to 10 minutes, so that not all end at once."""
    return random.randint(300, 600)  # noqa: S311  # spreads load, guards nothing


class KubeCollection:
    """A kind in a namespace, or in all of them when `namespace` is empty. See ports/kube.Collection for the errors.

    Args:
        label_selector, field_selector: narrow lists and watches, not what is addressed by name.
        watch_timeout_s: asked for each watch.
    """

    def __init__(  # noqa: PLR0913 - where a collection is, and what narrows it
        self,
        transport: Transport,
        cluster: str,
        kind: Kind,
        namespace: str = "",
        label_selector: str = "",
        watch_timeout_s: Callable[[], int] = watch_timeout_s,
        field_selector: str = "",
    ) -> None:
        self._transport = transport
        self._cluster = cluster
        self._kind = kind
        self._namespace = namespace
        narrow = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._narrow = {key: selector for key, selector in narrow.items() if selector}
        self._watch_timeout_s = watch_timeout_s
        self._all = kind.path(namespace)

    @property
    def cluster(self) -> str:
        """The cluster alias this collection lives in."""
        return self._cluster

    async def list_page(self, limit: int, continue_: str = "") -> Page:
        """Read one page; see the port."""
        query = {"limit": str(limit), **self._narrow}
        if continue_:
            query["continue"] = continue_
        body = await self._ask("GET", f"{self._all}?{urlencode(query)}")
        try:
            page = _page(body)
        except msgspec.DecodeError as error:
            raise Retry(f"GET {self._all} in {self._cluster or 'infra'}: the answer is no list: {error}") from error
        return Page(page.items or [], page.metadata.resource_version, page.metadata.continue_)

    @contextlib.asynccontextmanager
    async def watch(self, resource_version: str, initial: bool) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch; see the port."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(self._watch_timeout_s()),
            **self._narrow,
        }
        if resource_version:
            query["resourceVersion"] = resource_version
        if initial:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        async with self._transport.send("GET", f"{self._all}?{urlencode(query)}") as reply:
            await answers.check(reply, self._what("watch", self._all))
            async with answers.pieces(reply) as pieces:
                yield pieces

    async def get(self, name: str) -> bytes:
        """Read one object."""
        return await self._send("GET", self._one(name))

    async def create(self, body: bytes) -> bytes:
        """Create an object from its JSON; return it as stored.

        A conflict that is not about the name (a quota that was just being counted) is Retry: there is no old view here.
        """
        try:
            return await self._send("POST", self._all, JSON, body)
        except Stale as error:
            raise Retry(error.why, status=409) from error

    async def replace(self, name: str, body: bytes) -> bytes:
        """Put an object in the place of the one that stands there; see the port."""
        return await self._send("PUT", self._one(name), JSON, body)

    async def merge_patch(self, name: str, patch: Json) -> bytes:
        """Apply a JSON merge patch; return the object as stored."""
        return await self._send("PATCH", self._one(name), MERGE_PATCH, _encode(patch))

    async def merge_patch_status(self, name: str, patch: Json) -> bytes:
        """The same on the status subresource."""
        return await self._send("PATCH", f"{self._one(name)}/status", MERGE_PATCH, _encode(patch))

    async def may(self, verb: str) -> bool:
        """Ask whether we may; see the port."""
        resource = {"group": self._kind.group, "resource": self._kind.plural, "namespace": self._namespace}
        review: Json = {
            "apiVersion": f"{ACCESS_REVIEWS.group}/{ACCESS_REVIEWS.version}",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**resource, "verb": verb}},
        }
        body = await self._send("POST", ACCESS_REVIEWS.path(), JSON, _encode(review))
        try:
            return _review_decoder.decode(body).status.allowed
        except msgspec.DecodeError as error:
            raise Retry(
                f"{ACCESS_REVIEWS.path()} in {self._cluster or 'infra'}: no review came back: {error}"
            ) from error

    async def delete(self, name: str, uid: str, grace_s: int | None = None) -> None:
        """Delete on condition of the UID. An empty UID deletes whatever has the name."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        await self._send("DELETE", self._one(name), JSON, _encode(options))

    def _one(self, name: str) -> str:
        return f"{self._all}/{quote(name, safe='')}"

    def _what(self, method: str, path: str) -> str:
        return f"{method} {path.partition('?')[0]} in cluster {self._cluster or 'infra'}"

    async def _send(self, method: str, path: str, content_type: str = "", body: bytes = b"") -> bytes:
        """Ask for one object, or write it. No list can be begun anew here: a 410 is a refusal like any other."""
        try:
            return await self._ask(method, path, content_type, body)
        except Expired as error:
            raise Refused(error.why, 410, "Expired") from error

    async def _ask(self, method: str, path: str, content_type: str = "", body: bytes = b"") -> bytes:
        headers: Mapping[str, str] = {"Content-Type": content_type} if content_type else {}
        async with self._transport.send(method, path, headers, body) as reply:
            await answers.check(reply, self._what(method, path))
            return await reply.read()
