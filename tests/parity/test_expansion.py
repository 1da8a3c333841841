"""Production jobs, expanded by us and by upstream: ProwJobs from configuration, and what pods inherit from them."""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prow_async.api import config, jobconfig, names
from prow_async.api.prowjob import ProwJob, Pull, Refs
from prow_async.core import config_load, newjob, podspec

REAL = Path(__file__).parents[3] / "shared" / "real"
NAME, BUILD_ID, NOW_S = "00000000-0000-4000-8000-000000000000", "1234567890123456789", 1767323045.0
OURS = "prow-async.dev/"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no production configuration beside the checkout")


@pytest.fixture(scope="module")
def loaded() -> config.Config:
    tree = REAL / "prow-config" / "config"
    files = sorted(path for path in (tree / "jobs").rglob("*") if path.suffix in {".yaml", ".yml"})
    main = config_load.SourceFile(str(tree / "prow" / "config.yaml"), (tree / "prow" / "config.yaml").read_bytes())
    return config_load.load(main, [config_load.SourceFile(str(path), path.read_bytes()) for path in files]).config


@pytest.fixture(scope="module")
def expected() -> list[dict[str, Any]]:
    with gzip.open(REAL / "expected-prowjobs-and-pods.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def refs_of(repo: str, pulls: bool) -> Refs:
    """The inputs that the expectations were made with."""
    org, _, name = repo.partition("/")
    pull = Pull(42, "octocat", "c0ffee" * 6 + "c0ff", title="A <title> & more")
    link = f"https://github.com/{repo}"
    return Refs(org, name, link, base_ref="main", base_sha="b0" * 20, pulls=(pull,) if pulls else ())


def expand(found: config.Config, row: dict[str, Any]) -> list[ProwJob]:
    """Make the ProwJobs of every configured job that the row may mean."""
    birth = newjob.Birth(NAME, found.prowjob_namespace, NOW_S, "test")
    made = []
    kind, repo, name = row["kind"], row["repo"], row["job"]
    jobs: dict[str, tuple[jobconfig.JobBase, ...]] = {
        "presubmit": found.presubmits.get(repo, ()),
        "postsubmit": found.postsubmits.get(repo, ()),
        "periodic": found.periodics,
    }
    for job in jobs[kind]:
        if job.name != name:
            continue
        if isinstance(job, jobconfig.Presubmit):
            spec = newjob.presubmit_spec(job, refs_of(repo, pulls=True))
        elif isinstance(job, jobconfig.Postsubmit):
            spec = newjob.postsubmit_spec(job, refs_of(repo, pulls=False))
        else:
            assert isinstance(job, jobconfig.Periodic)
            spec = newjob.periodic_spec(job)
        made.append(newjob.new_prowjob(spec, job.labels, job.annotations, birth))
    return made


def plain(value: Any, key: str = "") -> Any:
    """Reduce to what Kubernetes compares: nulls, empty objects and empty strings outside labels fall away."""
    if isinstance(value, dict):
        kept = {k: plain(v, k) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v not in (None, {}) and (v != "" or key in ("labels", "annotations"))}
    if isinstance(value, list):
        return [plain(one) for one in value] or None
    return value


def without_ours(job: ProwJob) -> Any:
    annotations = {k: v for k, v in job.metadata.annotations.items() if not k.startswith(OURS)}
    meta = msgspec.structs.replace(job.metadata, annotations=annotations)
    return plain(msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(job, metadata=meta))))


def test_every_prowjob_is_upstreams(loaded: config.Config, expected: list[dict[str, Any]]) -> None:
    """355 jobs: spec, labels, annotations and status equal upstream's, but for our own annotations."""
    different = []
    for row in expected:
        want = plain(row["prowjob"])
        want["metadata"].pop("creationTimestamp", None)
        want["status"].pop("build_id")  # given from outside, when the pod is made
        if want not in [without_ours(job) for job in expand(loaded, row)]:
            different.append(f"{row['kind']} {row['repo']} {row['job']} ({row['source']})")
    assert len(expected) > 300
    assert different == []


def test_what_every_pod_inherits_is_upstreams(expected: list[dict[str, Any]]) -> None:
    """With decoration taken off: labels, annotations, environment (JOB_SPEC to the byte) and the pod's frame."""
    frame = ("restartPolicy", "automountServiceAccountToken", "serviceAccountName", "nodeSelector", "tolerations")
    added = {"ARTIFACTS", "GOPATH", "ENTRYPOINT_OPTIONS"}
    for row in expected:
        job = msgspec.convert(row["prowjob"], ProwJob)
        bare = msgspec.structs.replace(job, spec=msgspec.structs.replace(job.spec, decoration_config=None))
        ours, theirs = podspec.pod_for(bare, BUILD_ID, "test-pods", 0), row["pod"]
        annotations = {k: v for k, v in ours["metadata"]["annotations"].items() if not k.startswith(OURS)}
        assert annotations == theirs["metadata"]["annotations"]
        assert ours["metadata"]["labels"] == theirs["metadata"]["labels"]
        assert {k: ours["spec"].get(k) for k in frame} == {k: theirs["spec"].get(k) for k in frame}
        mine, upstreams = ours["spec"]["containers"][0], theirs["spec"]["containers"][0]
        want = [(e["name"], e.get("value")) for e in upstreams["env"] if e["name"] not in added]
        got = [(e["name"], e.get("value")) for e in mine["env"]]
        assert [k for k, _ in got] == [k for k, _ in want]
        assert [(k, v) for k, v in got if k != "JOB_SPEC"] == [(k, v) for k, v in want if k != "JOB_SPEC"]
        assert mine["name"] == upstreams["name"]
        assert mine["terminationMessagePolicy"] == upstreams["terminationMessagePolicy"]
        assert names.DIGEST in ours["metadata"]["annotations"]
