"""One process of the engine, which dies suddenly and is started again, on the same worlds and the same inbox."""

from collections.abc import Callable, Iterator, Mapping

import anyio
import msgspec

from prow_async.adapters.github import client as github_client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.apps.engine import Component, Engine, Parts
from prow_async.plugins import trigger
from prow_async.ports.github import GitHub
from prow_async.ports.inbox import Inbox
from prow_async.ports.kube import Collection
from prow_async.ports.transport import Transport
from prow_async.sandbox.github import direct as github_direct
from prow_async.sandbox.kube import direct as kube_direct
from tests.lives import setup
from tests.lives.plan import Plan, Weather
from tests.lives.trouble import Died, Trouble, Wire
from tests.lives.worlds import TOKEN, Told, Worlds

_KUBE_ERRORS = ((409, 429, 500, 503), (500, 504))
_GITHUB_ERRORS = ((403, 429, 500, 502, 503), (500, 502))


class Fittings(msgspec.Struct, frozen=True):
    """What may be put between the engine and its parts: nothing in an ordinary life, a mistake in a broken one."""

    inbox: Callable[[Inbox], Inbox] = lambda inbox: inbox
    jobs: Callable[[Collection], Collection] = lambda jobs: jobs
    pods: Callable[[Collection], Collection] = lambda pods: pods
    github: Callable[[GitHub], GitHub] = lambda github: github
    wire: Callable[[Transport], Transport] = lambda wire: wire
    installation: Callable[[int], str] = lambda starts: setup.INSTALLATION
    """Asked at each start, with its number."""


class Deaths:
    """Counts effective writes of all processes and says which of them end a process."""

    def __init__(self, plan: Plan, told: Told) -> None:
        self._kills = plan.kills
        self._down_s = plan.down_s
        self._told = told
        self.writes = 0
        self.deaths = 0

    def next_down_s(self) -> float:
        """Say how long the process that has just died stays down."""
        self.deaths += 1
        return self._down_s[(self.deaths - 1) % len(self._down_s)]

    def strikes(self, what: str) -> bool:
        self.writes += 1
        if self.writes not in self._kills:
            return False
        self._told(f"KILLED after write {self.writes}: {what}")
        return True


class Process:
    """Some components in one process.

    Args:
        seat: number of the process, for its dice.
    """

    def __init__(
        self, seat: int, components: frozenset[Component], worlds: Worlds, deaths: Deaths, fittings: Fittings
    ) -> None:
        self.components = components
        self._worlds = worlds
        self._deaths = deaths
        self._fittings = fittings
        self._scope = anyio.CancelScope()
        self.inbox: Inbox | None = None
        self.engine: Engine | None = None
        self.up = False
        self.starts = 0
        plan = worlds.plan
        self._doors = {
            "kube": self._trouble(f"{seat}/kube", plan.kube, _KUBE_ERRORS),
            "far": self._trouble(f"{seat}/far", plan.far, _KUBE_ERRORS),
            "github": self._trouble(f"{seat}/github", plan.github, _GITHUB_ERRORS),
        }
        self._watch_dice = plan.dice(f"{seat}/watches")

    def _trouble(self, name: str, weather: Weather, statuses: tuple[tuple[int, ...], ...]) -> Trouble:
        died: Died = self.strikes
        return Trouble(weather, self._worlds.plan.dice(name), self._worlds.clock, statuses, died)

    def clear_up(self) -> None:
        """No more trouble from now on."""
        for trouble in self._doors.values():
            trouble.clear_up()

    def strikes(self, what: str) -> bool:
        """Note an effective write; true when this process dies of it."""
        if not self._deaths.strikes(what):
            return False
        self.up = False
        self._scope.cancel()
        return True

    async def run(self) -> None:
        """Live, die and live again until cancelled."""
        while True:
            with anyio.CancelScope() as self._scope:
                self.engine = Engine(self._parts())
                self.starts += 1
                self.up = True
                await self.engine.run()
                raise AssertionError("the engine ended by itself")
            self.up = False
            await anyio.sleep(self._deaths.next_down_s())

    def _parts(self) -> Parts:
        worlds, fit = self._worlds, self._fittings
        jobs = self._collection("default", collection.PROWJOBS, setup.JOBS_NAMESPACE)
        pods: Mapping[str, Collection] = {
            alias: fit.pods(self._collection(alias, collection.PODS, setup.PODS_NAMESPACE, "created-by-prow=true"))
            for alias in worlds.clusters
        }
        door = github_direct.DirectTransport(worlds.github, worlds.clock, TOKEN, self._doors["github"])
        client = github_client.on(door, FixedToken(TOKEN), worlds.metrics, worlds.clock)
        return Parts(
            components=self.components,
            jobs=fit.jobs(jobs),
            events=self._collection("default", collection.EVENTS, setup.JOBS_NAMESPACE),
            pods=pods,
            github=fit.github(client),
            inbox=self.inbox,
            plugins=(trigger.PLUGIN,),
            config=worlds.config,
            clock=worlds.clock,
            ids=worlds.ids,
            metrics=worlds.metrics,
            installation=fit.installation(self.starts),
            loop_lag=False,
        )

    def _collection(self, alias: str, kind: collection.Kind, namespace: str, selector: str = "") -> Collection:
        trouble = self._doors["kube" if alias == "default" else alias]
        cluster = self._worlds.clusters[alias]
        door = kube_direct.DirectTransport(cluster.world, self._worlds.clock, trouble)
        wire = self._fittings.wire(Wire(door, trouble))
        return KubeCollection(wire, alias, kind, namespace, selector, lambda: self._watch_dice.randint(300, 600))

    def story(self, name: str) -> Iterator[str]:
        """Tell what this process knows about a ProwJob."""
        told = self.engine.describe(name) if self.engine is not None else None
        yield from (told or "").splitlines()
