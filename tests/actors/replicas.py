"""Two engines on one town: each with doors of its own, a clock that can stand still, and a wire that can hold things.

A replica that is *paused* is one whose clock stands still and whose answers do not arrive: as a stopped process, it
believes that no time passes. What it has sent lands when the wire lets it, whatever becomes of the sender.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from prow_async.actors.leader import Candidacy
from prow_async.adapters.github import client as github_client
from prow_async.adapters.github.credentials import Credentials, FixedToken
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api import names
from prow_async.api.errors import Retry
from prow_async.apps.engine import Component, Engine
from prow_async.core import lease
from prow_async.ports.transport import Reply, Transport
from prow_async.sandbox.github import direct as github_direct
from prow_async.sandbox.kube import direct as kube_direct
from tests.actors.script import Script
from tests.actors.worlds import JOBS, PODS, START_S, Town, passes, settle

Json = dict[str, Any]
TIMING = lease.Timing()
When = Callable[[str, str], bool]
"""Of a method and a path: whether it is held."""


class OwnClock:
    """A replica's clock: it can stand still, run ahead by `skew_s` (the wall clock alone), and catch up."""

    def __init__(self, skew_s: float = 0.0) -> None:
        self._skew_s = skew_s
        self._stands: float | None = None

    def _at(self) -> float:
        return anyio.current_time() if self._stands is None else self._stands

    def now(self) -> float:
        return START_S + self._skew_s + self._at()

    def monotonic(self) -> float:
        return self._at() + self._skew_s * 3

    @property
    def stands(self) -> bool:
        return self._stands is not None

    def stop(self) -> None:
        self._stands = anyio.current_time()

    def go_on(self) -> None:
        self._stands = None


class Gate:
    """Holds what fits until it is opened."""

    def __init__(self) -> None:
        self.held: list[str] = []
        """What waits, or has waited, as `METHOD path`."""
        self._when: When | None = None
        self._opened = anyio.Event()

    def hold(self, when: When) -> None:
        self._when, self._opened = when, anyio.Event()

    def open(self) -> None:
        self._when = None
        self._opened.set()

    async def passing(self, method: str, path: str) -> None:
        if self._when is not None and self._when(method, path):
            self.held.append(f"{method} {path}")
            await self._opened.wait()


class Wire:
    """A Transport. A write that has left its sender lands, even if the sender gives up or dies.

    Attributes:
        out: on the way to the server. back: on the way back, watch lines among it.
    """

    def __init__(self, inner: Transport, group: anyio.abc.TaskGroup) -> None:
        self._inner = inner
        self._group = group
        self.out = Gate()
        self.back = Gate()

    def leave_held(self) -> Gate:
        """Have what is sent from now on pass a new gate; return the old one, with what it holds on its way."""
        held, self.out = self.out, Gate()
        return held

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> AsyncIterator[Reply]:
        if method == "GET":
            await self.out.passing(method, path)
            async with self._inner.send(method, path, headers, body) as reply:
                await self.back.passing(method, path)
                yield _Followed(reply, self.back, path) if "watch=true" in path else reply
            return
        landed = anyio.Event()
        answer: list[Reply | Retry] = []

        async def carry() -> None:
            await self.out.passing(method, path)
            try:
                async with self._inner.send(method, path, headers, body) as reply:
                    answer.append(_Whole(reply.status, reply.headers, await reply.read()))
            except Retry as error:
                answer.append(error)
            landed.set()

        self._group.start_soon(carry)
        await landed.wait()
        await self.back.passing(method, path)
        if isinstance(answer[0], Retry):
            raise answer[0]
        yield answer[0]


class _Whole:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self._body = status, headers, body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


class _Followed:
    """A watch's answer, whose lines wait at the gate."""

    def __init__(self, inner: Reply, gate: Gate, path: str) -> None:
        self._inner, self._gate, self._path = inner, gate, path
        self.status, self.headers = inner.status, inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            await self._gate.passing("WATCH", self._path)
            yield chunk


class Replica:
    """One process of one component, or of several, beside others, on a town."""

    def __init__(
        self,
        town: Town,
        components: Component | tuple[Component, ...],
        identity: str,
        group: anyio.abc.TaskGroup,
        skew_s: float = 0.0,
        timing: lease.Timing = TIMING,
        credentials: Callable[[Transport], Credentials] = lambda hub: FixedToken("bot-token"),
        **more: Any,
    ) -> None:
        self.identity = identity
        self.clock = OwnClock(skew_s)
        self.faults = Script()
        self.kube = Wire(kube_direct.DirectTransport(town.kube.world, town.clock, self.faults), group)
        self.hub = Wire(github_direct.DirectTransport(town.github, town.clock, "bot-token", Script()), group)
        self._group = group
        self._scope = anyio.CancelScope()
        self._count = 0
        several = (components,) if isinstance(components, str) else components
        parts = town.parts(
            *several,
            jobs=self._collection(collection.PROWJOBS, JOBS),
            events=self._collection(collection.EVENTS, JOBS),
            pods={"default": self._collection(collection.PODS, PODS, label_selector="created-by-prow=true")},
            github=github_client.on(self.hub, credentials(self.hub), town.metrics, self.clock),
            clock=self.clock,
            leases={component: self._candidacy(component, timing) for component in several},
            **more,
        )
        self.engine = Engine(parts)
        self.leader = self.engine.leaders[several[0]]

    def _candidacy(self, component: Component, timing: lease.Timing) -> Candidacy:
        name = names.LEASES[component]
        lock = lease.Lock(name=name, identity=self.identity, timing=timing)
        return Candidacy(self._collection(collection.LEASES, JOBS, field_selector=f"metadata.name={name}"), lock)

    def _collection(self, kind: collection.Kind, namespace: str, **more: Any) -> KubeCollection:
        return KubeCollection(self.kube, "default", kind, namespace, watch_timeout_s=lambda: 420, **more)

    async def start(self) -> None:
        """Run, and return once everybody waits."""

        async def live() -> None:
            with self._scope:
                await self.engine.run()

        self._group.start_soon(live)
        await settle()

    def die(self) -> None:
        """As kill -9 does."""
        self._scope.cancel()

    async def stop(self) -> None:
        """As SIGTERM does."""
        await self.engine.resign()
        self._scope.cancel()
        await settle()

    def pause(self) -> None:
        """As SIGSTOP does: its clock stands still, nothing reaches it, and what it has not sent stays with it."""
        self.clock.stop()
        for wire in (self.kube, self.hub):
            wire.out.hold(lambda method, path: True)
            wire.back.hold(lambda method, path: True)

    def pause_at(self, number: int, answered: bool) -> None:
        """Pause when it sends its request of that number (leases and watches not counted), or when that is answered."""

        def strikes(method: str, path: str) -> bool:
            if self.paused:
                return True
            if "/leases" not in path and "watch=true" not in path:
                self._count += 1
                if self._count == number:
                    self.pause()
            return self.paused

        for wire in (self.kube, self.hub):
            (wire.back if answered else wire.out).hold(strikes)

    @property
    def paused(self) -> bool:
        return self.clock.stands

    async def go_on(self) -> None:
        """As SIGCONT does."""
        self.clock.go_on()
        for wire in (self.kube, self.hub):
            wire.back.open()
            wire.out.open()
        await settle()


@asynccontextmanager
async def two(
    town: Town, components: Component | tuple[Component, ...], **more: Any
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Run two replicas; the first leads. Leaving is the sudden death of both."""
    async with anyio.create_task_group() as group:
        first = Replica(town, components, "first_1", group, **more)
        second = Replica(town, components, "second_2", group, **more)
        await first.start()
        await second.start()
        assert (first.leader.leading, second.leader.leading) == (True, False)
        yield first, second
        group.cancel_scope.cancel()


def lease_of(town: Town, component: Component) -> Json:
    spec: Json = town.kube.ask("GET", collection.LEASES.path(JOBS, names.LEASES[component]))["spec"]
    return spec


async def leads(replica: Replica, within_s: float) -> float:
    """Wait until a replica leads; return how long it took."""
    since_s = anyio.current_time()
    while not replica.leader.leading:
        assert anyio.current_time() - since_s <= within_s, f"{replica.identity} does not lead after {within_s} s"
        await passes(0.05)
    return anyio.current_time() - since_s
