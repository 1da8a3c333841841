"""One process of the engine, which dies suddenly and is started again, on the same worlds and the same inbox."""

from collections.abc import Callable, Iterator, Mapping

import anyio
import msgspec

from prow_async.actors.leader import Candidacy, Leader
from prow_async.actors.reporters.blobs import BlobReporter
from prow_async.actors.reporters.github import GitHubReporter
from prow_async.actors.reporters.reads import Reports
from prow_async.adapters.github import client as github_client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api import names
from prow_async.apps.engine import Component, Engine, Parts
from prow_async.core import lease
from prow_async.plugins import trigger
from prow_async.ports.blobs import Storage
from prow_async.ports.github import GitHub
from prow_async.ports.inbox import Inbox
from prow_async.ports.kube import Collection
from prow_async.ports.transport import Transport
from prow_async.sandbox.github import direct as github_direct
from prow_async.sandbox.kube import direct as kube_direct
from tests.lives import buckets, ice, setup
from tests.lives.ice import Freezes, Ice
from tests.lives.ledger import Json
from tests.lives.plan import Plan, Weather
from tests.lives.trouble import Died, Trouble, Wire
from tests.lives.worlds import TOKEN, Told, Worlds

_KUBE_ERRORS = ((409, 429, 500, 503), (500, 504))
_GITHUB_ERRORS = ((403, 429, 500, 502, 503), (500, 502))
_STORAGE_ERRORS = ((429, 500, 503), (500, 504))
TIMING = lease.Timing(duration_s=40, renew_deadline_s=30.0, retry_s=10.0)
"""Slower than by default: on virtual time a renewal costs as much as on the real one."""


class Fittings(msgspec.Struct, frozen=True):
    """What may be put between the engine and its parts: nothing in an ordinary life, a mistake in a broken one."""

    inbox: Callable[[Inbox], Inbox] = lambda inbox: inbox
    jobs: Callable[[Collection], Collection] = lambda jobs: jobs
    pods: Callable[[Collection], Collection] = lambda pods: pods
    github: Callable[[GitHub], GitHub] = lambda github: github
    wire: Callable[[Transport], Transport] = lambda wire: wire
    installation: Callable[[int], str] = lambda starts: setup.INSTALLATION
    """Asked at each start, with its number."""
    storage: Callable[[Storage], Storage] = lambda storage: storage
    engine: Callable[[Engine], None] = lambda engine: None
    """Told of each engine before it runs."""
    leases: bool = True
    """Whether replicas care for Leases."""


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
        freezes: given to one of several replicas; None: it is the only one, and needs no lease.
    """

    def __init__(
        self,
        seat: int,
        components: frozenset[Component],
        worlds: Worlds,
        deaths: Deaths,
        fittings: Fittings,
        freezes: Freezes | None = None,
    ) -> None:
        self._seat = seat
        self._freezes = freezes
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
            "storage": self._trouble(f"{seat}/storage", plan.storage, _STORAGE_ERRORS),
        }
        self._ice = Ice(worlds.clock)
        self.trespasses: list[str] = []
        """Writes it sent to an API server while another held all the leases it needs to write anything."""
        self._watch_dice = plan.dice(f"{seat}/watches")

    def _trouble(self, name: str, weather: Weather, statuses: tuple[tuple[int, ...], ...]) -> Trouble:
        died: Died = self.strikes
        return Trouble(weather, self._worlds.plan.dice(name), self._worlds.clock, statuses, died)

    def clear_up(self) -> None:
        """No more trouble from now on."""
        for trouble in self._doors.values():
            trouble.clear_up()
        self._ice.thaw()

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
                self.starts += 1
                self._ice = Ice(self._worlds.clock, self._freezes, self._sent, self._late)
                self.engine = Engine(self._parts())
                for leader in self.engine.leaders.values():
                    leader.fence._held = self._held_by(leader)
                self._fittings.engine(self.engine)
                self.up = True
                await self.engine.run()
                raise AssertionError("the engine ended by itself")
            self.up = False
            await anyio.sleep(self._deaths.next_down_s())

    def _held_by(self, leader: Leader) -> Callable[[], bool]:
        ice = self._ice
        return lambda: lease.held(leader._lock, ice.fence_s())

    @property
    def _identity(self) -> str:
        return f"seat-{self._seat}_{self.starts}"

    def _sent(self, method: str, path: str) -> None:
        """Note a write that nobody who holds no lease any more may send. GitHub's client may still be reading then."""
        if self._freezes is None or "/leases" in path or "/namespaces/" not in path:
            return
        holders = self._worlds.holders()
        if holders and self._identity not in holders:
            self.trespasses.append(f"{self._identity} sent {method} {path}, while {sorted(holders)} held the leases")

    def _late(self, method: str, path: str, body: bytes) -> None:
        """Note a pod that is created by a replica which is replaced: it was sent before, and no condition stops it."""
        if method == "POST" and path.endswith("/pods") and self._identity != self._worlds.holder("plank"):
            pod: Json = msgspec.json.decode(body)
            self._worlds.late.add(pod["metadata"]["labels"][names.BUILD_ID_LABEL])

    def _parts(self) -> Parts:
        worlds, fit = self._worlds, self._fittings
        jobs = self._collection("default", collection.PROWJOBS, setup.JOBS_NAMESPACE)
        pods: Mapping[str, Collection] = {
            alias: fit.pods(self._collection(alias, collection.PODS, setup.PODS_NAMESPACE, "created-by-prow=true"))
            for alias in worlds.clusters
        }
        door = github_direct.DirectTransport(worlds.github, worlds.clock, TOKEN, self._doors["github"])
        client = github_client.on(self._iced(door), FixedToken(TOKEN), worlds.metrics, self._ice)
        storage = fit.storage(buckets.Door(worlds.buckets, self._doors["storage"], self._ice))
        return Parts(
            components=self.components,
            jobs=fit.jobs(jobs),
            events=self._collection("default", collection.EVENTS, setup.JOBS_NAMESPACE),
            pods=pods,
            github=fit.github(client),
            inbox=self.inbox,
            plugins=(trigger.PLUGIN,),
            config=worlds.config,
            clock=self._ice,
            reports=Reports(reporters=(GitHubReporter, BlobReporter), storage=storage),
            leases=self._candidacies(),
            ids=worlds.ids,
            metrics=worlds.metrics,
            installation=fit.installation(self.starts - 1),
            loop_lag=False,
        )

    def _candidacies(self) -> dict[Component, Candidacy]:
        if self._freezes is None or not self._fittings.leases:
            return {}
        return {component: self._candidacy(component) for component in sorted(self.components)}

    def _candidacy(self, component: Component) -> Candidacy:
        name = names.LEASES[component]
        lock = lease.Lock(name=name, identity=self._identity, timing=TIMING)
        leases = self._collection("default", collection.LEASES, setup.JOBS_NAMESPACE, fields=f"metadata.name={name}")
        return Candidacy(leases, lock)

    def _iced(self, door: Transport) -> Transport:
        return door if self._freezes is None else ice.Wire(door, self._ice)

    def _collection(
        self, alias: str, kind: collection.Kind, namespace: str, selector: str = "", fields: str = ""
    ) -> Collection:
        trouble = self._doors["kube" if alias == "default" else alias]
        cluster = self._worlds.clusters[alias]
        door = kube_direct.DirectTransport(cluster.world, self._worlds.clock, trouble)
        wire = self._fittings.wire(Wire(self._iced(door), trouble))
        return KubeCollection(
            wire, alias, kind, namespace, selector, lambda: self._watch_dice.randint(300, 600), fields
        )

    def story(self, name: str) -> Iterator[str]:
        """Tell what this process knows about a ProwJob."""
        told = self.engine.describe(name) if self.engine is not None else None
        yield from (told or "").splitlines()
