"""A collection on a server in trouble: through the direct door, on virtual time."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio

from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api.errors import Exists, ProwError, Retry
from prow_async.sandbox.faults import Fault
from prow_async.sandbox.kube import direct
from prow_async.sandbox.kube.world import World
from tests import virtual
from tests.contract import kube_targets as targets
from tests.contract.kube_targets import RandomIds, Stream


class VirtualClock:
    def now(self) -> float:
        return 1.8e9 + trio.current_time()


class Once:
    """Implements sandbox.faults.Faults: one fault, at the first request that fits."""

    def __init__(self, method: str, before: Fault | None = None, after: Fault | None = None, cut: bool = False) -> None:
        self._method = method
        self._before = before
        self._after = after
        self._cut = cut

    def before(self, method: str, path: str) -> Fault | None:
        if method != self._method:
            return None
        fault, self._before = self._before, None
        return fault

    def after(self, method: str, path: str, status: int) -> Fault | None:
        if method != self._method:
            return None
        fault, self._after = self._after, None
        return fault

    def line(self, line: bytes) -> list[bytes] | None:
        return None if self._cut else [line]


def _config_maps(faults: Once | None) -> KubeCollection:
    transport = direct.DirectTransport(World(RandomIds()), VirtualClock(), faults)
    return KubeCollection(transport, "away", collection.CONFIG_MAPS, "default", watch_timeout_s=lambda: 300)


@pytest.mark.parametrize(
    ("fault", "kind", "after_s"),
    [
        (Fault("answer", 429, retry_after_s=7), Retry, 7.0),
        (Fault("answer", 503), Retry, None),
        (Fault("answer", 500), Retry, None),
        (Fault("drop"), Retry, None),
        (Fault("answer", 409), Retry, None),
    ],
)
def test_trouble_before_a_write(fault: Fault, kind: type[ProwError], after_s: float | None) -> None:
    """Each trouble is the error that says what to do; nothing was written, and the same write works next time."""

    async def body() -> None:
        maps = _config_maps(Once("POST", before=fault))
        with pytest.raises(kind) as caught:
            await targets.create(maps, targets.config_map("a"))
        assert getattr(caught.value, "after_s", None) == after_s
        assert "a" not in await targets.names(maps)
        await targets.create(maps, targets.config_map("a"))

    virtual.run(body)


@pytest.mark.parametrize("fault", [Fault("drop"), Fault("answer", 504)])
def test_trouble_after_a_write(fault: Fault) -> None:
    """The caller cannot tell: Retry. The second try finds that the first had worked."""

    async def body() -> None:
        maps = _config_maps(Once("POST", after=fault))
        with pytest.raises(Retry):
            await targets.create(maps, targets.config_map("a"))
        with pytest.raises(Exists):
            await targets.create(maps, targets.config_map("a"))

    virtual.run(body)


def test_a_watch_cut_in_the_middle_of_a_line() -> None:
    """The piece that came is no line, and the stream ends with Retry."""

    async def body() -> None:
        maps = _config_maps(Once("", cut=True))
        await targets.create(maps, targets.config_map("a"))
        async with maps.watch("", True) as chunks:
            with pytest.raises(Retry):
                await Stream(chunks).next()

    virtual.run(body)


@pytest.mark.parametrize(
    ("call", "method"),
    [
        (lambda maps: maps.get("a"), "GET"),
        (lambda maps: maps.list_page(1), "GET"),
        (lambda maps: maps.merge_patch("a", {}), "PATCH"),
        (lambda maps: maps.merge_patch_status("a", {}), "PATCH"),
        (lambda maps: maps.delete("a", ""), "DELETE"),
    ],
)
def test_every_call_tells_what_it_tried(call: Callable[[KubeCollection], Any], method: str) -> None:
    """Method, path and cluster are in the text."""

    async def body() -> None:
        maps = _config_maps(Once(method, before=Fault("answer", 503)))
        with pytest.raises(Retry, match=f"^{method} /api/v1/namespaces/default/configmaps.* in cluster away: 503"):
            await call(maps)

    virtual.run(body)


def test_a_quiet_watch_lasts_as_long_as_asked() -> None:
    """The server ends it in good order after timeoutSeconds."""

    async def body() -> None:
        maps = _config_maps(None)
        started = anyio.current_time()
        async with maps.watch(await targets.version_of(maps), False) as chunks:
            pieces = [piece async for piece in chunks]
        assert all(b"BOOKMARK" in piece for piece in pieces)
        assert 290 <= anyio.current_time() - started <= 310

    virtual.run(body)


def test_watches_do_not_end_all_at_once() -> None:
    """The time asked for lies between five and ten minutes."""
    asked = {collection.watch_timeout_s() for _ in range(200)}
    assert len(asked) > 20
    assert 300 <= min(asked) <= max(asked) <= 600


@pytest.mark.parametrize(
    ("kind", "namespace", "name", "path"),
    [
        (collection.PROWJOBS, "ns", "a", "/apis/prow.k8s.io/v1/namespaces/ns/prowjobs/a"),
        (collection.PODS, "ns", "", "/api/v1/namespaces/ns/pods"),
        (collection.PODS, "", "", "/api/v1/pods"),
        (collection.NAMESPACES, "", "a", "/api/v1/namespaces/a"),
        (collection.PODS, "ns", "../../secrets", "/api/v1/namespaces/ns/pods/..%2F..%2Fsecrets"),
    ],
)
def test_paths(kind: collection.Kind, namespace: str, name: str, path: str) -> None:
    """A name stays one segment whatever is in it."""
    assert kind.path(namespace, name) == path
