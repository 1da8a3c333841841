"""Production configuration, where it lies beside the checkout, loads as upstream loads it."""

import collections
import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prow_async.api.prowjob import ProwJobSpec, Refs
from prow_async.core import config_load, gotemplate, newjob, plugin_config_load
from prow_async.core.config_load import SourceFile

REAL = Path(__file__).parents[4] / "shared" / "real"
CONFIG = REAL / "prow-config" / "config"
pytestmark = pytest.mark.skipif(not CONFIG.is_dir(), reason=f"no production configuration at {REAL}")

Key = tuple[str, str, str, str]


def source(path: Path) -> SourceFile:
    return SourceFile(str(path), path.read_bytes())


@pytest.fixture(scope="module")
def loaded() -> config_load.Loaded:
    jobs = sorted((CONFIG / "jobs").rglob("*.yaml"))
    return config_load.load(source(CONFIG / "prow" / "config.yaml"), [source(path) for path in jobs])


def test_every_job_is_there(loaded: config_load.Loaded) -> None:
    """As many jobs of each kind as upstream finds, and nothing to warn of."""
    config = loaded.config
    assert sum(map(len, config.presubmits.values())) == 150
    assert sum(map(len, config.postsubmits.values())) == 35
    assert len(config.periodics) == 170
    assert loaded.warnings == ()
    assert config.pod_namespace == "test-pods"
    assert config.sinker.terminated_pod_ttl_s == 1800
    assert gotemplate.parse(config.plank.job_url_template).body


def test_plugins_load() -> None:
    """plugins.yaml: every key is read, nothing is amiss, every plugin is known, lookups find what was meant."""
    found = plugin_config_load.load(source(CONFIG / "prow" / "plugins.yaml"), known_plugins_only=True)
    assert (found.warnings, found.unknown) == ((), ())
    config = found.config
    assert "trigger" in config.enabled("kubernetes", "test-infra")
    assert config.trigger_for("kubernetes-sigs", "cluster-api").trigger_github_workflows
    assert config.trigger_for("kubernetes-sigs", "gateway-api").trigger_github_workflows
    assert not config.trigger_for("kubernetes-sigs", "kind").trigger_github_workflows
    assert config.approve_for("kubernetes", "kubernetes").has_self_approval
    assert config.blunderbuss.max_request_count == 2
    assert config.config_updater.maps["config/prow/plugins.yaml"].clusters == {"test-infra-trusted": ("default",)}
    assert len(config.require_matching_label) > 40
    assert config.cherry_pick_approved[0].branch_regexp == "^release-.*$"
    milestones = config.milestone_for("kubernetes", "kubernetes")
    assert milestones is not None
    assert milestones.maintainers_team == "milestone-maintainers"


def plain(value: Any) -> Any:
    """Drop what Kubernetes takes for absent."""
    if isinstance(value, dict):
        kept = {key: plain(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in (None, {}, "", [])} or None
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value


def specs(config: Any) -> dict[Key, list[ProwJobSpec]]:
    """Return the ProwJob specs of all jobs, by kind, repo, name and file."""
    out: dict[Key, list[ProwJobSpec]] = collections.defaultdict(list)

    def put(kind: str, repo: str, job: Any, spec: ProwJobSpec) -> None:
        out[kind, repo, job.name, job.source.file.partition("config/jobs/")[2]].append(spec)

    for repo, jobs in config.presubmits.items():
        for job in jobs:
            put("presubmit", repo, job, newjob.presubmit_spec(job, Refs(*repo.split("/"))))
    for repo, jobs in config.postsubmits.items():
        for job in jobs:
            put("postsubmit", repo, job, newjob.postsubmit_spec(job, Refs(*repo.split("/"))))
    for job in config.periodics:
        put("periodic", "", job, newjob.periodic_spec(job))
    return out


def test_jobs_are_completed_as_upstream_does(loaded: config_load.Loaded) -> None:
    """Pod specs with presets, decoration, defaults: equal for every job."""
    ours = specs(loaded.config)
    with gzip.open(REAL / "expected-prowjobs-and-pods.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    assert len(rows) == sum(map(len, ours.values()))
    for row in rows:
        key = (row["kind"], row["repo"], row["job"], row["source"].partition("config/jobs/")[2])
        spec = plain(json.loads(msgspec.json.encode(ours[key].pop(0))))
        expected = plain(row["prowjob"]["spec"])
        for part in ("refs", "reporter_config"):  # filled in when the ProwJob is made
            spec.pop(part, None)
            expected.pop(part, None)
        assert spec == expected, key
