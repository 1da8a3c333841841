"""The installation every life runs: its configuration, and the same in plain words for the model of what must be."""

from collections.abc import Callable

import msgspec

from prow_async.api.config import Config
from prow_async.api.plugin_config import OrgPlugins, PluginConfig
from prow_async.core import config_load
from prow_async.ports.config import Snapshot, Told

ORG, REPO = "acme", "widget"
FULL_REPO = f"{ORG}/{REPO}"
BOT = "prow-bot"
MEMBERS = ("ann", "bob")
OUTSIDER = "mallory"
JOBS_NAMESPACE, PODS_NAMESPACE = "prow", "test-pods"
INSTALLATION = "lives"
SECRET = b"a secret of the lives"
PAGES = "http://deck.invalid/job/"
"""What the Details link of a job begins with; its name follows."""
BUCKET = "gs://logs"
INTERVAL_S, CRON_S = 150, 120
SWEPT_AFTER_S = 2700.0
TOTAL, QUEUES = 6, {"few": 2}
"""How many jobs may run: at all, and of each queue."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A presubmit or postsubmit in plain words.

    `fate` is what its pods do: `pass`, `fail`, or `flaky`.
    """

    name: str
    fate: str = "pass"
    auto: bool = True
    """Runs by itself."""
    docs: bool = False
    """Runs by itself, but only when docs change."""
    branch: str = ""
    """Runs on this branch alone."""
    reports: bool = True
    optional: bool = False
    cluster: str = "default"
    limit: int = 0
    """Its max_concurrency."""
    queue: str = ""

    @property
    def starts_itself(self) -> bool:
        return self.auto or self.docs

    def allows(self, branch: str) -> bool:
        return self.branch in ("", branch)

    def wanted(self, branch: str, docs: bool) -> bool:
        """True when an event on this branch starts it."""
        return self.allows(branch) and (self.auto or (self.docs and docs))


PRESUBMITS = (
    Job(name="unit", fate="flaky", limit=2),
    Job(name="broken", fate="fail", optional=True, queue="few"),
    Job(name="docs", auto=False, docs=True, queue="few", limit=1),
    Job(name="far", fate="flaky", cluster="far", limit=2),
    Job(name="manual", fate="flaky", auto=False),
    Job(name="lost", auto=False, optional=True, cluster="nowhere"),
    Job(name="silent", reports=False, queue="few"),
    Job(name="released", branch="release", fate="fail"),
)
POSTSUBMITS = (
    Job(name="publish", branch="main"),
    Job(name="notes", auto=False, docs=True, fate="flaky", cluster="far"),
)


def _yaml(jobs: tuple[Job, ...], presubmit: bool) -> str:
    lines: list[str] = []
    for job in jobs:
        lines += [f"  - name: {job.name}", f"    cluster: {job.cluster}"]
        if presubmit or job.docs:
            lines += [f"    always_run: {str(job.auto).lower()}"]
        lines += ["    run_if_changed: '^docs/'"] if job.docs else []
        lines += [f"    max_concurrency: {job.limit}"] if job.limit else []
        lines += [f"    job_queue_name: {job.queue}"] if job.queue else []
        lines += [f"    branches: ['^{job.branch}$']"] if job.branch else []
        lines += ["    optional: true"] if job.optional and presubmit else []
        lines += [] if job.reports else ["    skip_report: true"]
        lines += [f"    spec: {{containers: [{{image: {job.fate}, command: ['true']}}]}}"]
    return "\n".join(lines)


_CONFIG = f"""
prowjob_namespace: {JOBS_NAMESPACE}
pod_namespace: {PODS_NAMESPACE}
plank:
  max_concurrency: {TOTAL}
  job_queue_capacities: {{few: {QUEUES["few"]}}}
  default_decoration_config_entries: [{{config: {{gcs_configuration: {{bucket: {BUCKET}, path_strategy: explicit}}}}}}]
  job_url_template: '{PAGES}{{{{.ObjectMeta.Name}}}}'
sinker: {{resync_period: 2m, max_prowjob_age: {SWEPT_AFTER_S:.0f}s, max_pod_age: 40m, terminated_pod_ttl: 3m}}
horologium: {{tick_interval: 7s}}
presubmits:
  {FULL_REPO}:
{_yaml(PRESUBMITS, True)}
postsubmits:
  {FULL_REPO}:
{_yaml(POSTSUBMITS, False)}
"""
_PERIODICS = f"""
periodics:
- name: heartbeat
  interval: {INTERVAL_S}s
  spec: {{containers: [{{image: flaky, command: ['true']}}]}}
- name: nightly
  cron: "*/{CRON_S // 60} * * * *"
  spec: {{containers: [{{image: pass, command: ['true']}}]}}
"""
_PLUGINS = PluginConfig(plugins={ORG: OrgPlugins(("trigger",))})


def _load(text: str) -> Config:
    return config_load.load(config_load.SourceFile("config.yaml", text.encode())).config


class Configuration:
    """The configuration in force: the whole of it, and towards the end of a life that without periodics."""

    _busy = _load(_CONFIG + _PERIODICS)
    _calm = _load(_CONFIG)

    def __init__(self) -> None:
        self._now = Snapshot(self._busy, _PLUGINS, 0.0, "busy")

    def current(self) -> Snapshot:
        return self._now

    def subscribe(self, told: Told) -> Callable[[], None]:
        """Nobody needs to be told: no limit changes."""
        return lambda: None

    def calm(self) -> None:
        """Reload without periodics, so that the life can come to rest."""
        self._now = Snapshot(self._calm, _PLUGINS, 0.0, "calm")
