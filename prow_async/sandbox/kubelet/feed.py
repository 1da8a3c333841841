"""News of pods: list all pages, watch from there, list again when the server has forgotten where we were."""

from collections.abc import Callable

import anyio
import anyio.lowlevel
import msgspec
import structlog

from prow_async.api.errors import Expired, ProwError, Retry
from prow_async.core import watch
from prow_async.ports.kube import Collection
from prow_async.runtime.backoff import Backoff

log = structlog.get_logger()
PAGE = 500
SILENCE_S = 75.0
"""API servers send a bookmark about once a minute; a watch silent for longer is opened anew."""


class Feed:
    """Calls back, synchronously, with everything that is to be known about the pods of one collection.

    Args:
        seen: a pod as it is now; doubled and late news happen.
        gone: a pod in its last state, removed.
        listed: all pods have been seen; takes their JSON, whatever is not among them is gone.
    """

    def __init__(
        self,
        source: Collection,
        seen: Callable[[msgspec.Raw], object],
        gone: Callable[[msgspec.Raw], None],
        listed: Callable[[list[msgspec.Raw]], None],
    ) -> None:
        self._source = source
        self._seen = seen
        self._gone = gone
        self._listed = listed
        self._backoff = Backoff(0.2, 30.0)

    async def run(self) -> None:
        """Feed until cancelled; failures are waited out here."""
        version, failures = "", 0
        while True:
            started, asked_s = anyio.current_time(), 0.0
            try:
                if not version:
                    version = await self._list()
                version = await self._follow(version)
                why = "" if anyio.current_time() - started > 1.0 else "the server ended the watch at once"
            except Expired:
                version, why = "", "the server has forgotten where the watch stood"
            except (ProwError, watch.Broken, TimeoutError) as error:
                version, why = "", str(error) or f"the watch was silent for {SILENCE_S:.0f} s"
                asked_s = (error.after_s or 0.0) if isinstance(error, Retry) else 0.0
            failures = failures + 1 if why and anyio.current_time() - started < 2 * SILENCE_S else 0
            if why:
                wait_s = max(self._backoff.wait_s(max(failures, 1)), asked_s)
                log.warning("watch of pods interrupted", why=why, next_try_s=round(wait_s, 2))
                await anyio.sleep(wait_s)

    async def _list(self) -> str:
        """Read all pages; return the resource version to watch from."""
        items: list[msgspec.Raw] = []
        token = ""
        while True:
            page = await self._source.list_page(PAGE, token)
            items += page.items
            token = page.continue_
            if not token:
                break
        self._listed(items)
        return page.resource_version

    async def _follow(self, version: str) -> str:
        """Watch until the server ends it in good order; return the version to go on from, empty to list again."""
        lines = watch.Lines()
        async with self._source.watch(version, initial=False) as chunks:
            pieces = chunks.__aiter__()
            while True:
                try:
                    with anyio.fail_after(SILENCE_S):
                        chunk = await pieces.__anext__()
                except StopAsyncIteration:
                    return version
                for frame in lines.feed(chunk):
                    version = self._take(frame, version)
                    if not version:
                        return ""

    def _take(self, frame: watch.Frame, version: str) -> str:
        """Pass one piece of news on; return the resource version it leaves us at, empty when all must be listed."""
        if frame.type == "ERROR":
            error = watch.stream_error(frame)
            if error.expired:
                return ""
            raise Retry(error.message or error.reason)
        if frame.type == "BOOKMARK":
            return watch.bookmark(frame).resource_version
        if frame.type == "DELETED":
            self._gone(frame.object)
        else:
            self._seen(frame.object)
        return _version(frame.object) or version


class _Meta(msgspec.Struct, frozen=True):
    resource_version: str = msgspec.field(default="", name="resourceVersion")


class _Object(msgspec.Struct, frozen=True):
    metadata: _Meta = _Meta()


def _version(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=_Object).metadata.resource_version
    except msgspec.DecodeError:
        return ""
