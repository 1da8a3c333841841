"""Engines with one mistake each, put between the engine and its parts. The checks must notice every one of them."""

import itertools
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import msgspec

from prow_async.api import names
from prow_async.api.errors import Exists, Retry
from prow_async.api.github import Status
from prow_async.apps.engine import Engine
from prow_async.ports.blobs import PLAIN, Attributes, Storage
from prow_async.ports.github import GitHub
from prow_async.ports.inbox import Accepted, Inbox, JournalEntry
from prow_async.ports.kube import Collection
from prow_async.ports.transport import Reply, Transport
from tests.lives import setup
from tests.lives.ledger import Json
from tests.lives.process import Fittings


class _Over:
    """Stands before a part and passes on whatever it does not do itself."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _ForgetsDecisions(_Over):
    """Continues nothing: decides again after every interruption."""

    async def journal(self, seq: int) -> list[JournalEntry]:
        return []


class _TakesTwice(_Over):
    """Does not know a GUID again."""

    def __init__(self, inner: Inbox) -> None:
        super().__init__(inner)
        self._numbers = itertools.count()

    async def accept(self, guid: str, event: str, headers: dict[str, str], body: bytes) -> Accepted:
        accepted: Accepted = await self.inner.accept(f"{guid}/{next(self._numbers)}", event, headers, body)
        return accepted


class _Insists(_Over):
    """Makes another pod where the name is taken."""

    async def create(self, body: bytes) -> bytes:
        try:
            return cast(bytes, await self.inner.create(body))
        except Exists:
            pod: Json = msgspec.json.decode(body)
            pod["metadata"]["name"] += "-again"
            return cast(bytes, await self.inner.create(msgspec.json.encode(pod)))


class _AdoptsAnything(_Over):
    """Takes whatever pod stands there for the one it wanted: does not see the marks that tell them apart."""

    async def get(self, name: str) -> bytes:
        pod: Json = msgspec.json.decode(await self.inner.get(name))
        pod["metadata"].pop("deletionTimestamp", None)
        pod["metadata"].get("annotations", {}).pop(names.ATTEMPT, None)
        pod["metadata"].get("annotations", {}).pop(names.OWNER_UID, None)
        return msgspec.json.encode(pod)


class _PatchesBlindly(_Over):
    """Patches whatever state the object is in by now."""

    async def merge_patch(self, name: str, patch: Json) -> bytes:
        meta = {key: value for key, value in patch.get("metadata", {}).items() if key != "resourceVersion"}
        return cast(bytes, await self.inner.merge_patch(name, {**patch, "metadata": meta}))


class _SaysNothingOfSuccess(_Over):
    """Believes to have told GitHub."""

    async def post_status(self, org: str, repo: str, sha: str, status: Status) -> None:
        if status.state != "success":
            await self.inner.post_status(org, repo, sha, status)


class _RepeatsItself(_Over):
    """Sends a comment again at once when no answer comes."""

    async def create_comment(self, org: str, repo: str, number: int, body: str) -> None:
        try:
            await self.inner.create_comment(org, repo, number, body)
        except Retry:
            await self.inner.create_comment(org, repo, number, body)


class _Deaf(_Over):
    """Misses a watch line now and then, and does not know it."""

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[Reply]:
        opened: AbstractAsyncContextManager[Reply] = self.inner.send(method, path, headers, body)
        async with opened as reply:
            yield cast(Reply, _Gaps(reply)) if "watch=true" in path else reply


class _Gaps(_Over):
    async def chunks(self) -> AsyncIterator[bytes]:
        async for piece in self.inner.chunks():
            if b'"MODIFIED"' not in piece or random.random() > 0.1:
                yield piece


class _StoresNoEnd(_Over):
    """Believes to have stored how a run ended."""

    async def put_new(self, bucket: str, path: str, content: bytes, attributes: Attributes = PLAIN) -> bool:
        if path.endswith("/finished.json"):
            return True
        return cast(bool, await self.inner.put_new(bucket, path, content, attributes))


class _DeletesWhatRuns(_Over):
    """Takes every pod that it sees running for the second time for one that hangs."""

    def __init__(self, inner: Collection) -> None:
        super().__init__(inner)
        self._seen = 0

    async def create(self, body: bytes) -> bytes:
        made: bytes = await self.inner.create(body)
        self._seen += 1
        if self._seen % 5 == 0:
            meta = msgspec.json.decode(made)["metadata"]
            await self.inner.delete(meta["name"], uid=meta["uid"])
        return made


def _opens_every_fence(engine: Engine) -> None:
    for leader in engine.leaders.values():
        leader.fence._held = lambda: True


def _counts_slots(engine: Engine) -> None:
    """Know only of slots that this process has given, as a counter does after a restart."""
    if engine.job_actors is None:
        return
    gate = engine.job_actors.gate
    see = gate._see

    def counted(name: str) -> None:
        see(name)
        if name not in gate._given:
            job = gate._job(name)
            if job is not None and not job.complete and job.state == "pending":
                gate._slots.drop(name)

    gate._see = counted  # type: ignore[method-assign]  # this is the mistake


def _inbox(kind: type[_Over]) -> Fittings:
    return Fittings(inbox=lambda inner: cast(Inbox, kind(inner)))


def _pods(kind: type[_Over]) -> Fittings:
    return Fittings(pods=lambda inner: cast(Collection, kind(inner)))


def _github(kind: type[_Over]) -> Fittings:
    return Fittings(github=lambda inner: cast(GitHub, kind(inner)))


MISTAKES: dict[str, Fittings] = {
    "forgets what it decided": _inbox(_ForgetsDecisions),
    "takes a delivery twice": _inbox(_TakesTwice),
    "makes a second pod": _pods(_Insists),
    "adopts any pod": _pods(_AdoptsAnything),
    "patches blindly": Fittings(jobs=lambda inner: cast(Collection, _PatchesBlindly(inner))),
    "says nothing of success": _github(_SaysNothingOfSuccess),
    "repeats its comments": _github(_RepeatsItself),
    "misses watch lines": Fittings(wire=lambda inner: cast(Transport, _Deaf(inner))),
    "lets writes through without its lease": Fittings(engine=_opens_every_fence),
    "needs no lease": Fittings(leases=False),
    "counts slots by itself": Fittings(engine=_counts_slots),
    "stores no end": Fittings(storage=lambda inner: cast(Storage, _StoresNoEnd(inner))),
    "deletes what runs": _pods(_DeletesWhatRuns),
    "names jobs anew at each start": Fittings(installation=lambda starts: setup.INSTALLATION + "-again" * starts),
}
"""Each mistake, and how it is made."""
