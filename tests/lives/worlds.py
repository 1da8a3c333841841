"""Everything outside the engine: two clusters, a GitHub, a clock and identifiers, all of one seed."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from uuid import UUID

import anyio
import msgspec
import yaml

from prow_async.adapters.kube import collection
from prow_async.api import names
from prow_async.apps.engine import Component
from prow_async.core import instants
from prow_async.sandbox.github.world import World as GitHubWorld
from prow_async.sandbox.kube import exchange
from prow_async.sandbox.kube.world import World as KubeWorld
from tests.lives import setup
from tests.lives.buckets import Buckets
from tests.lives.ledger import Json, Ledger, Life, Seen
from tests.lives.plan import Plan
from tests.lives.player import Player

START_S = instants.seconds("2026-01-02T03:00:30Z")
TOKEN = "a-token-of-the-lives"
_CRD = yaml.safe_load((Path(__file__).resolve().parents[2] / "deploy/crd/prowjobs.yaml").read_text())
Told = Callable[[str], None]
"""Told, in words, what happens."""


class Clock:
    """Wall clock that follows virtual time."""

    def now(self) -> float:
        return START_S + anyio.current_time()

    def monotonic(self) -> float:
        return anyio.current_time()


class Ids:
    """Identifiers by dice; build ids count up."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._last = 1_000_000

    def uuid4(self) -> str:
        return str(UUID(int=self._dice.getrandbits(128), version=4))

    def build_id(self) -> str:
        self._last += 1
        return str(self._last)


class Counts:
    """Implements ports/metrics: counters summed over all labels."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.sums[name] += int(by)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        pass

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        pass

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        pass


class Cluster:
    """One API server with a node, and what it saw. The first one holds the ProwJobs as well."""

    def __init__(self, alias: str, plan: Plan, clock: Clock, ids: Ids, told: Told) -> None:
        self.alias = alias
        self.world = KubeWorld(ids, history_limit=400)
        self._clock = clock
        self._told = told
        self.world.install(_CRD, clock.now())
        for name in (setup.JOBS_NAMESPACE, setup.PODS_NAMESPACE):
            self.ask("POST", collection.NAMESPACES.path(), {"metadata": {"name": name}})
        self.node = Player(self.world, clock, plan.dice(f"node of {alias}"), plan.mischief)
        self.jobs = Ledger(self.world, clock, collection.PROWJOBS.path(setup.JOBS_NAMESPACE), self._job_told)
        self.pods = Ledger(self.world, clock, collection.PODS.path(setup.PODS_NAMESPACE), self._pod_told)

    def ask(self, method: str, path: str, body: Json) -> Json:
        """Do what a person with kubectl does."""
        kind = collection.MERGE_PATCH if method == "PATCH" else collection.JSON
        request = exchange.Request.parse(method, path, {"content-type": kind}, msgspec.json.encode(body))
        answer = self.world.handle(request, self._clock.now())
        assert isinstance(answer, exchange.Answer)
        assert answer.code < 300, answer.body
        return msgspec.json.decode(answer.body, type=Json)

    def _job_told(self, life: Life, seen: Seen) -> None:
        done = " complete" if life.complete else ""
        reported = (life.last.get("status") or {}).get("prev_report_states")
        self._told(f"job {_short(life)} {seen.kind}: {life.status('state')}{done}, reported {reported}")

    def _pod_told(self, life: Life, seen: Seen) -> None:
        leaving = ", deleting" if life.deleting else ""
        self._told(f"pod {_short(life)} in {self.alias} {seen.kind}: {life.status('phase')}{leaving}")
        self.node.told(life, seen)


def _short(life: Life) -> str:
    labels = life.last["metadata"].get("labels") or {}
    return f"{life.name[:8]} ({labels.get('prow.k8s.io/job', '?')})"


class Worlds:
    """All of it."""

    def __init__(self, plan: Plan, told: Told) -> None:
        self.plan = plan
        self.clock = Clock()
        self.ids = Ids(plan.dice("ids"))
        self.metrics = Counts()
        self.config = setup.Configuration()
        self.infra = Cluster("default", plan, self.clock, self.ids, told)
        self.far = Cluster("far", plan, self.clock, self.ids, told)
        self.clusters = {"default": self.infra, "far": self.far}
        self.buckets = Buckets()
        self.late: set[str] = set()
        """Build ids of pods that a frozen replica had sent and that came when another led in its place."""
        self.github = GitHubWorld(self.ids, log_limit=100_000)
        self.github.add_bot(setup.BOT, TOKEN)
        self.github.add_org(setup.ORG, members=[*setup.MEMBERS, setup.BOT], owners=[setup.MEMBERS[0]])
        self.repo = self.github.add_repo(setup.ORG, setup.REPO, now_s=self.clock.now())
        self.github.push_branch(setup.ORG, setup.REPO, "release", by=setup.MEMBERS[0], now_s=self.clock.now())
        self.hook = self.github.add_hook(
            setup.ORG, "", "http://hook.invalid/hook", setup.SECRET, now_s=self.clock.now()
        )

    def holders(self) -> set[str]:
        """Return the identities that stand in the Leases; empty while there are none."""
        return set(self._leases().values())

    def holder(self, component: Component) -> str:
        """Return the identity that stands in one component's Lease; empty while there is none."""
        return self._leases().get(names.LEASES[component], "")

    def _leases(self) -> dict[str, str]:
        found = self.infra.ask("GET", collection.LEASES.path(setup.JOBS_NAMESPACE), {})["items"]
        return {one["metadata"]["name"]: one["spec"].get("holderIdentity") or "" for one in found}

    @property
    def jobs(self) -> list[Life]:
        """Every ProwJob there ever was, in order of creation."""
        return list(self.infra.jobs.lives.values())

    @property
    def pods(self) -> list[Life]:
        """Every pod there ever was, cluster by cluster."""
        return [pod for cluster in self.clusters.values() for pod in cluster.pods.lives.values()]

    @property
    def losses(self) -> Counter[str]:
        return self.infra.node.losses + self.far.node.losses

    @property
    def removed(self) -> Counter[tuple[str, str]]:
        return self.infra.node.removed + self.far.node.removed

    @property
    def fates(self) -> dict[tuple[str, str], str]:
        return {**self.infra.node.fates, **self.far.node.fates}
