"""The engine: stores, reflectors and actors put together from ports alone.

Every composition uses it: the single components, `prow-async up`, and the fault runs on virtual time. It chooses
nothing but which actors run.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import anyio
import msgspec
import structlog

from prow_async.actors import build_ids, crier, horologium, scheduler, share, sinker
from prow_async.actors.access import Access
from prow_async.actors.clusters import Clusters
from prow_async.actors.commit_index import CommitIndex
from prow_async.actors.executor import Executor, Targets
from prow_async.actors.explainer import Explainer
from prow_async.actors.job import Env, JobActors
from prow_async.actors.job_counts import JobCounts
from prow_async.actors.leader import Candidacy, Leader
from prow_async.actors.overlay import Overlay
from prow_async.actors.own_starts import OwnStarts
from prow_async.actors.pull_index import PullIndex
from prow_async.actors.reflector import Reflector
from prow_async.actors.repo_owners import RepoOwners
from prow_async.actors.reporters import reads as reporter_reads
from prow_async.actors.reporters.github import GitHubReporter
from prow_async.actors.reporters.reads import Reports
from prow_async.actors.router import Router
from prow_async.actors.shared_reads import SharedReads
from prow_async.actors.store import Store
from prow_async.actors.trust_cache import TrustCache
from prow_async.actors.whole_jobs import WholeJobs
from prow_async.api import actions, names
from prow_async.api.errors import ProwError
from prow_async.api.views import JobView, Malformed
from prow_async.apps import nets as lost
from prow_async.core import cron_slots, job_page, jobview, payload
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
from prow_async.ports.kube import ClusterFiles, Collection, ConfigMaps
from prow_async.ports.metrics import Metrics
from prow_async.ports.plugin import JobsOf, Plugin, Reads
from prow_async.ports.web import Web
from prow_async.runtime import lag
from prow_async.runtime.keyed import KeyedActors
from prow_async.runtime.story import Stories
from prow_async.runtime.supervisor import Service, Supervisor

log = structlog.get_logger()
Component = Literal["hook", "plank", "scheduler", "crier", "sinker", "horologium"]
GAUGES_EVERY_S = 15.0
RECORD_S = 0.3
"""After SIGTERM the records of reports have so long, before the lease is given up."""


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
    web: Web | None = None
    """The scheduler needs it, and whoever asks tot."""
    tot_url: str = ""
    looks_at_access: bool = False
    """Ask build clusters what we may do, and write plank.build_cluster_status_file."""
    config_maps: ConfigMaps | None = None
    """Where hook writes ConfigMaps."""
    forward: Forward | None = None
    """How external plugins are reached."""
    nets: lost.Nets | None = None
    """What catches webhooks that did not come."""
    config: ConfigSource
    clock: Clock
    ids: Ids
    metrics: Metrics
    installation: str
    periodics: cron_slots.Rules = cron_slots.Rules()
    dry_run: bool = False
    leases: Mapping[Component, Candidacy] = {}
    """Components that act only while their Lease is held; the others act always. Unused on dry run: nothing is written,
    so nobody need be excluded."""
    job_pages: str = ""
    """Address of our own pages: where Details links lead when the configuration says nothing else."""
    reports: Reports = Reports(reporters=(GitHubReporter,))
    enablement: Enablement = Enablement()
    loop_lag: bool = True
    """Measure how late the loop serves its sleepers. There is nothing to measure on virtual time."""


class Engine:
    """One process's share of Prow. Build it, `run` it, cancel it; what it knew is rebuilt from the cluster."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.stories = Stories(parts.clock.now)
        self.jobs: Store[JobView] = Store(keep_raw=_needs_pod)
        found, out = parts.cluster_files, parts.reports
        self._written = Overlay(self.jobs)
        self.clusters = Clusters(parts.pods, parts.metrics, self._set_pod_aside, found.release if found else _nothing)
        targets = Targets(
            parts.jobs,
            parts.events,
            self.clusters.pods,
            parts.github,
            out.storage,
            out.slack,
            out.topics,
            parts.config_maps,
        )
        self.executor = Executor(targets, parts.metrics, parts.clock, parts.ids, parts.dry_run)
        self.pulls = PullIndex(self.jobs)
        self._starts = OwnStarts(self.jobs, parts.clock)
        self._trust = TrustCache(parts.clock)
        self._owners = RepoOwners(parts.code) if parts.code is not None else None
        self.leaders = {
            name: Leader(name, candidacy, parts.clock, parts.metrics)
            for name, candidacy in parts.leases.items()
            if not parts.dry_run and (name in parts.components or _shares(name, parts.components))
        }
        self._supervisor = Supervisor(self._restarted)
        self._aside: list[actions.RecordEvent] = []
        self._aside_bell = anyio.Event()
        self._reflector = Reflector("prowjobs", parts.jobs, jobview.read, self.jobs, parts.metrics, self._set_job_aside)
        self._needs_pods = bool(parts.components & {"plank", "sinker"})
        counting = "plank" not in self.leaders
        self._counts = JobCounts(self.jobs, parts.metrics, counting) if "plank" in parts.components else None
        self.job_actors = self._plank() if "plank" in parts.components else None
        self.access = Access(self.clusters, parts.config, self._executor_of("plank")) if parts.looks_at_access else None
        self.scheduler = self._scheduler() if "scheduler" in parts.components else None
        self.router = self._hook() if "hook" in parts.components else None
        self.crier = self._crier() if "crier" in parts.components else None
        self.horologium = self._horologium() if "horologium" in parts.components else None
        self.sinker = self._sinker() if "sinker" in parts.components else None

    def _executor_of(self, component: Component) -> Executor:
        leader = self.leaders.get(component)
        return self.executor if leader is None else self.executor.behind(leader.fence)

    def _plank(self) -> JobActors:
        p = self.parts
        vended: build_ids.Tot | build_ids.Made = build_ids.Made(p.ids)
        if p.tot_url:
            assert p.web is not None, "tot is asked over the web"
            vended = build_ids.Tot(p.tot_url, p.web)
        env = Env(p.config, p.clock, vended.next_of, p.metrics, self.stories, self.jobs.raw, self._written, p.job_pages)
        return JobActors(self.jobs, p.jobs, self.clusters, self._executor_of("plank"), env)

    def _scheduler(self) -> scheduler.Scheduler:
        p = self.parts
        assert p.web is not None, "the scheduler may have to ask a service"
        return scheduler.Scheduler(
            self.jobs, p.jobs, self._executor_of("plank"), scheduler.Env(p.config, p.metrics, self.stories, p.web)
        )

    def _hook(self) -> Router:
        p = self.parts
        assert p.inbox is not None, "hook needs an inbox"
        assert p.github is not None, "hook needs a GitHub"
        env = share.Env(
            p.metrics, p.clock, self._trust.heard, p.enablement, p.decisions, p.forward, self._starts.started
        )
        return Router(p.inbox, p.plugins, p.config.current, self._reads, self._executor_of("hook"), env)

    def _nets(self) -> dict[str, Service]:
        p = self.parts
        if p.nets is None or self.router is None:
            return {}
        assert p.github is not None
        around = lost.Around(p.github, self.executor, self.pulls, p.config.current, p.metrics, p.clock)
        return lost.services(p.nets, around, p.enablement, p.installation)

    def _crier(self) -> crier.Crier:
        p = self.parts
        reads = reporter_reads.Reads(
            config=p.config,
            jobs=WholeJobs(p.jobs),
            pulls=self.pulls,
            commits=CommitIndex(self.jobs),
            cluster=self._reported_cluster,
            github=p.github,
            storage=p.reports.storage,
            agent=p.reports.agent,
            pod_fraction=p.reports.pod_fraction,
            job_pages=p.job_pages,
        )
        reporters = [make(reads) for make in p.reports.reporters]
        leader = self.leaders.get("crier")
        env = crier.Env(
            p.clock,
            p.metrics,
            self._written,
            p.jobs,
            p.enablement,
            inherited=lambda: leader is not None and leader.inherited,
        )
        return crier.Crier(self.jobs, reporters, self._executor_of("crier"), env)

    def _reported_cluster(self, alias: str) -> reporter_reads.Cluster | None:
        cluster = self.clusters.get(alias)
        return (
            None if cluster is None else reporter_reads.Cluster(cluster.pods, self.parts.reports.pod_infos.get(alias))
        )

    def _horologium(self) -> horologium.Horologium:
        p = self.parts
        env = horologium.Env(p.config, p.clock, p.metrics, p.installation, p.periodics)
        return horologium.Horologium(self.jobs, self._executor_of("horologium"), env)

    def _sinker(self) -> sinker.Sinker:
        p = self.parts
        env = sinker.Env(p.config, p.clock, p.metrics)
        return sinker.Sinker(self.jobs, self.clusters, p.jobs, self._executor_of("sinker"), env)

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
            p.code,
            known.late,
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
            JobsOf(
                job.name,
                job.namespace,
                job.resource_version,
                job.job,
                job.event_guid,
                job.pulls[0].sha,  # it has one: it is found by that
                job.created_s,
            )
            for job in (*self.pulls.jobs_of(org, repo, number), *self._starts.of(org, repo, number))
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
        return not any(family.busy for family in self._families) and (self.router is None or self.router.idle)

    @property
    def _families(self) -> list[KeyedActors[Any, Any]]:
        actors = (self.job_actors, self.scheduler, self.router)
        families: list[KeyedActors[Any, Any]] = [a.actors for a in actors if a is not None]
        return [*families, *(self.crier.families if self.crier is not None else ())]

    def hurry(self) -> None:
        """Put nothing off any more: the process is about to end."""
        if self.crier is not None:
            self.crier.hurry()

    async def run(self) -> None:
        """Run until cancelled: what watches always, what acts while it may."""
        metrics = self.parts.metrics
        services = self.watches()
        for component, acting in self._acting().items():
            leader = self.leaders.get(component)
            if leader is None:
                services |= acting
            else:
                act = functools.partial(Supervisor(self._restarted).run, acting)
                services[f"lease of {component}"] = functools.partial(leader.run, act)
        services |= self._nets()
        services["gauges"] = self._gauges
        if self.parts.loop_lag:
            services["loop lag"] = lambda: lag.watch(lambda s: metrics.observe("prow_async_loop_lag_seconds", s))
        await self._supervisor.run(services)

    def _acting(self) -> dict[Component, dict[str, Service]]:
        """Return the services that write, by component."""
        acting: dict[Component, dict[str, Service]] = {}
        manager: dict[str, Service] = {}  # upstream's controller manager runs all of these under one lease
        if self.job_actors is not None and self._counts is not None:
            manager |= {"plank": self.job_actors.run, "set aside": self._tell_aside, "counts": self._counts.run}
        if self.scheduler is not None:
            manager["scheduler"] = self.scheduler.run
        if self.access is not None:
            manager["access"] = self.access.run
        if manager:
            acting["plank"] = manager
        if self.router is not None:
            acting["hook"] = {"hook": self.router.run}
        if self.crier is not None:
            acting["crier"] = {"crier": self.crier.run}
        if self.horologium is not None:
            acting["horologium"] = {"horologium": self.horologium.run}
        if self.sinker is not None:
            acting["sinker"] = {"sinker": self.sinker.run}
        return acting

    async def resign(self) -> None:
        """Stop every component that acts under a lease, and give the leases up: a standby takes them at once."""
        async with anyio.create_task_group() as group:
            for name, leader in self.leaders.items():
                group.start_soon(self._leave_off if name == "crier" else leader.resign)

    async def _leave_off(self) -> None:
        """Record what was told, as far as that is soon done, before crier stops: else it would be told once more."""
        assert self.crier is not None
        self.hurry()
        with anyio.move_on_after(RECORD_S):
            while self.crier.acks.actors.busy:  # noqa: ASYNC110 - as in process.drain
                await anyio.sleep(0.02)
        await self.leaders["crier"].resign()

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
        teller = self._executor_of("plank")
        while True:
            while self._aside:
                event = self._aside.pop(0)
                try:
                    await teller.perform(event, event.name)
                except ProwError as error:
                    log.warning("no event written for an object set aside", name=event.name, why=str(error))
            self._aside_bell = anyio.Event()
            await self._aside_bell.wait()

    async def _gauges(self) -> None:
        metrics = self.parts.metrics
        while True:
            for family in self._families:
                metrics.gauge("prow_async_mailbox_depth", family.statistics()["depth"], actor=family.name)
            if self.job_actors is not None:
                metrics.gauge("prow_async_jobs_waiting", self.job_actors.gate.waiting)
            await anyio.sleep(GAUGES_EVERY_S)

    def describe(self, name: str) -> str | None:
        """Say in words, for a person, how one ProwJob stands: state, why, and its story. None: there is no such job."""
        job, story = self.jobs.get(name), self.stories.of(name)
        if job is None and not story:
            return None
        standing = None if self.job_actors is None else self.job_actors.gate.standing(name)
        reports = self.crier.describe(job) if self.crier is not None and job is not None else ()
        return job_page.text(name, job, standing, story, reports)

    def describe_slots(self) -> str:
        """Say in words how many jobs hold slots and wait for them; empty where this process gives none."""
        return "" if self.job_actors is None else "\n".join(self.job_actors.gate.overview()) + "\n"


def _nothing(_: Collection) -> None:
    """Nobody holds what a cluster was reached by."""


def _needs_pod(job: JobView) -> bool:
    """Keep the whole JSON only of jobs whose pod still has to be made."""
    return not job.complete and job.agent == "kubernetes" and (job.state == "triggered" or not job.pod_name)


def _shares(lease_of: Component, components: frozenset[Component]) -> bool:
    """True when a component acts under another one's lease: the scheduler is part of the controller manager."""
    return lease_of == "plank" and "scheduler" in components
