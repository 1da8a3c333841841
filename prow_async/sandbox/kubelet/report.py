"""Tells the API server what became of one pod: the newest status, until it is taken or the pod is gone."""

import anyio
import msgspec
import structlog

from prow_async.api.errors import Exists, Expired, Missing, ProwError, Refused, Retry, Stale
from prow_async.api.prowjob import Json
from prow_async.core import objects
from prow_async.ports.kube import Collection
from prow_async.runtime.backoff import Backoff
from prow_async.sandbox.kubelet import manifest

log = structlog.get_logger()
TEMPORARY = (Retry, Stale, Exists, Expired, Refused)


class Reporter:
    """Writes about one pod. All writes carry its UID, so that they never reach another pod of the same name."""

    def __init__(self, pods: Collection, head: manifest.Head, backoff: Backoff) -> None:
        self._pods = pods
        self._name = head.name
        self._uid = head.uid
        self._version = head.metadata.resource_version or ""
        self._backoff = backoff
        self._wanted: Json = {}
        self._sent: Json = {}
        self._news = anyio.Event()
        self._done = anyio.Event()
        self.gone = False
        """True as soon as the pod is known to be there no more: nothing is written then."""
        self._log = log.bind(pod=f"{head.namespace}/{head.name}")

    def lose(self) -> None:
        """The pod is gone."""
        self.gone = True
        self._news.set()
        self._done.set()

    def tell(self, status: Json) -> None:
        """Let this be what the server shall know, soon."""
        if status != self._wanted:
            self._wanted = status
            self._done = anyio.Event()
            self._news.set()

    async def flush(self) -> None:
        """Wait until the server knows what it was last told, or the pod is gone."""
        while self._behind():
            await self._done.wait()

    def _behind(self) -> bool:
        return not self.gone and self._sent != self._wanted

    async def take(self, status: Json, mark: str) -> bool:
        """Write the first status; True when the pod is now this kubelet's to run.

        The write is conditional on the version last seen, so that of several kubelets one takes a pod. False: another
        one has it, or it is gone or being deleted.
        """
        failures = 0
        while not self.gone:
            try:
                await self._patch(status, self._version)
                self._wanted = self._sent = status
                return True
            except Missing as error:
                self._log.info("pod not taken: it is gone", why=error.why)
                self.lose()
            except TEMPORARY as error:
                failures += 1
                if isinstance(error, Stale):
                    taken = await self._look_again(mark)
                    if taken is not None:
                        self._wanted = self._sent = status
                        return taken
                await self._pause(error, failures)
        return False

    async def _look_again(self, mark: str) -> bool | None:
        """After a conflict: True when it is ours after all, False when it cannot be had, None to try again."""
        head = await self._read()
        if head is None:
            return None
        if head.uid != self._uid:
            return False
        if head.deleting or head.started:
            return head.taken_by == mark
        self._version = head.metadata.resource_version or ""
        return None

    async def _read(self) -> manifest.Head | None:
        """Read the pod's head; None when it could not be read now. Learns whether the pod is gone."""
        try:
            head = manifest.read_head(await self._pods.get(self._name))
        except Missing:
            self.lose()
            return None
        except (ProwError, objects.Unreadable) as error:
            self._log.warning("pod not read", why=str(error))
            return None
        if head.uid != self._uid:
            self.lose()
        return head

    async def run(self) -> None:
        """Write whatever is told, newest only, until cancelled or the pod is gone."""
        while not self.gone:
            await self._news.wait()
            self._news = anyio.Event()
            failures = 0
            while self._behind():
                wanted = self._wanted
                error = await self.once(wanted)
                if error is not None:
                    failures += 1
                    await self._pause(error, failures)
            self._done.set()

    async def once(self, wanted: Json) -> ProwError | None:
        """Try one write; return what stood in its way."""
        try:
            await self._patch(wanted, "")
        except Missing:
            self.lose()
        except Stale as error:
            await self._read()
            return error
        except TEMPORARY as error:
            return error
        else:
            self._sent = wanted
        return None

    async def release(self) -> None:
        """Let the server remove a pod whose containers have ended (delete with grace 0), however long that takes."""
        failures = 0
        while not self.gone:
            try:
                await self._pods.delete(self._name, self._uid, 0)
                return
            except (Missing, Stale):
                return
            except TEMPORARY as error:
                failures += 1
                await self._pause(error, failures)

    async def _patch(self, status: Json, version: str) -> None:
        metadata = {"uid": self._uid, "resourceVersion": version} if version else {"uid": self._uid}
        raw = await self._pods.merge_patch_status(self._name, {"metadata": metadata, "status": status})
        self._version = _version_of(raw) or self._version

    async def _pause(self, error: ProwError, failures: int) -> None:
        """Wait before the next try; a pod that goes away ends the wait."""
        wait_s = self._backoff.wait_s(failures)
        if isinstance(error, Retry) and error.after_s is not None:
            wait_s = max(wait_s, error.after_s)
        level = self._log.error if isinstance(error, Refused) else self._log.warning
        level("status not written", why=str(error), next_try_s=round(wait_s, 2))
        with anyio.move_on_after(wait_s):
            while not self.gone:
                await self._news.wait()
                if not self.gone:
                    self._news = anyio.Event()


class _Versioned(msgspec.Struct, frozen=True):
    metadata: manifest.HeadMeta


def _version_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Versioned).metadata.resource_version or ""
    except msgspec.DecodeError:
        return ""
