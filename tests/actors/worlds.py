"""Small worlds on virtual time, and the words the stories of the actors are told in.

A `Town` is everything outside the engine: clusters, a GitHub, a configuration, a clock that jumps. People act on it
at once and without trouble (`put`, `patch`, `pod_runs` ...); the engine comes through doors with a script of faults.
"""

import copy
import functools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import msgspec
import trio.testing
import yaml

from prow_async.adapters import metrics_table
from prow_async.adapters.github import client as github_client
from prow_async.adapters.github.credentials import FixedToken
from prow_async.adapters.kube import collection
from prow_async.adapters.kube.collection import KubeCollection
from prow_async.api import names
from prow_async.api.config import Config
from prow_async.api.plugin_config import OrgPlugins, PluginConfig
from prow_async.api.prowjob import ProwJob, ProwJobSpec, Pull, Refs
from prow_async.apps.engine import Component, Engine, Parts
from prow_async.core import identity, instants, jobview, newjob, podspec
from prow_async.ports.config import Changes, Snapshot, Told
from prow_async.ports.web import Answered
from prow_async.sandbox.github import direct as github_direct
from prow_async.sandbox.github.world import World as GitHubWorld
from prow_async.sandbox.kube import direct as kube_direct
from prow_async.sandbox.kube import exchange
from prow_async.sandbox.kube.world import World as KubeWorld
from tests import virtual
from tests.actors.script import Script

Json = dict[str, Any]
JOBS, PODS = "prow", "test-pods"
"""The two namespaces."""
ORG, REPO = "o", "r"
BOT = "prow-bot"
START_S = instants.seconds("2026-01-02T03:00:00Z")
POD_SPEC: Json = {"containers": [{"name": "test", "image": "img", "command": ["true"]}]}
_CRD = yaml.safe_load((Path(__file__).resolve().parents[2] / "deploy" / "crd" / "prowjobs.yaml").read_text())


def story(body: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on virtual time, under the same dice each time."""

    @functools.wraps(body)
    def run(*args: Any, **kwargs: Any) -> None:
        random.seed(7)
        virtual.run(functools.partial(body, *args, **kwargs))

    return run


async def settle() -> None:
    """Return once everybody waits for news or for time."""
    await trio.testing.wait_all_tasks_blocked()


async def passes(seconds: float) -> None:
    """Let time pass, and everything that happens in it."""
    await anyio.sleep(seconds)
    await settle()


class Clock:
    """Wall clock that follows virtual time."""

    def now(self) -> float:
        return START_S + anyio.current_time()

    def monotonic(self) -> float:
        return anyio.current_time()


class Ids:
    """Counts: ids differ and are the same in every run."""

    def __init__(self) -> None:
        self._count = 0

    def uuid4(self) -> str:
        self._count += 1
        return str(UUID(int=self._count << 80, version=4))

    def build_id(self) -> str:
        self._count += 1
        return str(1_000_000 + self._count)


class Counted:
    """Implements ports.metrics: sums, and the table's word on every name and label."""

    def __init__(self) -> None:
        self.values: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def count(self, name: str, by: float = 1.0, /, **labels: str) -> None:
        self.values[self._key(name, labels)] += by  # type: ignore[assignment]  # Counter's stubs know int alone

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self.values[self._key(name, labels)] = value  # type: ignore[assignment]  # as above

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self.count(name, **labels)

    def replace(self, name: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
        for key in [key for key in self.values if key[0] == name]:
            del self.values[key]
        for labels, value in rows:
            self.gauge(name, value, **labels)

    def total(self, name: str, **labels: str) -> float:
        """Sum a metric over all label sets that hold these labels."""
        assert name in metrics_table.TABLE
        return sum(v for (n, found), v in self.values.items() if n == name and labels.items() <= dict(found).items())

    @staticmethod
    def _key(name: str, labels: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
        assert set(metrics_table.TABLE[name].labels) == set(labels), f"{name} {labels}"
        return name, tuple(sorted(labels.items()))


class Configured:
    """The configuration in force; a story may put another in its place."""

    def __init__(self, config: Config, plugins: PluginConfig) -> None:
        self._snapshot = Snapshot(config, plugins, START_S, "1")
        self._told: list[Told] = []

    def current(self) -> Snapshot:
        return self._snapshot

    def change(self, **changes: Any) -> None:
        config = msgspec.structs.replace(self._snapshot.config, **changes)
        before, self._snapshot = self._snapshot, msgspec.structs.replace(self._snapshot, config=config)
        for told in self._told:
            told(before, self._snapshot, Changes())

    def subscribe(self, told: Told) -> Callable[[], None]:
        self._told.append(told)
        return lambda: self._told.remove(told)


class Internet:
    """Implements ports.web: what stands at each address, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.answers: dict[str, Answered | Exception] = {}

    async def ask(self, method: str, url: str, json: bytes = b"") -> Answered:
        self.asked.append((method, url, json))
        await anyio.lowlevel.checkpoint()
        answer = self.answers.get(url, Answered(404, b"not found"))
        if isinstance(answer, Exception):
            raise answer
        return answer


class Cluster:
    """One API server: the engine's collections on a door with faults, and what people do to it."""

    def __init__(self, alias: str, ids: Ids, clock: Clock) -> None:
        self.alias = alias
        self.world = KubeWorld(ids)
        self.faults = Script()
        self._clock = clock
        self.world.install(_CRD, clock.now())
        for name in (JOBS, PODS):
            self.ask("POST", collection.NAMESPACES.path(), {"metadata": {"name": name}})
        self.door = kube_direct.DirectTransport(self.world, clock, self.faults)
        self.jobs = self.collection(collection.PROWJOBS, JOBS)
        self.events = self.collection(collection.EVENTS, JOBS)
        self.pods = self.collection(collection.PODS, PODS, "created-by-prow=true")

    def collection(self, kind: collection.Kind, namespace: str, selector: str = "") -> KubeCollection:
        return KubeCollection(self.door, self.alias, kind, namespace, selector, lambda: 420)

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Do what a person with kubectl does."""
        kind = collection.MERGE_PATCH if method == "PATCH" else collection.JSON
        data = b"" if body is None else msgspec.json.encode(body)
        request = exchange.Request.parse(method, path, {"content-type": kind}, data)
        answer = self.world.handle(request, self._clock.now())
        assert isinstance(answer, exchange.Answer)
        assert answer.code < 300, answer.body
        return msgspec.json.decode(answer.body, type=Json)

    def lax(self) -> None:
        """Let the definition of ProwJobs admit anything, as older definitions do."""
        any_object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        definition = copy.deepcopy(_CRD)
        definition["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": any_object}
        self.ask("DELETE", f"{collection.CUSTOM_RESOURCES.path()}/prowjobs.prow.k8s.io")
        self.world.install(definition, self._clock.now())

    # ProwJobs

    def put(self, job: ProwJob) -> Json:
        return self.ask("POST", collection.PROWJOBS.path(JOBS), msgspec.to_builtins(job))

    def patch(self, name: str, patch: Json) -> Json:
        return self.ask("PATCH", collection.PROWJOBS.path(JOBS, name), patch)

    def set_status(self, name: str, **status: Any) -> Json:
        return self.patch(name, {"status": status})

    def delete_job(self, name: str) -> None:
        self.ask("DELETE", collection.PROWJOBS.path(JOBS, name))

    def job(self, name: str) -> ProwJob:
        raw = self.ask("GET", collection.PROWJOBS.path(JOBS, name))
        return jobview.read_full(msgspec.json.encode(raw))

    def all_jobs(self) -> list[ProwJob]:
        return [jobview.read_full(msgspec.json.encode(raw)) for raw in self.world.objects("prowjobs", JOBS)]

    # Pods

    def put_pod(self, pod: Json) -> Json:
        return self.ask("POST", collection.PODS.path(PODS), pod)

    def pod(self, name: str) -> Json:
        return self.ask("GET", collection.PODS.path(PODS, name))

    def all_pods(self) -> list[Json]:
        return self.world.objects("pods", PODS)

    def set_pod(self, name: str, **status: Any) -> None:
        self.ask("PATCH", collection.PODS.path(PODS, name) + "/status", {"status": status})

    def bind_pod(self, name: str) -> None:
        """Put a pod on a node: from now on it takes its time to go."""
        target = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": "node-1"}}
        self.ask("POST", collection.PODS.path(PODS, name) + "/binding", target)

    def pod_runs(self, name: str) -> None:
        self.set_pod(name, phase="Running", startTime=instants.rfc3339(self._clock.now()))

    def pod_ends(self, name: str, exit_code: int = 0) -> None:
        """Let a pod end as a kubelet would report it."""
        now = instants.rfc3339(self._clock.now())
        ended = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "finishedAt": now}
        status: Json = {"name": "test", "ready": False, "restartCount": 0, "state": {"terminated": ended}}
        phase = "Failed" if exit_code else "Succeeded"
        self.set_pod(name, phase=phase, startTime=now, containerStatuses=[status])

    def delete_pod(self, name: str, grace_s: int | None = None) -> None:
        """Delete a pod. One on a node stays, marked, until it is deleted with a grace of 0."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1"}
        self.ask(
            "DELETE",
            collection.PODS.path(PODS, name),
            options | ({} if grace_s is None else {"gracePeriodSeconds": grace_s}),
        )

    def event_texts(self) -> list[str]:
        return [f"{event['type']} {event['reason']}: {event['message']}" for event in self.world.objects("events")]


class Town:
    """Everything outside the engine. Make it inside a story: its clock is the story's."""

    def __init__(self, config: Config | None = None, aliases: tuple[str, ...] = ("default",)) -> None:
        self.clock, self.ids, self.metrics = Clock(), Ids(), Counted()
        config = config or Config()
        config = msgspec.structs.replace(config, prowjob_namespace=JOBS, pod_namespace=PODS)
        self.config = Configured(config, PluginConfig(plugins={ORG: OrgPlugins(("trigger",))}))
        self.clusters = {alias: Cluster(alias, self.ids, self.clock) for alias in aliases}
        self.kube = self.clusters[aliases[0]]
        self.github = GitHubWorld(self.ids)
        self.github.add_bot(BOT, "bot-token")
        self.github.add_org(ORG, members=["ann", BOT], owners=["ann"])
        self.github.add_repo(ORG, REPO, now_s=START_S)
        self.internet = Internet()
        self.github_faults = Script()
        door = github_direct.DirectTransport(self.github, self.clock, "bot-token", self.github_faults)
        self.client = github_client.on(door, FixedToken("bot-token"), self.metrics, self.clock)

    def parts(self, *components: Component, **more: Any) -> Parts:
        parts = Parts(
            components=frozenset(components),
            jobs=self.kube.jobs,
            events=self.kube.events,
            pods={alias: cluster.pods for alias, cluster in self.clusters.items()},
            github=self.client,
            web=self.internet,
            config=self.config,
            clock=self.clock,
            ids=self.ids,
            metrics=self.metrics,
            installation="here",
        )
        return msgspec.structs.replace(parts, **more)

    @asynccontextmanager
    async def engine(self, *components: Component, **more: Any) -> AsyncIterator[Engine]:
        """Run an engine; leaving is its sudden death."""
        engine = Engine(self.parts(*components, **more))
        async with anyio.create_task_group() as group:
            group.start_soon(engine.run)
            await settle()
            yield engine
            group.cancel_scope.cancel()

    async def beside(self, one: Callable[[], Coroutine[Any, Any, None]], other: Awaitable[Any]) -> Any:
        """Run two things at once; return what the second brings."""
        async with anyio.create_task_group() as group:
            group.start_soon(one)
            return await other

    def presubmit(self, name: str, number: int = 1, sha: str = "5" * 40, **spec: Any) -> ProwJob:
        """Make a reporting presubmit of o/r; `name` is the object's, `spec` may name anything else."""
        pull = Pull(number, "ann", sha)
        refs = Refs(ORG, REPO, base_ref="main", base_sha="b" * 40, pulls=(pull,))
        wanted: Json = {"type": "presubmit", "job": "unit", "context": "unit", "report": True, "refs": refs}
        return self.prowjob(name, **{**wanted, "rerun_command": "/test unit", **spec})

    def prowjob(self, name: str, **spec: Any) -> ProwJob:
        wanted = {"type": "periodic", "job": "unit", "agent": "kubernetes", "cluster": "default", "pod_spec": POD_SPEC}
        made = ProwJobSpec(**{**wanted, **spec})
        return newjob.new_prowjob(made, {}, {}, newjob.Birth(name, JOBS, self.clock.now(), "a story"))

    def pod_of(self, name: str, attempt: int = 0, build_id: str = "77", owner: str = "") -> Json:
        """Make the pod that we would make for a ProwJob that stands there; `owner` is another ProwJob's UID."""
        job = self.kube.job(name)
        if owner:
            job = msgspec.structs.replace(job, metadata=msgspec.structs.replace(job.metadata, uid=owner))
        return podspec.pod_for(job, build_id, PODS, attempt)

    def upstream_pod_of(self, name: str, build_id: str = "78") -> Json:
        """Make the pod as upstream's controller does: the same but for our marks."""
        pod = self.pod_of(name, build_id=build_id)
        for mark in (names.OWNER_UID, names.ATTEMPT, names.DIGEST):
            del pod["metadata"]["annotations"][mark]
        return pod

    def open_pull(self, author: str = "ann") -> tuple[int, str]:
        """Open a pull request on o/r; return its number and its head."""
        record = self.github.open_pull(ORG, REPO, author, "Fix it", "topic", ["a.py"], now_s=self.clock.now())
        assert record.pull is not None
        return record.number, record.pull.head_sha


def redigested(pod: Json) -> Json:
    """Mark a pod with the digest of what it holds."""
    pod["metadata"]["annotations"][names.DIGEST] = identity.pod_digest(pod)
    return pod
