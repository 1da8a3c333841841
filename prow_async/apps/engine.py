"""The engine: stores, reflectors and actors put together from ports alone.

Every composition uses it: the single components, `prow-async up`, and the fault runs on virtual time. It chooses
nothing but which actors run.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import anyio
import msgspec
import structlog

from prow_async.actors import crier, horologium, share, sinker
from prow_async.actors.clusters import Clusters
from prow_async.actors.executor import Executor, Targets
from prow_async.actors.explainer import Explainer
from prow_async.actors.job import Env, JobActors
from prow_async.actors.job_counts import JobCounts
from prow_async.actors.pull_index import PullIndex
from prow_async.actors.reflector import Reflector
from prow_async.actors.repo_owners import RepoOwners
from prow_async.actors.router import Router
from prow_async.actors.shared_reads import SharedReads
from prow_async.actors.store import Store
from prow_async.actors.trust_cache import TrustCache
from prow_async.api import actions, names
from prow_async.api.errors import ProwError
from prow_async.api.views import JobView, Malformed
from prow_async.apps import nets as lost
from prow_async.core import instants, jobview, payload
from prow_async.core.enablement import Enablement
from prow_async.core.payload import Known
from prow_async.ports.clock import Clock, Ids
from prow_async.ports.code import RepoCode
from prow_async.ports.config import ConfigSource
from prow_async.ports.explained import Decisions
from prow_async.ports.forward import Forward
from prow_async.ports.github import GitHub
from prow_async.ports.inbox import Inbox
from prow_async.ports.inrepo import InRepo
from prow_async.ports.kube import ClusterFiles, Collection
from prow_async.ports.metrics import Metrics
from prow_async.ports.plugin import JobsOf, Plugin, Reads
from prow_async.runtime import lag
from prow_async.runtime.story import Stories
from prow_async.runtime.supervisor import Service, Supervisor

log = structlog.get_logger()
Component = Literal["hook", "plank", "crier", "sinker", "horologium"]
GAUGES_EVERY_S = 15.0


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the engine stands on. `pods` is keyed by cluster alias, as found at the start."""

    components: frozenset[Component]
    jobs: Collection
    events: Collection
    pods: Mapping[str, Collection] = {}
    cluster_files: ClusterFiles | None = None
    """Tells of changes of `pods`; None: there are none."""
    github: GitHub | None = None
    inbox: Inbox | None = None
    plugins: Sequence[Plugin] = ()
    decisions: Decisions | None = None
    """Where hook keeps its decisions for `explain`."""
    explain_in_help: bool = False
    inrepo: InRepo | None = None
    code: RepoCode | None = None
    forward: Forward | None = None
    """How external plugins are reached."""
    nets: lost.Nets | None = None
    """What catches webhooks that did not come."""
    config: ConfigSource
    clock: Clock
    ids: Ids
    metrics: Metrics
    installation: str
    dry_run: bool = False
    job_pages: str = ""
    """Address of our own pages: where Details links lead when the configuration says nothing else."""
    report_agent: str = ""
    enablement: Enablement = Enablement()
    loop_lag: bool = True
    """Measure how late the loop serves its sleepers. There is nothing to measure on virtual time."""


class Engine:
    """One process's share of Prow. Build it, `run` it, cancel it; what it knew is rebuilt from the cluster."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.stories = Stories(parts.clock.now)
        self.jobs: Store[JobView] = Store(keep_raw=_needs_pod)
        found = parts.cluster_files
        self.clusters = Clusters(parts.pods, parts.metrics, self._set_pod_aside, found.release if found else _nothing)
        targets = Targets(parts.jobs, parts.events, self.clusters.pods, parts.github)
        self.executor = Executor(targets, parts.metrics, parts.clock, parts.ids, parts.dry_run)
        self.pulls = PullIndex(self.jobs)
        self._trust = TrustCache(parts.clock)
        self._owners = RepoOwners(parts.code) if parts.code is not None else None
        self._supervisor = Supervisor(self._restarted)
        self._aside: list[actions.RecordEvent] = []
        self._aside_bell = anyio.Event()
        self._reflector = Reflector("prowjobs", parts.jobs, jobview.read, self.jobs, parts.metrics, self._set_job_aside)
        self._needs_pods = bool(parts.components & {"plank", "sinker"})
        self._counts = JobCounts(self.jobs, parts.metrics) if "plank" in parts.components else None
        self.job_actors = self._plank() if "plank" in parts.components else None
        self.router = self._hook() if "hook" in parts.components else None
        self.crier = self._crier() if "crier" in parts.components else None
        self.horologium = self._horologium() if "horologium" in parts.components else None
        self.sinker = self._sinker() if "sinker" in parts.components else None

    def _plank(self) -> JobActors:
        p = self.parts
        env = Env(p.config, p.clock, p.ids, p.metrics, self.stories, self.jobs.raw, p.job_pages)
        return JobActors(self.jobs, p.jobs, self.clusters, self.executor, env)

    def _hook(self) -> Router:
        p = self.parts
        assert p.inbox is not None, "hook needs an inbox"
        assert p.github is not None, "hook needs a GitHub"
        env = share.Env(p.metrics, p.clock, self._trust.heard, p.enablement, p.decisions, p.forward)
        return Router(p.inbox, p.plugins, p.config.current, self._reads, self.executor, env)

    def _nets(self) -> dict[str, Service]:
        p = self.parts
        if p.nets is None or self.router is None:
            return {}
        assert p.github is not None
        around = lost.Around(p.github, self.executor, self.pulls, p.config.current, p.metrics, p.clock)
        return lost.services(p.nets, around, p.enablement, p.installation)

    def _crier(self) -> crier.Crier:
        p = self.parts
        assert p.github is not None, "crier needs a GitHub"
        env = crier.Env(p.config, p.clock, p.metrics, p.jobs, p.report_agent, p.enablement)
        return crier.Crier(self.jobs, self.pulls, p.github, self.executor, env)

    def _horologium(self) -> horologium.Horologium:
        p = self.parts
        env = horologium.Env(p.config, p.clock, p.metrics, p.installation)
        return horologium.Horologium(self.jobs, self.executor, env)

    def _sinker(self) -> sinker.Sinker:
        p = self.parts
        return sinker.Sinker(self.jobs, self.clusters, p.jobs, self.executor, sinker.Env(p.config, p.clock, p.metrics))

    def _reads(self, known: Known) -> Reads:
        p = self.parts
        assert p.github is not None
        github, trust, snapshot, owners = p.github, self._trust, p.config.current(), self._owners
        return Reads(
            SharedReads(github, trust, known),
            snapshot,
            p.clock,
            self._unfinished_presubmits,
            p.inrepo,
            p.installation,
            None if owners is None else lambda org, repo, sha: owners.at(snapshot, org, repo, sha),
            lambda: SharedReads(github, trust, payload.NOTHING),
            p.explain_in_help,
        )

    def explainer(self) -> Explainer | None:
        """Return what answers questions about hook's decisions; None where there is no hook, or none are kept."""
        p = self.parts
        if "hook" not in p.components or p.decisions is None:
            return None
        return Explainer(p.plugins, p.decisions, lambda: self._reads(payload.NOTHING))

    async def _unfinished_presubmits(self, org: str, repo: str, number: int) -> list[JobsOf]:
        await self.jobs.wait_synced()
        return [
            JobsOf(job.name, job.namespace, job.resource_version, job.job)
            for job in self.pulls.jobs_of(org, repo, number)
            if job.type == "presubmit" and not job.complete
        ]

    def watches(self) -> dict[str, Service]:
        """Return what keeps the stores equal to the clusters: needed by all, also by those that never act."""
        services: dict[str, Service] = {"watch prowjobs": self._reflector.run}
        if self._needs_pods:
            services["build clusters"] = lambda: self.clusters.run(self._supervisor.keep)
            if (files := self.parts.cluster_files) is not None:
                services["kubeconfigs"] = lambda: files.watch(self.clusters.set)
        return services

    async def wait_listed(self) -> None:
        """Return once ProwJobs are listed, and every cluster's pods or not to be had. Somebody must run `watches`."""
        await self.jobs.wait_synced()
        if self._needs_pods:
            await self.clusters.wait_looked_at()

    @property
    def ready(self) -> bool:
        """True once everything this process watches has been listed, but for build clusters that do not answer."""
        pods = not self._needs_pods or all(cluster.looked_at for cluster in self.clusters.once())
        return self.jobs.synced and pods

    @property
    def idle(self) -> bool:
        """True while no delivery and no actor's turn is under way."""
        families = [a.actors for a in (self.job_actors, self.router, self.crier) if a is not None]
        return not any(family.busy for family in families) and (self.router is None or self.router.idle)

    async def run(self) -> None:
        """Run until cancelled."""
        services = self.watches()
        for name, actor in (
            ("plank", self.job_actors),
            ("hook", self.router),
            ("crier", self.crier),
            ("horologium", self.horologium),
            ("sinker", self.sinker),
        ):
            if actor is not None:
                services[name] = actor.run
        services |= self._nets()
        services["gauges"] = self._gauges
        services["set aside"] = self._tell_aside
        if self.parts.loop_lag:
            metrics = self.parts.metrics
            services["loop lag"] = lambda: lag.watch(lambda s: metrics.observe("prow_async_loop_lag_seconds", s))
        await self._supervisor.run(services)

    def _restarted(self, name: str, error: Exception, wait_s: float) -> None:
        self.parts.metrics.count("prow_async_actor_restarts_total", actor=name)
        log.error("service failed; it starts again", service=name, wait_s=round(wait_s, 2), exc_info=error)

    def _set_job_aside(self, bad: Malformed) -> None:
        self._set_aside(bad, "ProwJob", names.API_VERSION)

    def _set_pod_aside(self, bad: Malformed) -> None:
        log.warning("pod set aside: it does not read", pod=bad.name, why=bad.why)

    def _set_aside(self, bad: Malformed, kind: str, api_version: str) -> None:
        """Tell the object's owner, in the log and in an event; several components may see it, one writes the event."""
        log.warning("object set aside: it does not read", kind=kind, name=bad.name, why=bad.why)
        if "plank" not in self.parts.components or not bad.name or len(self._aside) >= 100:
            return
        event = actions.RecordEvent(
            namespace=bad.namespace,
            kind=kind,
            name=bad.name,
            uid=bad.uid,
            api_version=api_version,
            reason="Malformed",
            message=f"This {kind} is ignored until it is mended: {bad.why}",
            warning=True,
            why=bad.why,
        )
        self._aside.append(event)
        self._aside_bell.set()

    async def _tell_aside(self) -> None:
        while True:
            while self._aside:
                event = self._aside.pop(0)
                try:
                    await self.executor.perform(event, event.name)
                except ProwError as error:
                    log.warning("no event written for an object set aside", name=event.name, why=str(error))
            self._aside_bell = anyio.Event()
            await self._aside_bell.wait()

    async def _gauges(self) -> None:
        metrics = self.parts.metrics
        while True:
            for actor in (self.job_actors, self.router, self.crier):
                if actor is not None:
                    stats = actor.actors.statistics()
                    metrics.gauge("prow_async_mailbox_depth", stats["depth"], actor=actor.actors.name)
            if self._counts is not None:
                self._counts.update()
            await anyio.sleep(GAUGES_EVERY_S)

    def describe(self, name: str) -> str | None:
        """Say in words, for a person, how one ProwJob stands: state, why, and its story. None: there is no such job."""
        job = self.jobs.get(name)
        story = self.stories.of(name)
        if job is None and not story:
            return None
        lines = [f"ProwJob {name}"]
        if job is None:
            lines.append("is gone: it was finished and has been swept away, or somebody deleted it")
        else:
            pulls = " ".join(f"#{p.number}@{p.sha[:10]}" for p in job.pulls)
            lines += [
                f"job       {job.job} ({job.type})",
                f"refs      {job.full_name} {job.base_ref}@{job.base_sha[:10]} {pulls}".rstrip()
                if job.org
                else "refs      -",
                f"state     {job.state}" + (f": {job.description}" if job.description else ""),
                f"cluster   {job.cluster}, pod {job.pod_name or '(none yet)'}, build {job.build_id or '(none yet)'}",
                f"times     started {_at(job.start_s)}, pending {_at(job.pending_s)}, done {_at(job.completion_s)}",
                f"cause     {job.cause or '(not recorded)'}",
                f"reported  {', '.join(f'{k}: {v}' for k, v in job.reported.items()) or '(nothing yet)'}",
            ]
        lines += ["", "what happened last in this process:"]
        lines += [f"  {instants.rfc3339(at)}  {line}" for at, line in story] or ["  (nothing remembered)"]
        return "\n".join(lines) + "\n"


def _nothing(_: Collection) -> None:
    """Nobody holds what a cluster was reached by."""


def _at(seconds: float | None) -> str:
    return "-" if seconds is None else instants.rfc3339(seconds)


def _needs_pod(job: JobView) -> bool:
    """Keep the whole JSON only of jobs whose pod still has to be made."""
    return not job.complete and job.agent == "kubernetes" and (job.state == "triggered" or not job.pod_name)
